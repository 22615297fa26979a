"""The agent's end of a worker's shared file, for whole batches (layout and rules: wire/shared_file.py).

What was drained is free at once; in a `lasting` ring it stays until it is let go of by `free`, for it may be all that
is left of a result.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from lightwork.node.service.ring_file import Part, Words
from lightwork.wire.channel import U64
from lightwork.wire.outcome import KIND_MASK, REVOKED
from lightwork.wire.shared_file import (
    BODY,
    BODY_AT,
    BODY_HEAD,
    CANCEL,
    CLAIM,
    ENDED,
    FILE_SIZE,
    MAGIC,
    RECORD,
    RECORD_HEAD,
    RECORD_TAIL,
    RECORDS,
    RECORDS_AT,
    REVOKE,
    STARTED,
    STARTED_NS,
    WORD_MAGIC,
    words_of,
)

_Parts: TypeAlias = tuple[memoryview | Words, memoryview | Part, memoryview | Part]


class Records(Struct):
    """What came out of a ring, in columns; `body`: the outcomes one after another."""

    tokens: list[int]
    starts_ns: list[int]
    durations_ns: list[int]
    lengths: list[int]
    statuses: list[int]
    body: bytes
    until: tuple[int, int] | None = None  # in a lasting ring: what is to be freed once their ends are kept
    others: list[int] = []  # ... and the ends of these


def _reserve(descriptor: int) -> None:
    """Room for the whole file: on a full disk a store into a hole of it would kill us. OSError: there is none."""
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, FILE_SIZE)
    else:
        os.truncate(descriptor, FILE_SIZE)


class Ring:
    """One shared file. `theirs`: it is to be another user's (ring_file.py)."""

    def __init__(self, path: Path, create: bool = True, lasting: bool = False, theirs: bool = False) -> None:
        self.path = path
        self.lasting = lasting
        self._closed = False
        self._undo = ExitStack()
        flags = os.O_RDWR | os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else os.O_RDWR | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags | (os.O_CREAT | os.O_EXCL if create else 0), 0o600)
        try:
            if create:
                _reserve(descriptor)
            self._words, self._records, self._bodies = (self._read_from if theirs else self._map)(descriptor)
        finally:
            os.close(descriptor)
        if create:
            self._words[WORD_MAGIC] = MAGIC
        self._head, self._body_head = (
            self._words[RECORD_HEAD],
            self._words[BODY_HEAD],
        )  # of a lasting one, as we read it

    def _map(self, descriptor: int) -> _Parts:
        mapped = self._undo.enter_context(mmap.mmap(descriptor, FILE_SIZE))
        view = self._undo.enter_context(memoryview(mapped))
        parts = words_of(view), view[RECORDS_AT:BODY_AT], view[BODY_AT:]
        for part in parts:
            self._undo.enter_context(part)
        return parts

    def _read_from(self, descriptor: int) -> _Parts:
        file = self._undo.enter_context(open(os.dup(descriptor), "r+b", buffering=0))
        return Words(file), Part(file, RECORDS_AT), Part(file, BODY_AT)

    @property
    def tail(self) -> int:
        """How many records there ever were."""
        return self._words[RECORD_TAIL]

    @property
    def started(self) -> int:
        """The attempt that started last."""
        return self._words[STARTED]

    @property
    def started_ns(self) -> int:
        """When that was, by the monotonic clock."""
        return self._words[STARTED_NS]

    @property
    def running(self) -> int:
        """The attempt that has started and not ended; 0 if none."""
        started = self._words[STARTED]
        return 0 if self._words[ENDED] == started else started

    @property
    def unrecorded(self) -> int:
        """The attempt that has started and has no record, of a worker that is dead; 0 if none."""
        started, tail = self._words[STARTED], self._words[RECORD_TAIL]
        if not tail:
            return started
        at = (tail - 1) % RECORDS * RECORD.size
        (last,) = U64.unpack(self._records[at : at + U64.size])
        return 0 if last == started else started

    def revoke(self, serial: int) -> None:
        """Jobs up to this serial that have not started shall not."""
        self._words[REVOKE] = serial

    def cancel(self, token: int) -> None:
        """The interrupt that follows is meant for this attempt."""
        self._words[CANCEL] = token

    def claim(self, token: int) -> None:
        """We read the output of this attempt; 0: no longer."""
        self._words[CLAIM] = token

    def start(self, token: int) -> None:
        """Write the started word of a process that cannot do so itself."""
        self._words[STARTED_NS] = time.monotonic_ns()
        self._words[STARTED] = token

    def undrained(self) -> list[int]:
        """Attempts that ended and are still in the ring; without those that the worker skipped."""
        head, tail = self._read_up_to(), self._words[RECORD_TAIL]
        if not 0 <= tail - head <= RECORDS:
            return []  # not the worker's own any more: `drain` will say so
        found = []
        for number in range(head, tail):
            at = number % RECORDS * RECORD.size
            token, _, _, _, _, status = RECORD.unpack(self._records[at : at + RECORD.size])
            if status & KIND_MASK != REVOKED:
                found.append(token)
        return found

    def drain(self, tail: int) -> list[Records]:
        """All records before number `tail`; their room is free again. ValueError: its words cannot be true."""
        words = self._words
        head = self._read_up_to()
        if not 0 <= tail - head <= RECORDS:
            raise ValueError("a ring with %d records" % (tail - head))
        found = []
        while head < tail:
            end = min(tail, head + RECORDS - head % RECORDS)
            records = self._read(head % RECORDS, end - head)
            found.append(records)
            head = end
            if self.lasting:
                self._head, records.until = end, (end, self._body_head)
            else:
                words[BODY_HEAD] = self._body_head
                words[RECORD_HEAD] = end
        return found

    def free(self, until: tuple[int, int]) -> None:
        """The ends of the records up to there are kept."""
        if not self._closed:
            self._words[BODY_HEAD] = until[1]
            self._words[RECORD_HEAD] = until[0]

    def _read_up_to(self) -> int:
        if self.lasting:
            return self._head
        self._body_head = self._words[BODY_HEAD]
        return self._words[RECORD_HEAD]

    def close(self) -> None:
        """Unmap."""
        self._closed = True
        self._undo.close()

    def _read(self, at: int, count: int) -> Records:
        size = RECORD.size
        rows = RECORD.iter_unpack(self._records[at * size : (at + count) * size])
        tokens, starts, durations, positions, lengths, statuses = map(list, zip(*rows, strict=True))
        total = sum(lengths)
        begin, end = positions[0], positions[-1] + lengths[-1]
        if end - begin == total:
            body = bytes(self._bodies[begin:end])
            self._body_head += (begin - self._body_head) % BODY + total
        else:
            body = self._around(positions, lengths)
        return Records(tokens, starts, durations, lengths, statuses, body)

    def _around(self, positions: list[int], lengths: list[int]) -> bytes:
        """The bodies where they go round the end of the ring."""
        parts, head = [], self._body_head
        for position, length in zip(positions, lengths, strict=True):
            if length:
                head += (position - head) % BODY + length
                parts.append(self._bodies[position : position + length])
        self._body_head = head
        return b"".join(parts)
