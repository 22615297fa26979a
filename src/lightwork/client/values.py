"""Large values that come as streams, each into memory of its own: what is made of it are views of that memory.

stream --> anonymous memory            while all such values together are less than a quarter of this machine's
       --> a file without a name       beyond that: mapped privately when it is whole, so that it need not stay
                                       in memory until somebody looks at it
"""

from __future__ import annotations

import contextlib
import mmap
import sys
import tempfile
import weakref
from collections.abc import Callable
from typing import IO, Protocol

from lightwork.client.files import Fetcher
from lightwork.store.arena import default_capacity

Done = Callable[[memoryview | None, str], None]  # the memory, or why not
_HUGE = 4 << 20  # from here on in pages of 2 MiB, where the system has them


class _Place(Protocol):
    """Where one value is put."""

    def put(self, at: int, piece: bytes) -> None:
        """The next bytes. OSError: no room."""

    def whole(self) -> mmap.mmap:
        """All of them. OSError."""


class _Memory:
    def __init__(self, size: int) -> None:
        self._map = _anonymous(size)

    def put(self, at: int, piece: bytes) -> None:
        self._map[at : at + len(piece)] = piece

    def whole(self) -> mmap.mmap:
        return self._map


class _File:
    def __init__(self, size: int) -> None:
        self._size = size
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)

    def put(self, at: int, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]

    def whole(self) -> mmap.mmap:
        with self._file:
            return mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_COPY)


def _anonymous(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if sys.platform == "linux" and size >= _HUGE:
        with contextlib.suppress(OSError):  # a system without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class _Sink:
    """One stream."""

    def __init__(self, place: _Place, size: int, done: Done) -> None:
        self._place: _Place | None = place
        self._size = size
        self._done = done
        self._at = 0

    def write(self, piece: bytes) -> int:
        """The next bytes."""
        if self._place is not None:
            if self._at + len(piece) > self._size:
                raise OSError("more came than was announced")
            self._place.put(self._at, piece)
        self._at += len(piece)
        return len(piece)

    def finish(self) -> None:
        """All has come."""
        if self._at != self._size or self._place is None:
            self.fail(f"only {self._at:,} of {self._size:,} bytes came")
            return
        memory = self._place.whole()
        self._place = None
        self._done(memoryview(memory), "")

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        self._place = None
        self._done(None, reason)


class Values:
    """All of one session. They count until the last view of each is gone."""

    def __init__(self, memory_max: int = 0) -> None:
        self._most = memory_max or default_capacity() // 2
        self._held: dict[int, int] = {}
        self._numbers = 0

    def fetch(self, source: Fetcher, kind: str, name: str, size: int, done: Done) -> None:
        """Fetch a value ("spool" TOKEN/N, "blob" by digest); `done` is called in the thread that reads."""
        try:
            place = self._place(size)
        except (OSError, ValueError, OverflowError, MemoryError) as error:
            done(None, f"there is no room for it: {error}")
            return
        source.fetch(kind, name, _Sink(place, size, done))

    def _place(self, size: int) -> _Place:
        if size <= 0:
            raise ValueError("it is said to be empty")
        if sum(list(self._held.values())) + size > self._most:
            return _File(size)
        memory = _Memory(size)
        self._numbers += 1
        self._held[self._numbers] = size
        weakref.finalize(memory.whole(), self._held.pop, self._numbers).atexit = False
        return memory
