"""Attempts that are over while their job is not: its history, and the next try of what failed.

An attempt that reported its own end (exception, exit code, timeout, memory) is repeated up to `retries` times, each
time after a longer wait, and on another node as long as one may run it:

    RUNNING --failed--> QUEUED, in `delays`: 0.5 s, 1 s, 2 s, ... 60 s, give or take a quarter --> QUEUED, in line

Attempts that were lost, or died, use none of the retries up: see `deaths`. Of two twins one may fail while the other
goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from zlib import crc32

from lightwork.config import timers
from lightwork.kit.text import ordinal, size, span
from lightwork.model.states import JobState
from lightwork.scheduler.core.explain import refusal
from lightwork.scheduler.core.facts import Spent, Unspent
from lightwork.scheduler.core.jobs import NOWHERE, Job
from lightwork.scheduler.core.nodes import SECOND_NS
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State
from lightwork.wire import outcome
from lightwork.wire.messages import Attempt

WAITING_LOOKED_AT = 1000
TEXT_MAX = 200  # characters of an attempt's text
JITTER = 0.25
OWN_ENDS = frozenset(
    (
        outcome.RAISED,
        outcome.EXITED,
        outcome.TIMED_OUT,
        outcome.OUT_OF_MEMORY,
        outcome.NOT_RUN,
        outcome.UNSENDABLE,
    )
)


_PLAIN = {
    outcome.RETURNED: "returned",
    outcome.RAISED: "an exception",
    outcome.EXITED: "it exited with an error",
    outcome.TIMED_OUT: "it ran too long",
    outcome.OUT_OF_MEMORY: "it used too much memory",
    outcome.CANCELLED: "cancelled",
    outcome.DIED: "its worker died",
    outcome.NOT_RUN: "it could not be started",
    outcome.UNSENDABLE: "its result could not be sent",
}


def may_retry(job: Job, status: int) -> bool:
    """Whether an attempt that ended like this is not its job's end."""
    if job.cancelled or status & outcome.KIND_MASK not in OWN_ENDS:
        return False
    return job.group.options.retries > (job.extra.retried if job.extra is not None else 0)


def spend(
    state: State,
    job: Job,
    attempt: Attempt,
    *,
    blame: bool = False,
    retry: bool = False,
    told: int = 0,
    lost: int = 0,
) -> None:
    """An attempt is over and its job is not. `told`, `lost`: its token, if its node has told its end, or has not."""
    extra = job.more()
    extra.history.append(attempt)
    if retry:
        session = state.sessions[job.group.session]
        extra.retried += 1
        session.retried += 1
        state.retried += 1
    state.record(Spent(job.group.session, job.number, attempt, blame, retry, told, lost))


def unspend(state: State, job: Job, token: int) -> None:
    """An attempt that may have been given up as lost is back: it is not over, so it is none of those behind the job."""
    account = state.ledger.sessions.get(job.group.session) if state.ledger is not None else None
    entry = account.entries.get(job.number) if account is not None else None
    if entry is not None and token in entry.lost:
        del job.more().history[entry.lost.index(token)]  # the ledger and we have them in the same order
        job.attempts -= 1
        state.record(Unspent(job.group.session, job.number, token))


def delay(state: State, job: Job) -> None:
    """It is tried again, later; its attempt was let go and is in its history."""
    session = state.sessions[job.group.session]
    extra = job.more()
    job.take_back(unstarted=False)
    session.regroup(job, _avoid(state, session, job))
    state.delays.add(job, state.now_ns + back_off_ns(session.name, job.number, extra.retried))


def back_off_ns(session: str, number: int, retried: int) -> int:
    """How long a job waits before its `retried`-th retry. (There is no chance in here; a hash does as well.)"""
    seconds = min(timers.BACK_OFF_S * 2.0 ** min(retried - 1, 30), timers.BACK_OFF_MAX_S)
    spread = crc32(f"{session}/{number}/{retried}".encode()) / 0xFFFFFFFF
    return int(seconds * (1 - JITTER + 2 * JITTER * spread) * SECOND_NS)


def _avoid(state: State, session: Session, job: Job) -> frozenset[str]:
    """Nodes where it failed; if it has failed on all that may run it, the last of them."""
    history = job.more().history
    failed, last = failed_on(history), failed_on(history[-1:])
    may = {node.name for node in state.nodes.values() if refusal(node, session, job.group) is None}
    return failed if may.difference(failed) else last if may.difference(last) else NOWHERE


def failed_on(history: Iterable[Attempt]) -> frozenset[str]:
    """Nodes where one of these attempts reported a failure."""
    return frozenset(attempt.node for attempt in history if attempt.how in OWN_ENDS)


def try_again(state: State) -> None:
    """Those whose time has come stand in line again."""
    due = state.delays.due(state.now_ns)
    if due:
        state.queue.put_back(due)


def restore(job: Job, spent: Iterable[tuple[Attempt, bool, bool]]) -> None:
    """What an earlier life of ours has written down of its attempts, with blame and retry. It does not wait again."""
    rows = list(spent)
    if rows:
        extra = job.more()
        extra.history = [attempt for attempt, _, _ in rows]
        extra.retried = sum(retry for _, _, retry in rows)
    job.attempts = len(rows)
    job.deaths = sum(blame for _, blame, _ in rows)


def waiting(state: State, session: str, most: int) -> list[str]:
    """A sentence for each of the session's jobs that wait for their next try, the first ones first."""
    ours = (job for job in state.delays.soonest(WAITING_LOOKED_AT) if job.group.session == session)
    return [f"job {job.number} {why_it_waits(state, job)}" for job in islice(ours, most)]


def why_it_waits(state: State, job: Job) -> str:
    """`waits 3 s before its 2nd try; failed on b: ValueError: ...`; empty if it does not wait for that."""
    extra = job.extra
    if extra is None or not extra.due_ns or job.state is not JobState.QUEUED:
        return ""
    last = extra.history[-1]
    left_s = max(0, extra.due_ns - state.now_ns) / SECOND_NS
    return (
        f"waits {span(round(left_s, 1))} before its {ordinal(job.attempts + 1)} try; failed on {last.node}: {last.text}"
    )


def words(status: int, body: bytes) -> str:
    """A sentence about how an attempt ended, for people."""
    kind = status & outcome.KIND_MASK
    failure: dict[str, bytes] = {}
    if status & outcome.ENVELOPE:
        try:
            failure = outcome.decode_outcome(body).failure
        except ValueError:  # whoever reads it as a result says so; here it is only a word about it
            pass
    name, message = (failure.get(key, b"").decode("utf-8", "backslashreplace") for key in ("type", "message"))
    own = kind in (outcome.RAISED, outcome.NOT_RUN)
    text = (f"{name}: {message}" if own and name and message else message or name) or _PLAIN[kind]
    peak = failure.get("peak_memory", b"")
    text += f"; peak memory {size(int(peak))}" if peak.isdigit() and len(peak) < 20 else ""
    return " ".join(text.split())[:TEXT_MAX]
