"""Records of what a node keeps for a durable scheduler, in bytes and back.

    segment = MAGIC, then records
    record  = u32 size | u8 kind | 3 zeros | u32 crc of the payload | u32 crc of these 12 bytes | payload

    ASSIGNED  [session, runs of tokens, job numbers]    whose these attempts are
    TOLD      u64 time | a frame of the wire            an end (Ended, Died), or a file (AttemptFile), as it was said
    SETTLED   runs of tokens                            the scheduler has their ends for good

Who is killed in the middle of a write leaves a record that is too short: what is before it counts, and nothing was
promised of the rest. Anything else that is wrong is damage: then nobody knows what the rest has said.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import msgspec
from msgspec import Struct

from lightwork.config.limits import BODY_MAX, HEADER_MAX
from lightwork.model.errors import ProtocolError
from lightwork.wire.frames import PREFIX, Buffer, decode_header, encode_frame
from lightwork.wire.messages import Message

MAGIC = b"LWKEPT1\n"
ASSIGNED, TOLD, SETTLED = 1, 2, 3
SIZE_MAX = BODY_MAX + HEADER_MAX + 64
HEAD = struct.Struct("<IBxxxII")
TIME = struct.Struct("<Q")
_CHECKED = HEAD.size - 4  # what the head's own sum is over
Runs = list[tuple[int, int]]

_pack = msgspec.msgpack.Encoder().encode
_unpack_assigned = msgspec.msgpack.Decoder(tuple[str, Runs, list[int]]).decode
_unpack_settled = msgspec.msgpack.Decoder(Runs).decode


class Damage(Exception):
    """A record is not what was written; the text says where."""


class Record(Struct):
    """One that was read: where it lies in its segment, and how long it is in all."""

    kind: int
    offset: int
    size: int
    payload: memoryview


def record(kind: int, payload: Sequence[Buffer]) -> list[Buffer]:
    """The bytes of a record, to be written at once."""
    size = check = 0
    for part in payload:
        size += len(part)
        check = crc32(part, check)
    head = HEAD.pack(size, kind, check, 0)
    return [head[:_CHECKED] + struct.pack("<I", crc32(head[:_CHECKED])), *payload]


def assigned(session: str, tokens: Sequence[int], numbers: Sequence[int]) -> list[Buffer]:
    """Whose these attempts are."""
    return record(ASSIGNED, [_pack((session, runs(tokens), list(numbers)))])


def told(message: Message, body: Buffer, now_ns: int) -> list[Buffer]:
    """What the scheduler is told, and when it was (ns that count suspend)."""
    return record(TOLD, [TIME.pack(now_ns), *encode_frame(message, body)])


def settled(tokens: Iterable[int]) -> list[Buffer]:
    """These are no longer owed."""
    return record(SETTLED, [_pack(runs(tokens))])


def read(data: Buffer) -> Iterator[Record]:
    """All records of a segment, as far as they are whole. Damage: behind those that came."""
    view, at = memoryview(data), len(MAGIC)
    if view[:at] != MAGIC[: len(view)]:
        raise Damage("it does not begin like one of ours")
    while at + HEAD.size <= len(view):
        size, kind, check, own = HEAD.unpack_from(view, at)
        if crc32(view[at : at + _CHECKED]) != own or size > SIZE_MAX:
            raise Damage(f"the record at byte {at:,} is no record")
        end = at + HEAD.size + size
        if end > len(view):
            return
        payload = view[at + HEAD.size : end]
        if crc32(payload) != check:
            raise Damage(f"the record at byte {at:,} is not what was written")
        yield Record(kind, at, end - at, payload)
        at = end


def read_assigned(payload: Buffer) -> tuple[str, list[int], list[int]]:
    """Session, tokens, job numbers."""
    session, found, numbers = _unpack_assigned(payload)
    return session, tokens_of(found), numbers


def read_told(payload: Buffer) -> tuple[Message, memoryview, int]:
    """The message, its body, and when it was told. Damage: it is none (a later version's, perhaps)."""
    view = memoryview(payload)
    try:
        (told_ns,) = TIME.unpack_from(view)
        header, size = PREFIX.unpack_from(view, TIME.size)
        begin = TIME.size + PREFIX.size + header
        if begin + size != len(view):
            raise Damage(f"a frame of {len(view):,} bytes should have {begin + size:,}")
        return decode_header(view[TIME.size + PREFIX.size : begin]), view[begin:], told_ns
    except (struct.error, ProtocolError) as error:
        raise Damage(str(error)) from None


def read_settled(payload: Buffer) -> list[int]:
    """The tokens."""
    return tokens_of(_unpack_settled(payload))


def runs(tokens: Iterable[int]) -> Runs:
    """`[7, 8, 9, 20]` as `[(7, 3), (20, 1)]`; in the order given."""
    found: Runs = []
    first = count = 0
    for token in tokens:
        if count and token == first + count:
            count += 1
            continue
        if count:
            found.append((first, count))
        first, count = token, 1
    if count:
        found.append((first, count))
    return found


def tokens_of(found: Runs) -> list[int]:
    """The other way."""
    return [token for first, count in found for token in range(first, first + count)]
