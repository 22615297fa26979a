"""Large payloads in shared memory: arguments read from one arena, results written to the other.

Arguments are mapped privately, so a job may write into an array that it got. A private page that was not written yet
still shows the file, and the client reuses the region once the job has ended: whatever a job has kept (a module's
cache, a global) is therefore made its own, page by page, before the job counts as ended.
"""

from __future__ import annotations

import _pickle
import mmap
import os
import sys
from typing import Any, List, Optional

from lightwork.wire.channel import REFUSED, REGION, U64, WANT_REGION, pack_frame
from lightwork.wire.outcome import ARENA_REFERENCE
from lightwork.wire.segments import split
from lightwork.worker.link import Link
from lightwork.worker.travel import Parts

_REFERENCES_FREE = 3  # of a mapping that nobody uses: our list, the loop variable, getrefcount's argument


class ArenaError(Exception):
    """A payload that cannot be read from, or written to, shared memory."""


class NoRoom(ArenaError):
    """There is none now: later there may be."""


class Arena:
    """Both arenas of a worker. Each is named `fd:N` or by a path; empty: there is none."""

    def __init__(self, args: str = "", results: str = "") -> None:
        self._args_name, self._results_name = args, results
        self._args = -1
        self._results: Optional[mmap.mmap] = None
        self._mapped: List[mmap.mmap] = []

    @property
    def writable(self) -> bool:
        """Whether results can go to an arena."""
        return bool(self._results_name)

    def segments(self, reference: bytes) -> List[memoryview]:
        """The segments of a payload in the arena of arguments, mapped privately and writable."""
        offset, length = ARENA_REFERENCE.unpack(reference)
        if self._args < 0:
            self._args = _open(self._args_name, os.O_RDONLY)
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        if offset + length > os.fstat(self._args).st_size:
            raise ArenaError("%d bytes at %d lie outside the arena of arguments" % (length, offset))
        mapping = mmap.mmap(self._args, offset - start + length, access=mmap.ACCESS_COPY, offset=start)
        self._mapped.append(mapping)
        return split(memoryview(mapping)[offset - start : offset - start + length])

    def release(self) -> None:
        """The job is over: unmap what it got, and make its own what it has kept."""
        mapped, self._mapped = self._mapped, []
        for mapping in mapped:
            if sys.getrefcount(mapping) > _REFERENCES_FREE:
                for at in range(0, len(mapping), mmap.PAGESIZE):
                    mapping[at] = mapping[at]

    def capacity(self) -> int:
        """Of the whole arena of results. Raises ArenaError."""
        return len(self._region(0))

    def store(self, link: Link, parts: Parts) -> bytes:
        """Write a payload into a region that the agent gives us; returns the reference. Raises ArenaError, NoRoom."""
        if not self._results_name:
            raise ArenaError("this node has no shared memory for results")
        (offset,) = U64.unpack(link.ask(pack_frame(WANT_REGION, U64.pack(parts.size)), REGION))
        if offset == REFUSED:
            raise NoRoom("the node has no room for it in its shared memory")
        parts.write(memoryview(self._region(offset + parts.size))[offset : offset + parts.size])
        return ARENA_REFERENCE.pack(offset, parts.size)

    def _region(self, end: int) -> mmap.mmap:
        """The whole arena of results, mapped once: pages that have been touched stay warm."""
        if self._results is None or len(self._results) < end:
            descriptor = _open(self._results_name, os.O_RDWR)
            try:
                size = os.fstat(descriptor).st_size
                if size < end:
                    raise ArenaError("a region up to %d lies outside the arena of results" % end)
                self._results = mmap.mmap(descriptor, size)
            finally:
                if not self._results_name.startswith("fd:"):
                    os.close(descriptor)
        return self._results


def _open(name: str, flags: int) -> int:
    if not name:
        raise ArenaError("this node has no arena")
    return int(name[3:]) if name.startswith("fd:") else os.open(name, flags | getattr(os, "O_BINARY", 0))


def loads(segments: List[memoryview]) -> Any:
    """Unpickle a payload of segments."""
    return _pickle.loads(segments[0], buffers=segments[1:])


def copied(payload: memoryview) -> List[memoryview]:
    """The segments of a payload that came over the channel; its buffers are copies, so that they are writable."""
    segments = split(payload)
    return segments[:1] + [memoryview(bytearray(segment)) for segment in segments[1:]]


def lifted(name: str) -> str:
    """The same arena, its descriptor moved to where jobs do not reach."""
    from lightwork.worker.process import lift

    return "fd:%d" % lift(int(name[3:])) if name.startswith("fd:") else name
