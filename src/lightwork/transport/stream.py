"""A link over a stream socket on an asyncio loop.

    messages of one loop turn --> control queue --+    one write      +--> socket buffer (TCP: 64 KB not sent)
                                  streams       --+--> a turn, then --+
                                                       one chunk at a time, only into an empty transport

The transport's own buffer has the limits (0, 0): it tells us to pause as soon as one write was not taken whole, so
behind a slow peer it never holds more than that write, and control overtakes all bulk that is still ours. Uses
nothing of the loop but transports and call_soon, so it runs on every loop. Encryption goes between the socket and
`_line`: a class with the four methods of the byte side that wraps the Connection (see wire/connection.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from lightwork.config.limits import WRITE_MAX
from lightwork.config.timers import HELLO_S, LINK_CLOSE_S
from lightwork.model.errors import LightworkError
from lightwork.transport.link import Link, Receiver, broken
from lightwork.transport.tuning import tune
from lightwork.wire.connection import Connection
from lightwork.wire.frames import Buffer

_WRITES_A_TURN = 16  # then others are served, and what came meanwhile overtakes
_JOIN_MAX = 128 << 10


class StreamLink(Link, asyncio.BufferedProtocol):
    """One end of a socket connection."""

    def __init__(self, connection: Connection, receiver: Receiver, address: str) -> None:
        super().__init__(connection)
        self.address = address
        self.error: LightworkError | None = None  # why it ended
        self.ended = False
        self._line = connection
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._finishing = self._flushing = self._paused = self._announced = False
        self._on_change: Callable[[], None] | None = None  # for who waits until it is up, or has ended
        self._timer: asyncio.TimerHandle | None = None

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(high=0)
        tune(transport.get_extra_info("socket"))
        self._timer = self._loop.call_later(HELLO_S, self._no_hello)
        self._kick()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop receives."""
        return self._line.room()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        line = self._line
        frames = line.received(nbytes)
        if line.closing:
            return
        batch = self._route(frames)
        if not self._announced and line.peer is not None:
            self._come_up()
        if batch and not line.closing:
            self._receiver.received(self, batch)
        if line.error is not None:
            self._finish(line.error)
        self._kick()

    def eof_received(self) -> bool:
        """A peer that speaks no more is gone; what waits for it gets a moment to leave."""
        self._finish(self.error)
        return False

    def pause_writing(self) -> None:
        """The socket did not take all."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has."""
        self._paused = False
        self._flush_soon()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The last call."""
        line, self._transport, self.ended = self._line, None, True
        if self._timer is not None:
            self._timer.cancel()
        if self.error is None and not line.closing and not line.left:
            self.error = broken(str(exc) if exc else "the other side closed it")
        line.lost()
        self._fail_sinks(str(self.error or "the connection was closed"))
        if self._announced:
            self._receiver.link_lost(self, self.error)
        elif self.error is not None and line.listening:  # a dialler gets it raised
            self._receiver.link_refused(self.address, self.error)
        self._changed()

    # --- what the service calls ---

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages that wait, here or in the transport."""
        transport = self._transport
        return self._talk.queued_bytes + (transport.get_write_buffer_size() if transport is not None else 0)

    def close(self, reason: str = "") -> None:
        """Say goodbye, flush, close."""
        if self._transport is not None and not self._line.closing:
            self._line.close(reason)
            self._finish(None)
            self._kick()

    def abort(self) -> None:
        """Close at once."""
        self._line.lost()
        if self._transport is not None:
            self._transport.abort()

    # --- inside ---

    def _kick(self) -> None:
        if not self._flushing and not self._paused and self._line.has_output:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        transport, line = self._transport, self._line
        if transport is None or transport.is_closing():
            return
        for _ in range(_WRITES_A_TURN):
            if self._paused:
                break
            data = line.data_to_send(WRITE_MAX)
            if not data:
                break
            write(transport, data)
        if self._owes_drained and self._has_drained():
            self._receiver.link_drained(self)
        if line.closing or line.error is not None:
            self._hang_up()
        self._kick()

    def _come_up(self) -> None:
        self._announced = True
        if self._timer is not None:
            self._timer.cancel()
        self._receiver.link_up(self)
        self._changed()

    def _no_hello(self) -> None:
        self._line.tick(self._loop.time() + HELLO_S)
        if self._line.error is not None:
            self._finish(self._line.error)
            self._kick()

    def _finish(self, error: LightworkError | None) -> None:
        """Only what waits still goes out; the socket is closed when it has, or when that takes too long."""
        if self._transport is None or self._finishing:
            return
        self._finishing = True
        self.error = error
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINK_CLOSE_S, self._transport.abort)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._transport is not None and not self._line.has_output:
            self._transport.close()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


def write(transport: asyncio.Transport, data: Sequence[Buffer]) -> None:
    """Many small buffers in one call; large ones uncopied."""
    if len(data) == 1:
        transport.write(data[0])
    elif sum(map(len, data)) <= _JOIN_MAX:
        transport.write(b"".join(data))
    else:
        transport.writelines(data)


async def settled(link: StreamLink) -> None:
    """Wait until a dialled link is up; raises why it is not."""
    if not link.up and not link.ended:
        future: asyncio.Future[None] = link._loop.create_future()
        link._on_change = lambda: None if future.done() else future.set_result(None)
        try:
            await future
        finally:
            link._on_change = None
    if not link.up:
        raise link.error or broken("it was closed")
