"""Messages in bytes: round trips, tolerance for what is newer, a clear word for what is wrong."""

import struct

import msgspec
import pytest

from lightwork.config.limits import BODY_MAX, CHUNK, HEADER_MAX, HELLO_MAX, READ_BUFFER
from lightwork.model.errors import FrameTooLong, ProtocolError
from lightwork.wire.frames import PREFIX, FrameReader, decode_header, encode_frame
from lightwork.wire.messages import PROTOCOL, Chunk, Define, Hello, Ping, Submit, Taken, encode

HELLO = Hello(PROTOCOL, "client", "c")


def greeted() -> FrameReader:
    reader = FrameReader()
    assert [message for message, _ in read(reader, b"".join(encode_frame(HELLO)))] == [HELLO]
    return reader


def read(reader: FrameReader, data: bytes) -> list:
    frames, view = [], memoryview(data)
    while view and reader.error is None:
        room = reader.room()
        count = min(len(room), len(view))
        room[:count] = view[:count]
        frames += reader.received(count)
        view = view[count:]
    return frames


def raw(header: bytes, body: bytes = b"") -> bytes:
    return PREFIX.pack(len(header), len(body)) + header + body


def test_frame_is_two_lengths_header_body():
    data = b"".join(encode_frame(Taken(7), b"abc"))
    header = encode(Taken(7))
    assert data == struct.pack("<II", len(header), 3) + header + b"abc"


def test_large_body_is_not_copied():
    body = bytes(CHUNK)
    assert encode_frame(Chunk(1), body)[1] is body


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, CHUNK, READ_BUFFER - 30, READ_BUFFER, READ_BUFFER + 1, 3 << 20])
def test_bodies_of_all_sizes_come_back(size):
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    reader = greeted()
    data = b"".join(encode_frame(Taken(1), body) + encode_frame(Taken(2)))
    assert read(reader, data * 3) == [(Taken(1), body), (Taken(2), b"")] * 3
    assert all(type(body) is bytes for _, body in read(reader, data))


def test_header_longer_than_the_buffer():
    reader, long = greeted(), Taken(1, list(range(1 << 32, (1 << 32) + 200_000)))
    assert len(encode(long)) > READ_BUFFER
    data = b"".join(encode_frame(long, b"x") + encode_frame(Ping(1)))
    assert read(reader, data) == [(long, b"x"), (Ping(1), b"")]
    assert len(reader.room()) <= READ_BUFFER  # it has not kept the long one


def test_further_fields_of_a_newer_peer_are_ignored():
    newer = msgspec.msgpack.encode([7, 41, "new", {"field": 1}])
    assert decode_header(newer) == Ping(41)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (msgspec.msgpack.encode([120, 1]), "unknown message"),
        (msgspec.msgpack.encode([7, "one"]), "Ping"),
        (msgspec.msgpack.encode([21, "d", 0, ["x"], []]), "Submit"),
        (msgspec.msgpack.encode([1]), "Hello"),
        (msgspec.msgpack.encode([1, 1, "client", "n" * 300]), "Hello"),
        (msgspec.msgpack.encode({"a": 1}), "not a message"),
        (msgspec.msgpack.encode([7, 41]) + b"\x00", "Ping"),
        (b"\x92\x07", "Ping"),
        (b"\x92\x07\xa1\xff", "Ping"),
        (b"\xdd\xff\xff\xff\xff\x07", "Ping"),
        (b"\xdc\xff\xff\x07", "Ping"),
        (b"", "not a message"),
        (b"\x9f", "cut message"),
        (b"\x91" * 5000, "cut message|unknown message"),
    ],
)
def test_what_is_wrong_names_its_message(header, words):
    with pytest.raises(ProtocolError, match=words):
        decode_header(header)
    reader = greeted()
    assert read(reader, b"".join(encode_frame(Ping(1))) + raw(header)) == [(Ping(1), b"")]
    assert isinstance(reader.error, ProtocolError)
    assert read(reader, b"".join(encode_frame(Ping(1)))) == []


@pytest.mark.parametrize("sizes", [(HEADER_MAX + 1, 0), (10, BODY_MAX + 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_announced_lengths_are_checked_before_anything_is_kept(sizes):
    reader = greeted()
    room = len(reader.room())
    read(reader, PREFIX.pack(*sizes))
    assert isinstance(reader.error, FrameTooLong)
    assert len(reader.room()) == room


@pytest.mark.parametrize("sizes", [(HELLO_MAX + 1, 0), (10, 1)])
def test_a_stranger_may_send_little(sizes):
    reader = FrameReader()
    read(reader, PREFIX.pack(*sizes))
    assert isinstance(reader.error, FrameTooLong)


def test_chunk_over_its_size_is_refused_by_its_header():
    reader = greeted()
    header = encode(Chunk(1))
    read(reader, PREFIX.pack(len(header), 1 << 20) + header)
    read(reader, bytes(READ_BUFFER))  # its body comes; it is not gathered
    assert isinstance(reader.error, FrameTooLong)


def test_too_long_to_send_is_said_at_once():
    with pytest.raises(ValueError, match="Taken"):
        encode_frame(Taken(1), memoryview(bytearray(BODY_MAX + 1)))


def test_every_message_has_its_own_tag():
    from typing import get_args

    from lightwork.wire import messages

    kinds = get_args(messages.Message)
    assert {Define, Submit, Hello} <= set(kinds)
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)
    assert all(0 < kind.__struct_config__.tag < 128 for kind in kinds)  # one byte: frames._name_of relies on it
