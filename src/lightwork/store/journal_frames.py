"""What the scheduler and its journal process say to each other, over two pipes: length, kind, content.

scheduler                              journal process
   <-- ROWS, ROWS, ... OPENED   or FAILED
   BATCH, BATCH -->  one transaction  <-- DURABLE
   ADOPT (a compacted file) -->       <-- ADOPTED or ABANDONED
   end of file -->  the rest, then it ends
                                      <-- FULL, ROOM, FAILED whenever it is so
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import Struct

ROWS, OPENED, BATCH, DURABLE, ADOPT, ADOPTED, ABANDONED, FULL, ROOM, FAILED = range(10)
FRAME_MAX = 1 << 30

_HEAD = Struct("<IB")
NUMBERS = Struct("<QQQ")
_BATCH = Struct("<QI")


def frame(kind: int, content: bytes = b"") -> bytes:
    """One word to the other side."""
    return _HEAD.pack(len(content), kind) + content


def batch(kind: int, last: int, bodies: Sequence[bytes]) -> bytes:
    """Several bodies as one frame; `last` is what DURABLE is going to say of them."""
    lengths = array("I", map(len, bodies)).tobytes()
    size = _BATCH.size + len(lengths) + sum(map(len, bodies))
    return b"".join((_HEAD.pack(size, kind), _BATCH.pack(last, len(bodies)), lengths, *bodies))


def unpack_batch(content: bytes) -> tuple[int, list[bytes]]:
    """`last` and the bodies."""
    last, count = _BATCH.unpack_from(content)
    at = _BATCH.size + 4 * count
    bodies = []
    for length in array("I", content[_BATCH.size : at]):
        bodies.append(content[at : at + length])
        at += length
    return last, bodies


class Parser:
    """Makes frames of what was read."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[tuple[int, bytes]]:
        """Frames that are complete now: kind, content."""
        self._buffer += data
        found, at = [], 0
        with memoryview(self._buffer) as view:
            while len(view) - at >= _HEAD.size:
                length, kind = _HEAD.unpack_from(view, at)
                if length > FRAME_MAX:
                    raise ValueError(f"a frame of {length:,} bytes")
                start = at + _HEAD.size
                if len(view) - start < length:
                    break
                at = start + length
                found.append((kind, bytes(view[start:at])))
        del self._buffer[:at]
        return found
