"""How an attempt's end becomes a job's: which state follows, and the columns that tell the client.

attempt ended (RETURNED, RAISED, ...)   -> the state of `STATE_AFTER`
attempt died by its own fault           -> QUEUED again; after DEATHS_MAX (reentrant=False: one) POISONED
attempt lost without fault              -> QUEUED again; reentrant=False and started: LOST
any of the last two, once cancelled     -> CANCELLED
"""

from __future__ import annotations

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core.commands import Deliver
from lightwork.scheduler.core.jobs import Job
from lightwork.wire import outcome

STATE_AFTER = {
    outcome.RETURNED: JobState.FINISHED,
    outcome.RAISED: JobState.FAILED,
    outcome.EXITED: JobState.FAILED,
    outcome.TIMED_OUT: JobState.TIMED_OUT,
    outcome.OUT_OF_MEMORY: JobState.FAILED,
    outcome.CANCELLED: JobState.CANCELLED,
    outcome.DIED: JobState.POISONED,
    outcome.NOT_RUN: JobState.FAILED,
    outcome.UNSENDABLE: JobState.FAILED,
}


def after_death(job: Job, *, blame: bool, started: bool) -> JobState:
    """What becomes of a job whose attempt died; QUEUED: it is tried again."""
    if job.cancelled:
        return JobState.CANCELLED
    if not started:
        return JobState.QUEUED
    if blame and (job.deaths >= limits.DEATHS_MAX or job.group.options.reentrant is False):
        return JobState.POISONED
    if not blame and job.group.options.reentrant is False:
        return JobState.LOST
    return JobState.QUEUED


def failure_outcome(kind: int, name: str, message: str, hint: str = "") -> tuple[int, bytes]:
    """Status and outcome bytes for an end that the scheduler declares."""
    failure = {"type": name.encode(), "message": message.encode()}
    if hint:
        failure["hint"] = hint.encode()
    return kind | outcome.ENVELOPE, outcome.encode_outcome(outcome.Outcome(b"", failure=failure))


def with_message(body: bytes, message: str) -> bytes:
    """The same outcome, told with this sentence first."""
    told = outcome.decode_outcome(body) if body else outcome.Outcome(b"")
    failure = dict(told.failure)
    evidence = failure.get("message", b"")
    failure["message"] = message.encode() + (b": " + evidence if evidence else b"")
    return outcome.encode_outcome(told._replace(failure=failure))


class Delivery:
    """Columns of jobs that ended, for one session and node, until they leave as one command."""

    def __init__(self, session: str, node: str) -> None:
        self.command = Deliver(session, node, [], [], [], [], [], [], [], b"")
        self._bodies: list[bytes] = []

    def add(
        self,
        job: Job,
        state: JobState,
        status: int,
        body: bytes,
        started_ns: int = 0,
        duration_ns: int = 0,
    ) -> None:
        """One more job."""
        command = self.command
        command.jobs.append(job.number)
        command.states.append(state)
        command.statuses.append(status)
        command.starts_ns.append(started_ns)
        command.durations_ns.append(duration_ns)
        command.attempts.append(job.attempts)
        command.lengths.append(len(body))
        command.tokens.append(job.token)
        self._bodies.append(body)

    def finish(self, whole: bytes | None = None) -> Deliver:
        """The command; `whole`: all bodies, if the caller has them in one piece."""
        self.command.body = b"".join(self._bodies) if whole is None else whole
        return self.command
