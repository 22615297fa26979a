"""What became of each try of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lightwork.model.errors import LightworkError
from lightwork.wire import messages as say, outcome

if TYPE_CHECKING:
    from lightwork.client.job import Job

HOW = {
    outcome.RETURNED: "returned",
    outcome.RAISED: "raised",
    outcome.EXITED: "exited",
    outcome.TIMED_OUT: "timed out",
    outcome.OUT_OF_MEMORY: "out of memory",
    outcome.CANCELLED: "cancelled",
    outcome.DIED: "died",
    outcome.NOT_RUN: "not run",
    outcome.UNSENDABLE: "unsendable",
}


class Attempt(NamedTuple):
    """One try of a job that is over: on which node, when it started (seconds since 1970; None: nobody knows that it
    did), how long it ran (seconds), how it ended (a word of HOW), and a sentence about that."""

    node: str
    start: float | None
    duration: float
    how: str
    text: str = ""


def history_of(job: Job, results: say.Results, row: int) -> list[Attempt]:
    """All attempts of a job that has ended, the last one included."""
    earlier = next((attempts for index, attempts in results.histories if index == row), [])
    found = [_attempt(attempt) for attempt in earlier]
    if results.attempts[row] > len(found):
        start_ns, lasted_ns = results.starts_ns[row], results.durations_ns[row]
        kind = results.statuses[row] & outcome.KIND_MASK
        text = "" if kind == outcome.RETURNED else _words(job)
        found.append(_attempt(say.Attempt(results.node, start_ns, lasted_ns, kind, text)))
    return found


def _attempt(told: say.Attempt) -> Attempt:
    start = told.start_ns / 1e9 if told.start_ns > 0 else None
    return Attempt(told.node, start, told.duration_ns / 1e9, HOW.get(told.how, str(told.how)), told.text)


def _words(job: Job) -> str:
    error = job.peek().error
    if error is None:
        return ""
    if isinstance(error, LightworkError):
        return str(error.args[0] if error.args else error).partition("\n")[0]
    return f"{type(error).__name__}: {error}".partition("\n")[0]
