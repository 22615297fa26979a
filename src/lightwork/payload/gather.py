"""Pickling without a second copy.

    Pickler --write--> pieces: [frame, <the user's own bytes object>, frame, ...]      nothing large is copied
            --buffers-> [array's memory, ...]                                            nor here

The pickler hands large bytes to `write` as they are, and arrays to the buffer callback; both are kept by reference.
Then the size is known, a region can be found, and everything is written straight into it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from lightwork.config import limits
from lightwork.wire import segments

OUT_OF_BAND_MIN = 64 << 10  # smaller buffers travel inside the pickle

MakePickler = Callable[["_File", Callable[[pickle.PickleBuffer], bool]], Any]


class _File:
    """What a pickler needs of a file."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], object]) -> None:
        self.write = write


class LargePayload:
    """A payload of `size` bytes that has not been written yet; it holds the user's own memory."""

    __slots__ = ("_buffers", "_header", "_offsets", "_pieces", "size")

    def __init__(self, pieces: list[memoryview], buffers: list[memoryview]) -> None:
        self._pieces = pieces
        self._buffers = buffers
        lengths = [sum(piece.nbytes for piece in pieces), *(buffer.nbytes for buffer in buffers)]
        self._header, self._offsets, self.size = segments.plan(lengths)

    def texts(self, most: int) -> list[bytes]:
        """The pieces of the pickle itself that are no larger than this: what is, is data."""
        return [piece.tobytes() for piece in self._pieces if piece.nbytes <= most]

    def write_into(self, target: memoryview) -> None:
        """Write the payload to the beginning of `target`, which has at least `size` bytes."""
        target[: len(self._header)] = self._header
        at = self._offsets[0]
        for piece in self._pieces:
            target[at : at + piece.nbytes] = piece
            at += piece.nbytes
        for offset, buffer in zip(self._offsets[1:], self._buffers, strict=True):
            target[offset : offset + buffer.nbytes] = buffer

    def to_bytes(self) -> bytes:
        """The payload in memory of its own, for where there is no arena."""
        whole = bytearray(self.size)
        self.write_into(memoryview(whole))
        return bytes(whole)


Payload = bytes | LargePayload


def gather(value: object, make_pickler: MakePickler) -> Payload:
    """Pickle `value`: bytes if it is small (always a bare pickle), else a `LargePayload`."""
    pieces: list[memoryview] = []
    buffers: list[memoryview] = []

    def take(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_MIN:
            return True
        buffers.append(raw)
        return False

    make_pickler(_File(lambda piece: pieces.append(memoryview(piece).cast("B"))), take).dump(value)
    size = sum(piece.nbytes for piece in pieces) + sum(buffer.nbytes for buffer in buffers)
    if size >= limits.INLINE_MAX:
        return LargePayload(pieces, buffers)
    if not buffers:
        return b"".join(pieces)
    pieces.clear()
    make_pickler(_File(lambda piece: pieces.append(memoryview(piece).cast("B"))), lambda buffer: True).dump(value)
    return b"".join(pieces)
