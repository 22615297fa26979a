"""The files in which a node keeps what it owes (node/service/kept.py), without a disk: the same calls, the same rules.

What was appended is there for whoever comes next, also what was forgotten meanwhile: only whole segments go, the oldest
first, when nothing in them is needed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence

from lightwork.node.service.kept_records import HEAD, Record
from lightwork.wire.frames import Buffer

SEGMENT = 6  # records
MANY = 40  # then old segments are written anew


class Log:
    """What lies in one directory: segments of records."""

    def __init__(self) -> None:
        self.segments: dict[int, list[tuple[int, bytes]]] = {}

    def torn(self, keep: int) -> None:
        """Only so many records are still there: the machine has lost its power."""
        for number, segment in list(self.segments.items()):
            if keep < len(segment):
                del segment[max(keep, 0) :]
            keep -= len(segment)
            if not segment:
                del self.segments[number]

    def __len__(self) -> int:
        return sum(map(len, self.segments.values()))


class MemoryKept:
    """One life's view of it. `writes`: told before and after each record that is written; may raise."""

    def __init__(self, log: Log, writes: Callable[[str], None]) -> None:
        self._log = log
        self._writes = writes
        self._places: dict[int, tuple[int, int]] = {}  # segment and index, by number
        self._needed: dict[int, int] = {}
        self._numbers = 0
        self._known: dict[int, None] = {}  # segments that were read, or written, oldest first
        self._last = 0
        self._open = False
        self.damage = ""

    def replay(self) -> Iterator[tuple[int, Record]]:
        """All records, in order."""
        for segment, found in list(self._log.segments.items()):
            self._last = segment
            self._known[segment] = None
            for index, (kind, payload) in enumerate(list(found)):
                yield self._note(segment, index), Record(kind, 0, len(payload), memoryview(payload))

    def append(self, record: Sequence[Buffer], *, needed: bool = True) -> int:
        """Write one. OSError: there is no room."""
        self._writes("before")
        data = b"".join(record)
        _, kind, _, _ = HEAD.unpack_from(data)
        if not self._open or len(self._log.segments[self._last]) >= SEGMENT:
            if self._last + 1 in self._log.segments:
                raise FileExistsError(self._last + 1)
            self._last += 1
            self._log.segments[self._last] = []
            self._known[self._last] = None
            self._open = True
            self._drop()
        segment = self._log.segments[self._last]
        segment.append((kind, data[HEAD.size :]))
        number = self._note(self._last, len(segment) - 1) if needed else 0
        self._writes("after")
        return number

    def _note(self, segment: int, index: int) -> int:
        self._numbers += 1
        self._places[self._numbers] = segment, index
        self._needed[segment] = self._needed.get(segment, 0) + 1
        return self._numbers

    def payload(self, number: int) -> bytes:
        """What it holds."""
        segment, index = self._places[number]
        return self._log.segments[segment][index][1]

    def forget(self, numbers: Iterable[int]) -> None:
        """Nobody needs these any more."""
        for number in numbers:
            place = self._places.pop(number, None)
            if place is not None:
                self._needed[place[0]] -= 1
        self._drop()

    def _drop(self) -> None:
        while len(self._known) > 1:
            oldest = next(iter(self._known))
            if self._needed.get(oldest):
                return
            self._needed.pop(oldest, None)
            del self._known[oldest], self._log.segments[oldest]

    def stale(self) -> list[int]:
        """Records of the oldest segment, if there are many segments."""
        if len(self._known) < MANY // SEGMENT:
            return []
        oldest = next(iter(self._known))
        return [number for number, place in self._places.items() if place[0] == oldest]

    @property
    def empty(self) -> bool:
        """Whether nothing here is needed."""
        return not self._places

    def close(self) -> None:
        """Write no more."""


def no_room() -> OSError:
    """The error of a full disk."""
    return OSError(errno.ENOSPC, "No space left on device")
