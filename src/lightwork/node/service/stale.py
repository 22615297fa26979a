"""What an earlier agent left: results that nobody took, attempts that had started, processes that still run.

A finished result survives in its named file (P6): it is reported as if nothing had happened. An attempt that had
started and has no record died with its agent: nobody's fault. What had not started is simply not in our heartbeat.
"""

from __future__ import annotations

import time

from lightwork.node.core.endings import lost
from lightwork.node.service.directories import Directories
from lightwork.node.service.keeper_spawn import mark
from lightwork.node.service.processes import marked, start_of, sweep
from lightwork.node.service.ring import Records, Ring
from lightwork.node.service.spool import Spool
from lightwork.wire.messages import Died, Ended, File, FromNode
from lightwork.wire.outcome import APART, IN_ARENA, KIND_MASK, REVOKED

News = list[tuple[FromNode, bytes]]
_LOOKS = 6  # what is still there then is in the kernel's hands, where it runs nobody's code


async def settle(directories: Directories, python: str) -> News:
    """End what still runs, take what lies there; what the scheduler is to be told."""
    await _end(directories, python)
    news: News = []
    with_files = directories.stale_jobs()
    spool = Spool(directories.spool, directories.user)
    for path in directories.stale_rings():
        try:
            ring = Ring(path, create=False)
        except (OSError, ValueError):  # half made: nothing was ever run with it
            path.unlink(missing_ok=True)
            continue
        news += _of_ring(ring, with_files, spool)
        ring.close()
        path.unlink()
    directories.clear_stale()
    directories.forget_processes()
    return news


async def _end(directories: Directories, python: str) -> None:
    """What a dying keeper forks while we look is found by the next look: two in a row must find nobody."""
    calm = 0
    for _ in range(_LOOKS):
        alive = [(pid, start) for pid, start in directories.noted_processes() if start and start_of(pid) == start]
        alive += marked(directories.noted_marks() - {mark()})
        calm = 0 if alive else calm + 1
        if calm == 2:
            return
        if alive:
            await sweep(python, alive)


def _of_ring(ring: Ring, with_files: set[int], spool: Spool) -> News:
    news: News = []
    started, started_ns = ring.unrecorded, ring.started_ns
    for records in ring.drain(ring.tail):
        news += _of_records(records, with_files, spool)
    if started:
        news.append(_lost(started, started_ns))
    return news


def _of_records(records: Records, with_files: set[int], spool: Spool) -> News:
    """One message for all that can be told. Results in an arena went with it, outputs with the job's directory."""
    now, at = time.monotonic_ns(), 0
    message, parts, gone = Ended([], [], [], [], []), [], []
    rows = zip(records.tokens, records.starts_ns, records.durations_ns, records.lengths, records.statuses, strict=True)
    for token, start, duration, length, status in rows:
        value = _value_of(token, status, spool)
        if status & IN_ARENA or (token in with_files and status & KIND_MASK != REVOKED) or value == []:
            gone.append(_lost(token, start))
        elif status & KIND_MASK != REVOKED:
            if value:
                message.files.append((len(message.tokens), value))
            message.tokens.append(token)
            message.statuses.append(status)
            message.ages_ns.append(max(now - start, duration))
            message.durations_ns.append(duration)
            message.lengths.append(length)
            parts.append(records.body[at : at + length])
        at += length
    return ([(message, b"".join(parts))] if message.tokens else []) + gone


def _value_of(token: int, status: int, spool: Spool) -> list[File] | None:
    """A value that lies in a file; none if it is not there after all; None: it lies elsewhere."""
    if not status & APART:
        return None
    try:
        return [File("", "", spool.adopt_value(token, f"{token}/0"))]
    except OSError:
        return []


def _lost(token: int, started_ns: int) -> tuple[FromNode, bytes]:
    outcome = lost("its agent died")
    return Died([token], False, [max(time.monotonic_ns() - started_ns, 0)], [len(outcome)]), outcome
