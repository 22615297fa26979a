"""Messages in bytes, and bytes in messages.

    frame = u32 length of header | u32 length of body | header (msgpack, see messages.py) | body (raw)

A reader owns one buffer into which the socket's bytes are received and out of which frames are cut; a body is copied
once, into its own `bytes`. Only bodies that do not fit the buffer are gathered in pieces first:

    buffer  [ frame | frame | begun fr.......room for the next read ]
              cut     cut     moved to the front

Lengths are checked before anything is kept for them. What is wrong with the bytes is told by `error`, after all frames
before it have been given out, so how the bytes were split by the network never changes the result.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias, get_args

import msgspec

from lightwork.config.limits import BODY_MAX, CHUNK, HEADER_MAX, HELLO_MAX, READ_BUFFER
from lightwork.model.errors import FrameTooLong, PeerError, ProtocolError
from lightwork.wire.messages import Chunk, Message, encode

PREFIX = struct.Struct("<II")
Buffer: TypeAlias = bytes | bytearray | memoryview
Frame: TypeAlias = tuple[Message, bytes]

_FIRST_BUFFER = 16 << 10  # idle links are cheap
_JOIN_MAX = 4096  # a smaller body is put behind its header at once
_decode: Callable[[Buffer], Message] = msgspec.msgpack.Decoder(Message).decode
_names: dict[int, str] = {kind.__struct_config__.tag: kind.__name__ for kind in get_args(Message)}


def encode_frame(message: Message, body: Buffer = b"") -> list[Buffer]:
    """The frame as buffers to be written one after another; a large body is not copied."""
    header = encode(message)
    size = len(body)
    if len(header) > HEADER_MAX or size > BODY_MAX:
        raise ValueError(f"{type(message).__name__} of {len(header):,} + {size:,} bytes is too long for one message")
    head = PREFIX.pack(len(header), size) + header
    if size == 0:
        return [head]
    return [head + body] if size < _JOIN_MAX else [head, body]


def decode_header(header: Buffer) -> Message:
    """The typed message, or a ProtocolError that says which message is wrong and where."""
    try:
        return _decode(header)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # ValueError: text that is not UTF-8
        raise ProtocolError(f"{_name_of(bytes(header[:6]))}: {error}") from None


def _name_of(header: bytes) -> str:
    """What a broken header claims to be, from its tag (below 128: one byte)."""
    array, at = header[:1], 1
    if array == b"\xdc":
        at = 3
    elif array == b"\xdd":
        at = 5
    elif not b"\x90" <= array <= b"\x9f":
        return "not a message"
    return _names.get(header[at], "unknown message") if at < len(header) else "cut message"


class FrameReader:
    """Cuts frames out of bytes. The first frame (the hello) has narrow limits; the caller judges it before the next."""

    __slots__ = ("_begun", "_buffer", "_filled", "_greeted", "_missing", "_pieces", "error")

    def __init__(self) -> None:
        self.error: PeerError | None = None
        self._buffer = memoryview(bytearray(_FIRST_BUFFER))
        self._filled = 0
        self._greeted = False
        self._begun: Message | None = None  # its header is here, `_missing` bytes of its body are not
        self._missing = 0
        self._pieces: list[bytes] = []

    def room(self) -> memoryview:
        """Where the next bytes are to be received: never empty."""
        return self._buffer[self._filled :]

    def received(self, count: int) -> list[Frame]:
        """All frames that the `count` bytes just put into `room()` complete."""
        frames: list[Frame] = []
        self._filled += count
        if self.error is not None:
            self._filled = 0
            return frames
        busy = self._filled == len(self._buffer)
        try:
            at = self._cut(frames)
        except PeerError as error:
            self.error = error
            self._filled = 0
            return frames
        self._keep(at, busy)
        return frames

    def _cut(self, frames: list[Frame]) -> int:
        """Append the whole frames; where the rest begins."""
        view, end = self._buffer, self._filled
        at = self._finish_begun(frames) if self._begun is not None else 0
        while end - at >= 8 and self._begun is None:
            header_size, size = PREFIX.unpack_from(view, at)
            body_at = at + 8 + header_size
            if header_size > HELLO_MAX or size > CHUNK or not self._greeted:
                self._check_sizes(header_size, size)
            stop = body_at + size
            if stop > end and (body_at > end or stop - at <= len(view)):
                break  # it waits in the buffer until it is whole
            message = decode_header(view[at + 8 : body_at])
            if size > CHUNK and type(message) is Chunk:
                raise FrameTooLong(f"Chunk of {size:,} bytes; at most {CHUNK:,}")
            self._greeted = True
            if stop <= end:
                frames.append((message, bytes(view[body_at:stop]) if size else b""))
            else:
                self._begun, self._missing = message, stop - end
                self._pieces = [bytes(view[body_at:end])]
            at = min(stop, end)
        return at

    def _check_sizes(self, header_size: int, size: int) -> None:
        header_max, body_max = (HEADER_MAX, BODY_MAX) if self._greeted else (HELLO_MAX, 0)
        if header_size > header_max or size > body_max:
            raise FrameTooLong(
                f"a frame of {header_size:,} + {size:,} bytes was announced; at most {header_max:,} + {body_max:,}",
                hint="" if self._greeted else "is the other side a Lightwork program?",
            )

    def _finish_begun(self, frames: list[Frame]) -> int:
        """More of a body whose beginning came earlier; where it ends in the buffer."""
        take = min(self._missing, self._filled)
        self._pieces.append(bytes(self._buffer[:take]))
        self._missing -= take
        if self._missing == 0 and self._begun is not None:
            frames.append((self._begun, b"".join(self._pieces)))
            self._begun, self._pieces = None, []
        return take

    def _keep(self, at: int, busy: bool) -> None:
        """Move what is left to the front, in a larger buffer if this one was full (a long header, or a busy link)."""
        old, rest, size = self._buffer, self._filled - at, len(self._buffer)
        if rest == size or (busy and size < READ_BUFFER):
            self._buffer = memoryview(bytearray(max(min(4 * size, READ_BUFFER), rest * 2)))
        elif size > READ_BUFFER and rest < READ_BUFFER:
            self._buffer = memoryview(bytearray(READ_BUFFER))
        if rest and (at or self._buffer is not old):
            self._buffer[:rest] = old[at : at + rest]
        self._filled = rest
