"""What the fuzzers feed to a connection, and what must hold of it whatever they feed.

    input = 1 byte of choices (role, hello or not, how the service behaves, how bytes are cut) | the bytes themselves

The plain fuzzer (test_fuzz.py) makes inputs from real messages, spoilt; the soak test lets coverage guide it.
"""

from __future__ import annotations

import random
import struct
from typing import Any, get_args

import msgspec
from msgspec import inspect

from lightwork.config.limits import BODY_MAX, CHUNK, HEADER_MAX, READ_BUFFER, STREAMS_MAX
from lightwork.model.errors import PeerError
from lightwork.wire.connection import Connection
from lightwork.wire.frames import PREFIX, decode_header, encode_frame
from lightwork.wire.messages import PROTOCOL, Chunk, Fetch, Hello, Message, Refused

OURS, THEIRS = Hello(PROTOCOL, "scheduler", "s"), Hello(PROTOCOL, "client", "c")
GREETING = b"".join(encode_frame(THEIRS))
KINDS: tuple[type[msgspec.Struct], ...] = get_args(Message)
LISTENING, GREETED, SERVES, REFUSES, ASKS, SMALL_PIECES = 1, 2, 4, 8, 16, 32
_ANSWER = 4  # bytes at most for each byte that came, beside streams, the hello and what is wrong
_SERVED = CHUNK + 1000
_ZEROS = bytes(CHUNK)
_CUT = 80  # so many bytes come in small pieces
_TEXTS = ["", "x", "blob", "n" * 200, "\u00e9\U0001f600", "a\0b"]
_NUMBERS = [0, 1, 2, 7, -1, 127, 128, 255, 256, 65535, 1 << 31, (1 << 32) - 1, 1 << 63, -(1 << 63), CHUNK, BODY_MAX]


class Source:
    """Bytes for who asks; closed once."""

    def __init__(self) -> None:
        self.left = _SERVED
        self.closed = 0

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return _ZEROS[:size]

    def close(self) -> None:
        self.closed += 1


def one_input(data: bytes) -> Connection:
    """Run it; AssertionError, or whatever is raised, is a finding."""
    choices, data = data[0] if data else 0, data[1:]
    connection = Connection(OURS, listening=bool(choices & LISTENING), check=_check)
    if choices & GREETED:
        connection.feed(GREETING)
        assert connection.peer == THEIRS
    if choices & ASKS:
        connection.fetch("blob", "x")
        connection.fetch("spool", "1/0", 5)
    sources: list[Source] = []
    view, turn = memoryview(data), 0
    while view:
        room = connection.room()
        assert 0 < len(room) <= max(READ_BUFFER, 2 * (HEADER_MAX + CHUNK))
        size = min(len(room), len(view))
        if choices & SMALL_PIECES and len(data) - len(view) < _CUT:
            size = min(size, (1, 9, 3, 30)[turn % 4])
        room[:size] = view[:size]
        ended = connection.error is not None
        frames = connection.received(size)
        assert not (ended and frames)
        _serve(connection, frames, choices, sources)
        view, turn = view[size:], turn + 1
    if choices & GREETED and len(data) >= PREFIX.size:
        header_size, body_size = PREFIX.unpack_from(data)
        assert connection.error is not None or (header_size <= HEADER_MAX and body_size <= BODY_MAX)
    _check_state(connection, len(data), sources)
    return connection


def _check(hello: Hello) -> Refused | None:
    return Refused("busy", "serves another") if hello.name == "n" * 200 else None


def _serve(connection: Connection, frames: list[Any], choices: int, sources: list[Source]) -> None:
    for message, body in frames:
        assert type(message) in KINDS
        assert type(body) is bytes
        assert len(body) <= BODY_MAX
        if type(message) is Fetch and choices & SERVES:
            sources.append(Source())
            connection.serve(message.stream, sources[-1])
        elif type(message) is Fetch and choices & REFUSES:
            connection.refuse(message.stream, "no")
        elif type(message) is Chunk and body:
            connection.consumed(message.stream, len(body))


def _check_state(connection: Connection, size: int, sources: list[Source]) -> None:
    error = connection.error
    assert error is None or isinstance(error, PeerError)
    assert len(str(error)) < 2000
    reader = connection.reader
    assert sum(map(len, reader._pieces)) <= size
    assert len(connection._server._streams) <= STREAMS_MAX
    assert connection.queued_bytes >= 0
    assert error is None or all(source.closed == 1 for source in sources)
    output = 0
    for _ in range(size + 100):
        found = connection.data_to_send()
        if not found:
            break
        if not output:
            first = b"".join(found)
            header = decode_header(first[PREFIX.size : PREFIX.size + PREFIX.unpack_from(first)[0]])
            assert type(header) in (Hello, Refused)  # nothing overtakes the greeting
        output += sum(map(len, found))
    assert not connection.has_output
    streamed = sum(_SERVED - source.left + 100 for source in sources)
    assert output <= streamed + 3 * len(GREETING) + 2 * len(str(error)) + _ANSWER * size
    assert connection.queued_bytes == 0 or connection._held
    connection.lost()
    assert all(source.closed == 1 for source in sources)
    assert not connection.has_output


# --- inputs ---


def sample(kind: Any, chance: random.Random) -> Any:
    """Some value of a type, likely at its edges."""
    return _sample(inspect.type_info(kind), chance, 0)


def _sample(kind: inspect.Type, chance: random.Random, depth: int) -> Any:
    if isinstance(kind, inspect.StructType):
        return kind.cls(*(_sample(field.type, chance, depth + 1) for field in kind.fields))
    if isinstance(kind, inspect.UnionType):
        return _sample(chance.choice(kind.types), chance, depth)
    few = 0 if depth > 4 else chance.choice([0, 1, 2, 5])
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return [_sample(kind.item_type, chance, depth + 1) for _ in range(few)]
    if isinstance(kind, inspect.TupleType):
        return tuple(_sample(item, chance, depth + 1) for item in kind.item_types)
    if isinstance(kind, inspect.DictType):
        return {
            _sample(kind.key_type, chance, depth + 1): _sample(kind.value_type, chance, depth + 1) for _ in range(few)
        }
    return _scalar(kind, chance)


def _scalar(kind: inspect.Type, chance: random.Random) -> Any:
    if isinstance(kind, inspect.IntType):
        return chance.choice(_NUMBERS)
    if isinstance(kind, inspect.StrType):
        return chance.choice(_TEXTS)
    if isinstance(kind, inspect.BytesType):
        return chance.randbytes(chance.choice([0, 1, 40]))
    if isinstance(kind, inspect.FloatType):
        return chance.choice([0.0, -1.5, 1e308, float("inf"), float("nan")])
    if isinstance(kind, inspect.BoolType):
        return chance.random() < 0.5
    if isinstance(kind, inspect.NoneType):
        return None
    if isinstance(kind, inspect.LiteralType):
        return chance.choice(kind.values)
    if isinstance(kind, inspect.EnumType):
        return chance.choice(list(kind.cls))
    raise NotImplementedError(kind)


def frame_of(kind: type[msgspec.Struct], chance: random.Random) -> bytes:
    """A frame with some message of this kind, and perhaps a body."""
    body = bytes(chance.choice([0, 0, 0, 1, 30, 5000]))
    return b"".join(encode_frame(sample(kind, chance), body))


def make_input(chance: random.Random, frames: list[bytes]) -> bytes:
    """A few frames, spoilt in some way; or mere noise."""
    way = chance.random()
    if way < 0.1:
        data = chance.randbytes(chance.randrange(0, 200))
    elif way < 0.2:
        header = chance.randbytes(chance.randrange(0, 60))
        data = struct.pack("<II", len(header), 0) + header
    else:
        data = b"".join(chance.choice(frames) for _ in range(chance.randrange(1, 5)))
        if way > 0.4:
            data = spoil(data, chance)
    return bytes([chance.randrange(64) | (GREETED if chance.random() < 0.7 else 0)]) + data


def spoil(data: bytes, chance: random.Random) -> bytes:
    """Change, cut out, repeat or insert something."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(len(changed) + 1)
        way = chance.randrange(6)
        if way == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            changed[at : at + chance.randrange(1, 9)] = b""
        elif way == 2:
            changed[at:at] = changed[at : at + chance.randrange(1, 30)]
        elif way == 3:
            changed[at : at + 1] = chance.randbytes(chance.randrange(1, 5))
        elif way == 4:
            changed[at : at + 4] = struct.pack("<I", chance.choice(_NUMBERS) & 0xFFFFFFFF)
        else:
            changed[at : at + 1] = chance.choice(
                [b"\xdd\xff\xff\xff\xff", b"\xc1", b"\x9f", b"\xcf" + b"\xff" * 8, b"\xc0"]
            )
    return bytes(changed)


def corpus(chance: random.Random, each: int = 6) -> list[bytes]:
    """Frames of every kind of message."""
    return [frame_of(kind, chance) for kind in KINDS for _ in range(each)]
