"""What people who look in are told of the whole: answers from the tables and the ledger. Nothing is changed here.

There may be a million jobs, and whoever asks is not to hold up who works. So what walks over jobs is a generator that
gives way after each SLICE of them (`Slow`): its caller lets other work go first. Tables may change in between.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import islice
from typing import NamedTuple, TypeAlias, TypeVar

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core.jobs import Group
from lightwork.scheduler.core.nodes import SECOND_NS, Standing
from lightwork.scheduler.core.prospects import Stage
from lightwork.scheduler.core.reasons import explain
from lightwork.scheduler.core.retries import why_it_waits
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State
from lightwork.scheduler.core.stuck import far_ones
from lightwork.wire import outcome
from lightwork.wire.messages import AskLogs, Logs, SessionStatus, Status

T = TypeVar("T")
Slow: TypeAlias = Generator[None, None, T]

SLICE = 4096  # records looked at in one go
GROUPS_SHOWN = 10  # that wait, in a status
REASONS_SHOWN = 3  # of one group
ATTEMPTED_SHOWN = 200
DELAYED_LOOKED_AT = 1000


def running(state: State) -> Slow[dict[str, set[int]]]:
    """Numbers of the jobs that run, by session."""
    found: dict[str, set[int]] = {}
    looked = 0
    for node in list(state.nodes.values()):
        for job in list(node.attempts.values()):
            if job.state is JobState.RUNNING:
                found.setdefault(job.group.session, set()).add(job.number)
        looked += len(node.attempts)
        if looked > SLICE:
            looked = 0
            yield
    return found


def status(state: State, number: int) -> Slow[Status]:
    """How things stand, all sessions together."""
    run = yield from running(state)
    told = Status(number, [node.status() for node in state.nodes.values()], 0, sum(map(len, run.values())))
    told.queued = max(0, sum(len(session.jobs) for session in state.sessions.values()) - told.running)
    told.waiting = [*_waiting(state), *_delayed(state)]
    told.slow = far_ones(state, "", GROUPS_SHOWN)
    told.twins_started, told.twins_won, told.retried = state.twins_started, state.twins_won, state.retried
    reports = (one.report() for one in state.prospects if one.stage is not Stage.ALIAS)
    told.attempted = list(islice(reports, ATTEMPTED_SHOWN))
    return told


def _waiting(state: State) -> list[str]:
    """Why the oldest groups wait, each reason once."""
    found: dict[str, str] = {}
    for group, line in islice(state.queue.lines(), GROUPS_SHOWN):
        session = state.sessions.get(group.session)
        job = next((job for job in islice(line, SLICE) if job.state < JobState.FINISHED), None)
        if session is not None and job is not None:
            name = session.computations[group.computation].computation.name
            found.setdefault(why(state, session, group), f"job {group.session}/{job.number} ({name})")
    return [f"{who} waits: {reason}" for reason, who in found.items()]


def _delayed(state: State) -> list[str]:
    """Jobs that wait for their next try, the first ones first."""
    found = state.delays.soonest(DELAYED_LOOKED_AT)[:GROUPS_SHOWN]
    return [f"job {job.group.session}/{job.number} {why_it_waits(state, job)}" for job in found]


def why(state: State, session: Session, group: Group) -> str:
    """Why jobs of this group wait, in a sentence."""
    reasons = list(dict.fromkeys(explain(state, session, group)))
    more = len(reasons) - REASONS_SHOWN
    return "; ".join(reasons[:REASONS_SHOWN]) + (f"; and {more:,} more nodes cannot take it either" if more > 0 else "")


def sessions(state: State, now_ns: int) -> Slow[list[SessionStatus]]:
    """All, the oldest first."""
    run = yield from running(state)
    return [_session(state, session, len(run.get(session.name, ())), now_ns) for session in state.sessions.values()]


def _session(state: State, session: Session, run: int, now_ns: int) -> SessionStatus:
    account = state.ledger.sessions.get(session.name) if state.ledger is not None else None
    attached = session.attached or state.ledger is None  # without a journal a session is its client's life
    return SessionStatus(
        session.name,
        session.user,
        session.host,
        attached,
        session.lasting,
        max(0, len(session.jobs) - run),
        run,
        len(account.entries) - account.unended if account is not None else 0,
        session.finished,
        max(0, now_ns - session.opened_ns) / SECOND_NS,
        0.0 if attached else max(0, now_ns - session.away_ns) / SECOND_NS,
        session.weight,
        session.exclusive,
        session.slot_ns / SECOND_NS,
    )


def not_ended(state: State, session: str, numbers: Iterable[int]) -> list[int]:
    """Which of these jobs have not ended; none named: all."""
    found = state.sessions.get(session)
    if found is None:
        return []
    return [number for number in dict.fromkeys(numbers) if number in found.jobs] if numbers else list(found.jobs)


class Running(NamedTuple):
    """The node knows what the job has written."""

    node: str
    token: int
    attempts: int
    reachable: bool


def logs(state: State, question: AskLogs) -> Logs | Running:
    """What a job has written, as far as it is known here."""
    number, session = question.number, state.sessions.get(question.session)
    if session is None:
        return Logs(number, error=f"there is no session {question.session!r}")
    job = session.jobs.get(question.job)
    if job is not None:
        if job.state is JobState.RUNNING and job.node in state.nodes:
            reachable = state.nodes[job.node].standing in (Standing.JOINED, Standing.DRAINING)
            return Running(job.node, job.token, job.attempts, reachable)
        return Logs(number, running=True, state=job.state, attempts=job.attempts)
    return _kept(state, session, question)


def _kept(state: State, session: Session, question: AskLogs) -> Logs:
    """Of a job that has ended."""
    account = state.ledger.sessions.get(session.name) if state.ledger is not None else None
    entry = account.entries.get(question.job) if account is not None else None
    if entry is None or entry.end is None:
        return Logs(question.number, error=_missing(state, session, question.job))
    end = entry.end
    told = Logs(question.number, state=end.state, attempts=end.attempts)
    if end.status & outcome.ENVELOPE:
        written = outcome.decode_outcome(end.outcome)
        told.stdout_at, told.stdout = written.stdout.piece(question.stdout_from, limits.OUTPUT_PIECE)
        told.stderr_at, told.stderr = written.stderr.piece(question.stderr_from, limits.OUTPUT_PIECE)
    return told


def _missing(state: State, session: Session, number: int) -> str:
    if not 0 <= number < session.next_number:
        return f"session {session.name} has no job {number}"
    if state.ledger is None:
        return f"job {number} has ended, and this scheduler keeps nothing of ended jobs: its program has the output"
    return f"job {number} has ended and its result was taken: the program that took it has the output"
