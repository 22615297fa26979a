"""Which pairs of a job's stage and what happened to it have been seen: the job table, and whether it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightwork.model.states import JobState
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.state import State

WAITING, DELAYED, HANDED_OUT, RUNNING, TWO = "waiting", "delayed", "handed out", "running", "two attempts"
ENDED = "ended"  # or its attempt is no more: what is said of a dead token
STAGES = (WAITING, DELAYED, HANDED_OUT, RUNNING, TWO, ENDED)
ENTRIES = (on.JobsCancelled, on.ResultsTaken, on.ResultsRecalled)
SESSIONS = (on.ClientLost, on.ClientAway, on.ClientJoined, on.CloseAsked)
NODES = (on.NodeJoined, on.NodeLost, on.NodeBeat)
ALL = (on.TimePassed, on.StorageFull)


class Coverage:
    """Told of events before the core is."""

    def __init__(self) -> None:
        self.pairs: set[str] = set()

    def saw(self, state: State, events: list[on.Event]) -> None:
        """These are about to happen to it."""
        for event in events:
            name = _named(event)
            for stage in set(_concerned(state, event)):
                self.pairs.add(f"{stage}: {name}")


def stage_of(job: Job) -> str:
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
    if isinstance(event, on.StorageFull):
        return f"{name} {'begins' if event.full else 'is over'}"
    return name


def _concerned(state: State, event: Any) -> Iterator[str]:
    if isinstance(event, ALL):
        for session in state.sessions.values():
            yield from map(stage_of, session.jobs.values())
    elif isinstance(event, on.JobsSubmitted):
        yield from _entries(state, event.session, range(event.first, event.first + len(event.payloads)))
    elif isinstance(event, ENTRIES):
        yield from _entries(state, event.session, event.jobs)
    elif isinstance(event, SESSIONS):
        yield from _all_of(state, event.session)
    elif isinstance(event, on.NodeTruth):
        for index, number in zip(event.session, event.jobs, strict=True):
            yield from _entries(state, event.sessions[index], [number])
    elif hasattr(event, "node") and event.node in state.nodes:
        attempts = state.nodes[event.node].attempts
        if isinstance(event, NODES):
            yield from map(stage_of, attempts.values())
        for token in getattr(event, "tokens", ()):
            yield stage_of(attempts[token]) if token in attempts else ENDED


def _entries(state: State, name: str, numbers: Any) -> Iterator[str]:
    session = state.sessions.get(name)
    account = state.ledger.sessions.get(name) if state.ledger is not None else None
    for number in numbers:
        if session is not None and number in session.jobs:
            yield stage_of(session.jobs[number])
        elif account is not None and number in account.entries:
            yield ENDED


def _all_of(state: State, name: str) -> Iterator[str]:
    account = state.ledger.sessions.get(name) if state.ledger is not None else None
    return _entries(state, name, account.entries) if account is not None else iter(())
