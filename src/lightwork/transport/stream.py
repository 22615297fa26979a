"""A link over a stream socket on an asyncio loop.

    messages of one loop turn --> control queue --+    one write      +--> socket buffer (TCP: 64 KB not sent)
                                  streams       --+--> a turn, then --+
                                                       one chunk at a time, only into an empty transport

The transport's own buffer has the limits (0, 0): it tells us to pause as soon as one write was not taken whole, so
behind a slow peer it never holds more than that write, and control overtakes all bulk that is still ours. Uses
nothing of the loop but transports and call_soon, so it runs on every loop. Encryption goes between the socket and
the connection: `_line` is then a TlsLine, which has the methods of a Connection's byte side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from lightwork.config.limits import WRITE_MAX
from lightwork.config.timers import HELLO_S, LINK_CLOSE_S
from lightwork.model.errors import LightworkError, LinkBroken
from lightwork.transport.link import Line, Link, Receiver, broken
from lightwork.transport.reach import peer_of
from lightwork.transport.tuning import tune
from lightwork.wire.connection import Connection
from lightwork.wire.frames import Buffer

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

_WRITES_A_TURN = 16  # then others are served, and what came meanwhile overtakes
_JOIN_MAX = 128 << 10


class StreamLink(Link, asyncio.BufferedProtocol):
    """One end of a socket connection."""

    talks: ClassVar[type[Connection]] = Connection  # what is said over it, for who makes one
    _talk: Connection

    def __init__(
        self, connection: Connection, receiver: Receiver, address: str, encryption: Encryption | None = None
    ) -> None:
        super().__init__(connection)
        self.address = address  # as the caller knows it; over a network replaced by the peer's number once connected
        self.error: LightworkError | None = None  # why it ended
        self.ended = False
        self.heard = False  # something has come
        self.on_change: Callable[[], None] | None = None  # for who waits until it is up, or has ended
        self._line: Line = connection
        self._encryption = encryption
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._finishing = self._flushing = self._paused = self._announced = self._lingering = False
        self._timer: asyncio.TimerHandle | None = None

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(high=0)
        tune(transport.get_extra_info("socket"))
        if self.error is not None:  # displaced before it began
            self._transport.abort()
        if self._encryption is not None:
            self._encrypt(self._encryption, transport)
        self._timer = self._loop.call_later(HELLO_S, self._no_hello)
        self._kick()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop receives."""
        return self._line.room()

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        talk, self.heard = self._talk, True
        frames = self._line.received(nbytes)
        if talk.closing:
            return
        batch = self._route(frames)
        if not self._announced and talk.peer is not None:
            self._come_up()
        if batch and not talk.closing:
            self._receiver.received(self, batch)
        if talk.error is not None:
            self._finish(talk.error)
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
        talk, self._transport, self.ended = self._talk, None, True
        if self._timer is not None:
            self._timer.cancel()
        if self.error is None and not talk.closing and not talk.left:
            self.error = broken(str(exc) if exc else "the other side closed it")
        talk.lost()
        self._line = talk  # what encryption holds goes at once, for links lie in cycles
        self._fail_sinks(str(self.error or "the connection was closed"))
        if self._announced:
            self._receiver.link_lost(self, self.error)
        elif self.error is not None and talk.listening:  # a dialler gets it raised
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
        if self._transport is not None and not self._talk.closing:
            self._talk.close(reason)
            self._finish(None)
            self._kick()

    def abort(self) -> None:
        """Close at once."""
        self._talk.lost()
        if self._transport is not None:
            self._transport.abort()

    def displace(self) -> None:
        """Make room for another: this one has not said who it is."""
        if self.error is None:
            self.error = LinkBroken("the connection was closed: others came before it had said who it is")
        self.abort()

    # --- inside ---

    def _encrypt(self, encryption: Encryption, transport: asyncio.BaseTransport) -> None:
        named, self.address = self.address, peer_of(transport.get_extra_info("peername")) or self.address
        self.local_address = peer_of(transport.get_extra_info("sockname"))
        self._line = encryption.line(self._talk, self.address if self._talk.listening else named)

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
        if self._talk.closing or self._talk.error is not None:
            self._hang_up()
        self._kick()

    def _come_up(self) -> None:
        self._announced = True
        if self._timer is not None:
            self._timer.cancel()
        self._receiver.link_up(self)
        self._changed()

    def _no_hello(self) -> None:
        self._talk.tick(self._loop.time() + HELLO_S)
        if self._talk.error is not None:
            self._finish(self._talk.error)
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
        if self._transport is None or self._line.has_output:
            return
        if self._encryption is not None and self._talk.listening and self.error is not None:
            self._linger(self._transport)
        else:
            self._transport.close()

    def _linger(self, transport: asyncio.Transport) -> None:
        """Closing a socket that still gets bytes would destroy our last words on their way: the peer closes first."""
        if self._lingering:
            return
        self._lingering = True
        try:
            transport.write_eof()
        except OSError:  # it has
            transport.close()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()


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
        link.on_change = lambda: None if future.done() else future.set_result(None)
        try:
            await future
        finally:
            link.on_change = None
    if not link.up:
        raise link.error or broken("it was closed")
