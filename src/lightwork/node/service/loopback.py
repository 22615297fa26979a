"""Channels of portable workers: they connect over loopback and show the key that they were started with."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import cast

from lightwork.wire.channel import READY, Frame, FrameReader
from lightwork.wire.outcome import decode_fields

GREETING_MAX = 4096  # bytes that a stranger may send
STRANGERS_MAX = 64


class LoopbackLine:
    """One worker's channel; frames wait on both sides until it is connected."""

    def __init__(self, on_readable: Callable[[], None]) -> None:
        self.on_readable = on_readable
        self.ended = asyncio.Event()
        self._transport: asyncio.WriteTransport | None = None
        self._early: list[bytes] = []
        self._frames: list[Frame] = []
        self._closed = False

    def send(self, data: bytes) -> None:
        """Send a frame."""
        if self._transport is not None:
            self._transport.write(data)
        elif not self._closed:
            self._early.append(data)

    def read(self) -> list[Frame]:
        """All frames that are there."""
        frames, self._frames = self._frames, []
        return frames

    def close(self) -> None:
        """No more."""
        self._closed = True
        self._early.clear()
        if self._transport is not None:
            self._transport.close()

    def connected(self, transport: asyncio.WriteTransport) -> None:
        """The worker called back."""
        if self._closed:
            transport.close()
            return
        self._transport = transport
        transport.writelines(self._early)
        self._early.clear()

    def arrived(self, frames: list[Frame]) -> None:
        """It said something."""
        if not self._closed:
            self._frames += frames
            self.on_readable()


class WorkerListener:
    """Where they call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._server: asyncio.Server | None = None
        self._expected: dict[str, LoopbackLine] = {}
        self.strangers = 0
        self.address = ("127.0.0.1", 0)

    async def start(self) -> None:
        """Listen. OSError: impossible here."""
        self._server = await self._loop.create_server(lambda: _Call(self), self.address[0], 0)
        self.address = self._server.sockets[0].getsockname()[:2]

    def expect(self, key: str, line: LoopbackLine) -> None:
        """A worker with this key will call."""
        self._expected[key] = line

    def forget(self, key: str) -> None:
        """It will not."""
        self._expected.pop(key, None)

    def recognise(self, key: str) -> LoopbackLine | None:
        """Whose key this is."""
        for known in self._expected:
            if hmac.compare_digest(known.encode(), key.encode()):
                return self._expected.pop(known)
        return None

    def close(self) -> None:
        """No more calls."""
        if self._server is not None:
            self._server.close()


class _Call(asyncio.Protocol):
    """A connection: a stranger until its first frame has shown a key that we know."""

    def __init__(self, listener: WorkerListener) -> None:
        self._listener = listener
        self._reader = FrameReader(GREETING_MAX)
        self._line: LoopbackLine | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._listener.strangers += 1
        if self._listener.strangers > STRANGERS_MAX:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._line is None:
            self._listener.strangers -= 1
        else:
            self._line.ended.set()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            frames = list(self._reader.feed(data))
            if self._line is None:
                self._greet(frames)
        except ValueError:  # no frame of ours: a stranger, or a worker whose memory is no longer its own
            self._transport.abort()
            return
        if self._line is not None and frames:
            self._line.arrived(frames)

    def _greet(self, frames: list[Frame]) -> None:
        """The greeting comes alone: a worker says nothing more until it is spoken to."""
        if not frames:
            return
        if frames[0].kind != READY:
            raise ValueError("not a greeting")
        key = decode_fields(frames[0].body).get("key", b"").decode("ascii", "replace")
        line = self._listener.recognise(key)
        if line is None:
            raise ValueError("nobody has this key")
        assert self._transport is not None
        self._listener.strangers -= 1
        self._line = line
        self._reader = FrameReader()
        line.connected(self._transport)
