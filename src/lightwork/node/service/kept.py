"""The files in which a node keeps what it owes a durable scheduler: segments, written at their end alone.

    00000007.kept  00000008.kept  00000009.kept <-- append: one write, before anything that depends on it
      |              some records are still needed
      +-- none is: deleted, with all before it

A record is needed until it is forgotten; what is settled is written down, too, or a restart would tell it again. That
note is younger than what it speaks of, and segments go oldest first: so it never goes before. An old segment that stays
for the sake of few records is emptied by writing these once more (`stale`). Nothing is synced: a node that loses its
power is a node that is dead, but a process that is killed loses nothing of what it has written.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from lightwork.config import limits
from lightwork.node.service import kept_records as records
from lightwork.node.service.kept_records import MAGIC, Damage, Record
from lightwork.wire.frames import Buffer

_NAME = re.compile(r"\d{8}\.kept")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LIVE_TIMES = 4  # as many bytes as are needed may lie there


class _Segment(Struct, eq=False):
    path: Path
    size: int = 0
    needed: int = 0  # records


class _Place(Struct, gc=False):
    segment: int
    offset: int
    size: int


class Kept:
    """One directory of segments."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments: dict[int, _Segment] = {}  # oldest first
        self._places: dict[int, _Place] = {}  # of records that are needed, by number
        self._numbers = 0
        self._open = -1  # descriptor of the last segment, once we have written
        self._last = 0
        self.needed_bytes = 0
        self._bytes = 0  # in all
        self.damage = ""  # what was found to be wrong

    # --- from an earlier life ---

    def replay(self) -> Iterator[tuple[int, Record]]:
        """All records there are, in order, each with its number; those that are not needed are to be forgotten."""
        for path in sorted(self._directory.glob("*.kept")):
            if not _NAME.fullmatch(path.name):
                continue
            self._last = int(path.stem)
            segment = self._segments[self._last] = _Segment(path, path.stat().st_size)
            self._bytes += segment.size
            try:
                for found in records.read(path.read_bytes()):
                    yield self._note(self._last, segment, found.offset, found.size), found
            except Damage as error:
                self.damage = f"{path}: {error}"

    # --- writing ---

    def append(self, record: Sequence[Buffer], *, needed: bool = True) -> int:
        """Write a record; its number. OSError: there is no room; then nothing was written."""
        size = sum(map(len, record))
        if self._open < 0 or self._segments[self._last].size >= limits.KEPT_SEGMENT:
            self._begin()
        segment = self._segments[self._last]
        offset = segment.size
        try:
            self._write(record, size)
        except OSError:
            os.ftruncate(self._open, offset)
            os.lseek(self._open, offset, os.SEEK_SET)
            raise
        segment.size += size
        self._bytes += size
        return self._note(self._last, segment, offset, size) if needed else 0

    def _note(self, number: int, segment: _Segment, offset: int, size: int) -> int:
        self._numbers += 1
        self._places[self._numbers] = _Place(number, offset, size)
        segment.needed += 1
        self.needed_bytes += size
        return self._numbers

    def _begin(self) -> None:
        path = self._directory / f"{self._last + 1:08d}.kept"
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            os.write(descriptor, MAGIC)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        self.close()
        self._open, self._last = descriptor, self._last + 1
        self._segments[self._last] = _Segment(path, len(MAGIC))
        self._bytes += len(MAGIC)
        self._drop_unneeded()

    def _write(self, record: Sequence[Buffer], size: int) -> None:
        if hasattr(os, "writev"):
            written = os.writev(self._open, record)
        else:
            written = os.write(self._open, b"".join(record))
        if written < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # --- reading ---

    def payload(self, number: int) -> bytes:
        """What a record holds. OSError, Damage: it cannot be read any more."""
        place = self._places[number]
        segment = self._segments[place.segment]
        with open(segment.path, "rb") as file:
            file.seek(place.offset)
            data = file.read(place.size)
        found = next(records.read(MAGIC + data), None)
        if found is None:
            raise Damage(f"{segment.path} has become shorter")
        return bytes(found.payload)

    # --- forgetting ---

    def forget(self, numbers: Iterable[int]) -> None:
        """Nobody needs these records any more."""
        for number in numbers:
            place = self._places.pop(number, None)
            if place is not None:
                self._segments[place.segment].needed -= 1
                self.needed_bytes -= place.size
        self._drop_unneeded()

    def _drop_unneeded(self) -> None:
        while len(self._segments) > 1:
            number, segment = next(iter(self._segments.items()))
            if segment.needed:
                return
            segment.path.unlink(missing_ok=True)
            del self._segments[number]
            self._bytes -= segment.size

    def stale(self) -> list[int]:
        """Records that should be written once more, at the end, and then be forgotten where they are."""
        if self._bytes <= limits.KEPT_SPARE + _LIVE_TIMES * self.needed_bytes or len(self._segments) < 2:
            return []
        oldest = next(iter(self._segments))
        return [number for number, place in self._places.items() if place.segment == oldest]

    @property
    def empty(self) -> bool:
        """Whether nothing here is needed."""
        return not self._places

    def close(self) -> None:
        """Write no more."""
        if self._open >= 0:
            os.close(self._open)
            self._open = -1
