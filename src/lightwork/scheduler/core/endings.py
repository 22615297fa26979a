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
from lightwork.wire.messages import File

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
    try:
        told = outcome.decode_outcome(body)
    except ValueError:  # nothing came with it
        told = outcome.Outcome(b"")
    failure = dict(told.failure)
    evidence = failure.get("message", b"")
    failure["message"] = message.encode() + (b": " + evidence if evidence else b"")
    return outcome.encode_outcome(told._replace(failure=failure))


def region_of(status: int, body: bytes) -> list[int]:
    """The region of the node's arena that an outcome holds, if any: when nobody will ever read it, it must be freed."""
    if not status & outcome.IN_ARENA:
        return []
    reference = outcome.decode_outcome(body).value if status & outcome.ENVELOPE else body
    return [outcome.ARENA_REFERENCE.unpack(reference)[0]]


class Delivery:
    """Jobs that ended, for one session and node, as columns; cut into commands that fit into one message each."""

    def __init__(self, session: str, node: str) -> None:
        self._to = session, node
        self._full: list[Deliver] = []
        self._new()

    def _new(self) -> None:
        self._command = Deliver(*self._to, [], [], [], [], [], [], [], b"")
        self._bodies: list[bytes] = []
        self._size = self._past = 0

    def add(
        self,
        job: Job,
        state: JobState,
        status: int,
        body: bytes,
        started_ns: int = 0,
        duration_ns: int = 0,
        files: list[File] | None = None,
    ) -> None:
        """One more job."""
        history = job.extra.history[-limits.HISTORY_MAX :] if job.extra is not None else []
        full = len(self._bodies) >= limits.COMMAND_JOBS_MAX or self._size + len(body) > limits.COMMAND_BYTES_MAX
        if full or (history and self._past + len(history) > limits.HISTORY_MAX):
            self._close()
        command = self._command
        if files:
            command.files.append((len(command.jobs), files))
            command.tokens.append(job.token)
        if history:
            command.histories.append((len(command.jobs), history))
            self._past += len(history)
        command.jobs.append(job.number)
        command.states.append(state)
        command.statuses.append(status)
        command.starts_ns.append(started_ns)
        command.durations_ns.append(duration_ns)
        command.attempts.append(job.attempts)
        command.lengths.append(len(body))
        self._bodies.append(body)
        self._size += len(body)

    def _close(self) -> None:
        if self._bodies:
            self._command.body = b"".join(self._bodies)
            self._full.append(self._command)
            self._new()

    def finish(self) -> list[Deliver]:
        """The commands; none, if nothing was added."""
        self._close()
        return self._full
