"""Regions of the results arena that a worker asked for and that no outcome has named yet."""

from __future__ import annotations

from typing import Protocol

from lightwork.node.service.ring import Records
from lightwork.wire.channel import REFUSED, REGION, U64, pack_frame
from lightwork.wire.outcome import ARENA_REFERENCE, ENVELOPE, IN_ARENA, decode_outcome


class Allocator(Protocol):
    """The results arena."""

    def allocate(self, size: int) -> int | None:
        """The offset of a free region; None: there is none."""

    def free(self, offset: int) -> None:
        """Nobody needs it any more."""


class Regions:
    """Of one worker."""

    def __init__(self, arena: Allocator | None) -> None:
        self._arena = arena
        self._asked: set[int] = set()

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self._asked)

    def answer(self, size: int) -> bytes:
        """The frame that answers a worker's wish."""
        offset = self._arena.allocate(size) if self._arena is not None else None
        if offset is not None:
            self._asked.add(offset)
        return pack_frame(REGION, U64.pack(REFUSED if offset is None else offset))

    def used(self, reference: bytes) -> None:
        """It travels on: whoever takes it frees it."""
        if len(reference) == ARENA_REFERENCE.size:
            self._asked.discard(ARENA_REFERENCE.unpack(reference)[0])

    def used_by(self, records: Records) -> None:
        """Those named in these outcomes."""
        at = 0
        for status, length in zip(records.statuses, records.lengths, strict=True):
            if status & IN_ARENA:
                outcome = records.body[at : at + length]
                self.used(decode_outcome(outcome).value if status & ENVELOPE else outcome)
            at += length

    def release_all(self) -> None:
        """The worker is gone, and with it what it was about to write there."""
        if self._arena is not None:
            for offset in self._asked:
                self._arena.free(offset)
        self._asked.clear()
