"""Which pairs of a job's state and what happened to it have been seen: the job table, and whether it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightwork.model.states import JobState
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.state import State

WAITING, DELAYED, HANDED_OUT, RUNNING, TWO = "waiting", "delayed", "handed out", "running", "two attempts"


class Coverage:
    """Told of events before the core is."""

    def __init__(self) -> None:
        self.pairs: set[str] = set()

    def saw(self, state: State, events: list[on.Event]) -> None:
        """These are about to happen to it."""
        for event in events:
            for job in _concerned(state, event):
                self.pairs.add(f"{stage(job)}: {_named(event)}")


def stage(job: Job) -> str:
    """Where a job stands, as the scheduler sees it."""
    if job.twin is not None:
        return TWO
    if job.node:
        return RUNNING if job.state is JobState.RUNNING else HANDED_OUT
    return DELAYED if job.extra is not None and job.extra.due_ns else WAITING


def _named(event: Any) -> str:
    name = type(event).__name__
    if isinstance(event, on.AttemptsDied):
        return f"{name} {'blamed' if event.blame else 'without blame'}"
    if isinstance(event, on.NodeLost):
        return f"{name} {'left' if event.left else 'broken'}"
    return name


def _concerned(state: State, event: Any) -> Iterator[Job]:
    tokens = getattr(event, "tokens", None)
    node = state.nodes.get(getattr(event, "node", ""))
    if tokens is not None and node is not None:
        yield from (job for token in tokens if (job := node.attempts.get(token)) is not None)
        if isinstance(event, on.NodeTruth):
            yield from _told_of(state, event)
        return
    session = state.sessions.get(getattr(event, "session", ""))
    if isinstance(event, on.JobsCancelled) and session is not None:
        yield from (job for number in event.jobs if (job := session.jobs.get(number)) is not None)
    elif isinstance(event, on.JobsSubmitted) and session is not None:
        numbers = range(event.first, event.first + len(event.payloads))
        yield from (job for number in numbers if (job := session.jobs.get(number)) is not None)
    elif isinstance(event, on.ClientLost | on.ClientAway | on.CloseAsked | on.ClientJoined) and session is not None:
        yield from session.jobs.values()
    elif isinstance(event, on.NodeJoined | on.NodeLost | on.NodeBeat) and node is not None:
        yield from node.attempts.values()
    elif isinstance(event, on.TimePassed | on.StorageFull):
        for one in state.sessions.values():
            yield from one.jobs.values()


def _told_of(state: State, event: on.NodeTruth) -> Iterator[Job]:
    for index, number in zip(event.session, event.jobs, strict=True):
        session = state.sessions.get(event.sessions[index])
        job = session.jobs.get(number) if session is not None else None
        if job is not None and not job.node:
            yield job
