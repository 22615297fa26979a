"""Holds what the oracle says against what was promised. Pure: all it needs is in the files.

    runs (what jobs wrote)  +  history (what we did to them)  +  deliveries (what clients were given)  -->  complaints

Every complaint names a job, a promise of docs/explanation/promises.md, and what contradicts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.history import GRACE_NS, History
from tests.chaos.oracle import SECOND, Delivery, Run
from tests.chaos.program import Kind

TWIN_NS = SECOND * 8 // 10  # config.timers.TWIN_MIN_S, less what a job takes until it tells that it has begun
DEATHS_MAX = 3
NEVER = 1 << 62
EXPECTED = {"fails": "FAILED", "slow": "TIMED_OUT", "poison": "POISONED"}


class Given(NamedTuple):
    """A job as its client submitted it."""

    key: str
    kind: Kind
    reentrant: bool | None


class Lives(NamedTuple):
    """Of a client. The last one ended by itself, so it must have been given everything."""

    first: int
    last: int


class Complaint(NamedTuple):
    """A promise that was broken."""

    key: str
    text: str


def judge(
    jobs: Sequence[Given], runs: Mapping[str, list[Run]], delivered: Sequence[Delivery], lives: Lives, history: History
) -> list[Complaint]:
    """One client."""
    found = []
    by_key: dict[str, list[Delivery]] = {}
    for one in delivered:
        by_key.setdefault(one.key, []).append(one)
    for job in jobs:
        ends, begun = by_key.pop(job.key, []), runs.get(job.key, [])
        for text in (
            *starts(job, begun, history),
            *_ends(ends, lives),
            *_fate(job, begun, ends, history),
        ):
            found.append(Complaint(job.key, text))
    found += [Complaint(key, "nobody submitted this job") for key in by_key]
    return found


# --- P3, P5: which starts there may be ---


def starts(job: Given, begun: list[Run], history: History) -> Iterator[str]:
    """What is wrong with the starts of a job."""
    for number, (before, run) in enumerate(pairwise(begun), 2):
        raised = sum(bool(one.raises) and not _lost(one, run.at, history) for one in begun[: number - 1])
        if before.raises and before.raises <= run.at and raised <= job.kind.retries:
            continue
        if job.reentrant is False:
            yield f"P3: reentrant=False, and start {number} on {run.host} though start {number - 1} was told"
        elif not _excused(job, begun[: number - 1], run, history):
            yield f"P3, P5: start {number} on {run.host} for no reason: no worker or node of start {number - 1} died"


def _excused(job: Given, earlier: list[Run], run: Run, history: History) -> bool:
    """Whether one of the earlier starts gives a reason for this one."""
    if any(_told(before, run, history) for before in earlier):
        return False
    if job.reentrant is True and any(_long(one, run) for one in earlier):
        return True
    return _lost(earlier[-1], run.at, history)


def _told(before: Run, run: Run, history: History) -> bool:
    """Whether the scheduler knew the end of one when it began the other: nothing may start after that."""
    if not before.end or before.end + GRACE_NS > run.at or _lost(before, run.at, history):
        return False
    return not any(span.begin < run.at and before.end < span.end for span in history.absences(before.host))


def _lost(run: Run, until: int, history: History) -> bool:
    return history.worker_died(run, until) or history.node_died(run, until) or history.presumed_dead(run, until)


def _long(before: Run, run: Run) -> bool:
    """Old enough for a twin, and still running as far as anybody but the oracle can know."""
    return run.at - before.at >= TWIN_NS and before.host != run.host


# --- P2, P4: what is delivered, and how often ---


def _ends(ends: list[Delivery], of_client: Lives) -> Iterator[str]:
    lives = [one.life for one in ends]
    if of_client.last not in lives:
        yield "P8: the last life of the program was not given its end"
    for life in sorted({life for life in lives if lives.count(life) > 1}):
        yield f"P4: delivered {lives.count(life)} times in life {life}"
    if len({(one.state, repr(one.value)) for one in ends}) > 1:
        yield f"P2: two ends: {[(one.life, one.state, one.value) for one in ends]}"
    if ends and ends[0].life == of_client.first and ends[0].again:
        yield "P4: marked as redelivered in the first life"
    for one in ends[1:]:
        if not one.again and one.life > ends[0].life:
            yield f"P4: seen in life {ends[0].life}, and not marked as redelivered in life {one.life}"
    for one in ends:
        if one.wrong:
            yield f"the value is wrong: {one.wrong}"


# --- P6, P9: the right end ---


def _fate(job: Given, starts: list[Run], ends: list[Delivery], history: History) -> Iterator[str]:
    if not ends:
        return
    end = ends[-1]
    deaths = sum(history.worker_died(run, NEVER) for run in starts)
    most = 1 if job.reentrant is False else DEATHS_MAX
    if end.state == "POISONED":
        if deaths < most:
            yield f"P9: POISONED after {deaths} deaths of its workers"
    elif end.state == "LOST":
        yield from _lost_rightly(job, starts, history)
    else:
        expected = EXPECTED.get(job.kind.name, "FINISHED")
        if job.kind.name == "once" and job.reentrant is False:
            expected = "POISONED"
        if end.state != expected:
            yield f"{end.state}, and not {expected}: {end.error!r}"
        elif end.state == "FINISHED":
            yield from _by_whom(starts, end)


def _lost_rightly(job: Given, starts: list[Run], history: History) -> Iterator[str]:
    if job.reentrant is not False:
        yield f"P3: LOST, with reentrant={job.reentrant}"
    elif not starts:
        if not history.anywhere_unreachable():
            yield "P3: LOST without a start, though no node was away for so long"
    elif not any(history.node_died(run, NEVER) or history.unreachable(run, NEVER) for run in starts):
        yield "P3, P6: LOST, though its node lived and came back: its end was to be known"


def _by_whom(starts: list[Run], end: Delivery) -> Iterator[str]:
    assert end.value is not None
    host, pid, at = end.value
    mine = [run for run in starts if (run.host, run.pid, run.at) == (host, pid, at)]
    if not mine or not mine[0].end:
        yield f"FINISHED on {host} in process {pid}, which never wrote that"
