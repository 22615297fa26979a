"""The arena: one sparse shared file in which large arguments and results live, and who has which part of it.

    offset 0                                                          capacity
    | used | free, warm | used | used | free, warm | free, never touched  ... |

Copying into fresh pages costs many times a copy into warm ones, so the whole file is mapped once and freed regions are
used again before untouched ones: first the smallest warm hole that fits, then the lowest place. What stays free and
warm past `keep` bytes is given back to the system, from the top down, by punching holes.

`Regions` decides (pure); `Arena` maps. Exactly one process allocates in an arena; the others are told offsets.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import sys
import tempfile
from collections.abc import Callable

from lightwork.store.extents import Extents

GRANULE = mmap.ALLOCATIONGRANULARITY
KEEP = 256 << 20
_CAPACITY_MIN = 256 << 20
_CAPACITY_MAX = 1 << 40


class Regions:
    """Who has which part of `capacity` bytes; sizes are rounded up to whole granules."""

    def __init__(self, capacity: int, granule: int = GRANULE) -> None:
        self.capacity = capacity // granule * granule
        self.granule = granule
        self._sizes: dict[int, int] = {}
        self._free = Extents()
        self._warm = Extents()  # free, and touched since it was last given back
        if self.capacity:
            self._free.add(0, self.capacity)

    @property
    def used(self) -> int:
        """Bytes handed out."""
        return self.capacity - self._free.total

    @property
    def warm(self) -> int:
        """Bytes free but still backed by memory."""
        return self._warm.total

    def allocate(self, size: int) -> int | None:
        """The offset of a free region of at least `size` bytes, or None if there is none."""
        size = max(size + self.granule - 1, 1) // self.granule * self.granule or self.granule
        offset = self._smallest(self._warm, size)
        if offset is None:
            offset = self._lowest(self._free, size)
        if offset is None:
            return None
        self._free.remove(offset, offset + size)
        self._warm.remove(offset, offset + size)
        self._sizes[offset] = size
        return offset

    def free(self, offset: int) -> None:
        """A region is free again; KeyError if `offset` is none that was allocated."""
        size = self._sizes.pop(offset)
        self._free.add(offset, offset + size)
        self._warm.add(offset, offset + size)

    def trim(self, keep: int) -> list[tuple[int, int]]:
        """Ranges to give back to the system, highest first, so that at most `keep` free bytes stay warm."""
        given_back = []
        for start, end in reversed(list(self._warm)):
            surplus = self._warm.total - keep
            if surplus <= 0:
                break
            start = max(start, (end - surplus) // self.granule * self.granule)
            self._warm.remove(start, end)
            given_back.append((start, end))
        return given_back

    @staticmethod
    def _smallest(extents: Extents, size: int) -> int | None:
        fitting = [(end - start, start) for start, end in extents if end - start >= size]
        return min(fitting)[1] if fitting else None

    @staticmethod
    def _lowest(extents: Extents, size: int) -> int | None:
        return next((start for start, end in extents if end - start >= size), None)


def default_capacity() -> int:
    """Half of this machine's memory: an arena that grew past it would end in the out-of-memory killer."""
    if sys.platform == "win32":
        return 1 << 30  # a file of this size is reserved on disk there
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(physical // 2, _CAPACITY_MIN), _CAPACITY_MAX)


class Arena:
    """A shared file, mapped. Made by `create`, or opened by the descriptor or path of another process's."""

    def __init__(self, descriptor: int, path: str = "", *, keep: int = KEEP) -> None:
        self.descriptor = descriptor
        self.path = path  # "" if it has none
        self.capacity = os.fstat(descriptor).st_size
        self._keep = keep
        self._regions: Regions | None = None
        self._map: mmap.mmap | None = mmap.mmap(descriptor, self.capacity)
        self._memory = memoryview(self._map)

    @classmethod
    def create(cls, capacity: int = 0, *, directory: str = "", keep: int = KEEP) -> Arena:
        """A new one. In `directory`, or where there are no memory files, it has a path, which the caller removes.

        Raises OSError if there is no room for it.
        """
        capacity = (capacity or default_capacity()) // GRANULE * GRANULE
        path = ""
        if sys.platform == "linux" and not directory:
            descriptor = os.memfd_create("lightwork-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        else:
            descriptor, path = tempfile.mkstemp(prefix="arena-", dir=directory or None)
        try:
            os.truncate(descriptor, capacity)
            if not path:
                _seal(descriptor)
            return cls(descriptor, path, keep=keep)
        except BaseException:
            os.close(descriptor)
            if path:
                os.unlink(path)
            raise

    @classmethod
    def open(cls, path: str, *, keep: int = KEEP) -> Arena:
        """One that another process made, by its path."""
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        return cls(os.open(path, flags), path, keep=keep)

    @property
    def regions(self) -> Regions:
        """The book of regions. Only the one process that allocates in this arena may ask for it."""
        if self._regions is None:
            self._regions = Regions(self.capacity)
        return self._regions

    def allocate(self, size: int) -> int | None:
        """The offset of a region of at least `size` bytes, or None if the arena is full."""
        return self.regions.allocate(size)

    def free(self, offset: int) -> None:
        """Give a region back; KeyError if it was not allocated."""
        self.regions.free(offset)
        if self.regions.warm > self._keep:
            self.trim(self._keep // 2)  # seldom, and then much

    def trim(self, keep: int = 0) -> None:
        """Give free memory back to the system, all but `keep` bytes. Without hole punching nothing happens."""
        punch = _hole_puncher(self._map)
        for start, end in self.regions.trim(keep):
            if punch is not None:
                with contextlib.suppress(OSError):  # a file system without holes: the memory stays, the region is free
                    punch(start, end - start)

    def view(self, offset: int, size: int) -> memoryview:
        """The shared memory of a region; ValueError if it is not all inside the arena."""
        if offset < 0 or size < 0 or offset + size > self.capacity:
            raise ValueError(f"region {offset}+{size} lies outside of an arena of {self.capacity} bytes")
        return self._memory[offset : offset + size]

    def private(self, offset: int, size: int) -> mmap.mmap:
        """A region mapped once more, copy on write; `offset` as allocated. Raises OSError when descriptors run out."""
        self.view(offset, size)
        return mmap.mmap(self.descriptor, size, access=mmap.ACCESS_COPY, offset=offset)

    def close(self) -> None:
        """Let go of file and mapping; memory that somebody still views lives until the last view is gone."""
        if self._map is None:
            return
        self._map = None
        self._memory = memoryview(b"")
        os.close(self.descriptor)
        self.descriptor = -1


def _seal(descriptor: int) -> None:
    """Its size is for ever: a job that cut it off would kill all who have it mapped."""
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)


def _hole_puncher(mapping: mmap.mmap | None) -> Callable[[int, int], object] | None:
    if sys.platform != "linux" or mapping is None:
        return None
    return functools.partial(mapping.madvise, mmap.MADV_REMOVE)
