"""The layout of a payload that has out-of-band buffers (pickle protocol 5), for shared memory.

    small payload   = the pickle itself (begins with 0x80)
    large payload   = MAGIC | u64 count | u64 length of each segment | segments, each at a multiple of ALIGNMENT

Segment 0 is the pickle, the others its buffers in order. A payload without buffers may always be the bare pickle.
Stdlib only, any Python from 3.8.
"""

from __future__ import annotations

import struct
from typing import List, Sequence, Tuple

MAGIC = b"\0LWSEG\0\1"
ALIGNMENT = 64
_COUNT = struct.Struct("<8sQ")
SEGMENTS_MAX = 1 << 20


def _aligned(offset: int) -> int:
    return (offset + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def plan(lengths: Sequence[int]) -> Tuple[bytes, List[int], int]:
    """Header bytes, the offset of each segment, and the payload's size, for segments of these lengths (bytes)."""
    header = _COUNT.pack(MAGIC, len(lengths)) + struct.pack("<%dQ" % len(lengths), *lengths)
    offsets = []
    at = _aligned(len(header))
    for length in lengths:
        offsets.append(at)
        at = _aligned(at + length)
    return header, offsets, at


def split(payload: memoryview) -> List[memoryview]:
    """The segments of a payload, the pickle first; raises ValueError if they do not fit into it."""
    if bytes(payload[: len(MAGIC)]) != MAGIC:
        return [payload]
    if len(payload) < _COUNT.size:
        raise ValueError("a payload of segments ends within its header")
    _, count = _COUNT.unpack_from(payload)
    if count > SEGMENTS_MAX or _COUNT.size + 8 * count > len(payload):
        raise ValueError("a payload of %d segments cannot have %d bytes" % (count, len(payload)))
    lengths = struct.unpack_from("<%dQ" % count, payload, _COUNT.size)
    _, offsets, size = plan(lengths)
    if size > _aligned(len(payload)):
        raise ValueError("segments of %d bytes do not fit into %d" % (size, len(payload)))
    return [payload[at : at + length] for at, length in zip(offsets, lengths)]
