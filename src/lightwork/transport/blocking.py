"""A link without a loop: the client's threads read and write the socket themselves.

    any thread   -- send --> writes at once if the line is idle, else queues; never blocks
    one reader   -- receive(timeout) --> sleeps on the socket; flushes the queue, moves the streams, fills the sinks
    any thread   -- wakeup --> the reader returns early            drain --> waits until the queue is short

Nothing moves behind the callers' backs: while nobody is in `receive`, only `send` and `drain` write, and `on_backlog`
says that something was left over. One lock guards the connection; it is never held while sleeping, while frames are
cut or sinks are filled. A forked child closes its copy of the socket, or the end of file would never come.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from lightwork.config.limits import SEND_QUEUE_MAX, WRITE_MAX
from lightwork.config.timers import DEAD_SCHEDULER_S, LINK_CLOSE_S
from lightwork.model.errors import ForkedCluster, LightworkError, LinkBroken
from lightwork.transport.link import Batch, Line, Link, Sink, broken
from lightwork.transport.reach import peer_of
from lightwork.transport.tuning import tune
from lightwork.transport.waiting import Waiter, wait_writable
from lightwork.wire.connection import Connection
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Message
from lightwork.wire.streams import Source

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

_SENDER_WRITES = 4  # a sender gives the socket so much at most, and leaves the rest to the reader
_READER_WRITES = 16  # then the reader looks for what came
_NAP_S = 1.0  # whoever waits looks up at least so often


class BlockingLink(Link):
    """One end of a connected socket, for threads. `dial.connect` makes one."""

    def __init__(
        self, sock: socket.socket, connection: Connection, address: str, encryption: Encryption | None = None
    ) -> None:
        super().__init__(connection)
        self.address = address
        self.heard = False  # something has come
        self.error: LightworkError | None = None  # set when it is lost
        self.on_backlog: Callable[[], None] | None = None  # bytes were left over, and nobody is in `receive`
        sock.setblocking(False)
        tune(sock, DEAD_SCHEDULER_S)
        self._line: Line = connection
        if encryption is not None:
            self._line = encryption.line(connection, address)
            self.address, self.local_address = peer_of(sock.getpeername()), peer_of(sock.getsockname())
        self._sock = sock
        self._waiter = Waiter(sock)
        self._lock = threading.RLock()
        self._early: Batch = []  # see `put_back`
        self._unsent: list[Buffer] = []  # taken from the connection, refused by the socket
        self._reader = self._asleep = self._for_writing = False  # somebody is in `receive`; sleeps; also for POLLOUT
        self._drainers = 0
        self._woken = False
        self._mute = False  # the socket takes nothing more; what it still brings is read
        self._closed = self._forked = False
        _links.add(self)

    # --- sending ---

    def send(self, message: Message, body: Buffer = b"") -> None:
        """Write it, or queue it if the line is busy (see `queued_bytes`, `congested`, `drain`)."""
        with self._guard():
            super().send(message, body)

    def fetch(self, kind: str, name: str, sink: Sink, offset: int = 0) -> int:
        """Ask the peer for bytes; whoever is in `receive` fills the sink."""
        with self._guard():
            return super().fetch(kind, name, sink, offset)

    def consumed(self, stream: int, size: int) -> None:
        """A sink that kept bytes back has room for more."""
        with self._guard():
            super().consumed(stream, size)

    def cancel(self, stream: int) -> None:
        """No more of a stream that this side asked for; a piece that is just being written may still come."""
        with self._guard():
            super().cancel(stream)

    def serve(self, stream: int, source: Source) -> None:
        """Answer a Fetch; the source is read by whoever sends or receives, one at a time."""
        with self._guard():
            super().serve(stream, source)

    def refuse(self, stream: int, reason: str) -> None:
        """Answer a Fetch with an error, or end a served stream by one."""
        with self._guard():
            super().refuse(stream, reason)

    def ready(self, stream: int) -> None:
        """A served stream's source has something again."""
        with self._guard():
            super().ready(stream)

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages (and of at most one write of a stream) that wait for the socket."""
        return self._talk.queued_bytes + sum(map(len, self._unsent))

    @property
    def wants_write(self) -> bool:
        """Whether somebody should be in `receive` (or `drain`) to get bytes out."""
        return not self._mute and (bool(self._unsent) or self._line.has_output)

    def drain(self, below: int = SEND_QUEUE_MAX // 2, timeout: float | None = None) -> bool:
        """Wait until no more than `below` bytes are queued; False if time is up or the link is lost."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._guard():
                self._pump(_READER_WRITES)
                if self.error is not None or self._mute or self.queued_bytes <= below:
                    return self.error is None and self.queued_bytes <= below
                self._drainers += 1
            left = _NAP_S if end is None else min(_NAP_S, end - time.monotonic())
            try:
                if left > 0:
                    wait_writable(self._sock, left)
            finally:
                with self._lock:
                    self._drainers -= 1
                self._clean_up()
            if left <= 0:
                return False

    # --- receiving: one thread at a time, the callers see to it ---

    def receive(self, timeout: float | None = None) -> Batch:
        """What came, in order; empty if time is up, `wakeup` was called, or only streams moved.

        Raises once everything was given out and the link is lost: LinkBroken, or what the peer refused it for.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._guard():
            self._reader = True
        try:
            while True:
                if self._early:
                    batch, self._early = self._early, []
                    return batch
                readable = self._sleep(None if end is None else end - time.monotonic())
                if readable and (found := self._read()) is not None:
                    return found
                if self._woken or (end is not None and time.monotonic() >= end):
                    self._woken = False
                    return []
        finally:
            self._leave()

    def put_back(self, batch: Batch) -> None:
        """What came before anybody could take it: the next `receive` gives it first."""
        self._early = batch

    def wakeup(self) -> None:
        """Make the thread in `receive` return, or the next one that comes."""
        self._woken = True
        self._waiter.kick()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def _sleep(self, timeout: float | None) -> bool:
        """Wait for the socket, or for a kick; whether it can be read."""
        with self._lock:
            if self.error is not None:
                raise self.error
            self._pump(_READER_WRITES)
            self._for_writing = self.wants_write
            self._asleep = True
        try:
            return self._waiter.wait(timeout, self._for_writing)
        finally:
            self._asleep = False

    def _leave(self) -> None:
        with self._lock:
            self._reader = False
        self._clean_up()
        if self.wants_write and self.on_backlog is not None:
            self.on_backlog()

    def _read(self) -> Batch | None:
        """One read; None if it completed nothing."""
        try:
            count = self._sock.recv_into(self._line.room())
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            self._lose(broken(str(error)))
            return None
        if not count:
            self._lose(LinkBroken("the other side has left") if self.left else broken("the other side closed it"))
            return None
        self.heard = True
        frames = self._line.cut(count)
        with self._lock:
            batch = self._line.judge(frames)
        batch = self._route(batch)
        with self._lock:
            self._pump(_READER_WRITES)
        if self._talk.error is not None:
            self._lose(self._talk.error)
        return batch if frames else None

    def _consumed(self, stream: int, size: int) -> None:
        with self._lock:
            super()._consumed(stream, size)

    # --- ending ---

    def close(self, reason: str = "", timeout: float = LINK_CLOSE_S) -> None:
        """Say goodbye and flush for up to `timeout` seconds, then close. From any thread; the reader is woken."""
        if self._forked:
            return
        with self._lock:
            if self.error is None:
                self._talk.close(reason)
        self.drain(0, timeout)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if not self._forked:
            self._lose(LinkBroken("the link was closed"))
            self.wakeup()
            self._clean_up()

    def _lose(self, error: LightworkError) -> None:
        with self._lock:
            if self.error is not None:
                return
            self.error = error
            self._talk.lost()
            self._mute = True
            self._unsent.clear()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # not connected any more
            pass

    def _clean_up(self) -> None:
        """Once lost and when nobody is inside: descriptors are closed, as no thread can be asleep on them."""
        with self._lock:
            if self.error is None or self._reader or self._drainers or self._closed:
                return
            self._closed = True
        self._fail_sinks(str(self.error))
        self._sock.close()
        self._waiter.close()

    def _drop_sinks(self, reason: str) -> list[Sink]:
        with self._lock:
            return super()._drop_sinks(reason)

    # --- inside ---

    def _guard(self) -> AbstractContextManager[Any]:
        if self._forked:
            raise ForkedCluster()
        return self._lock

    def _kick(self) -> None:
        """Write what can be written; called with the lock held."""
        self._pump(_SENDER_WRITES)
        if not self.wants_write:
            return
        if not self._reader:
            if self.on_backlog is not None:
                self.on_backlog()
        elif self._asleep and not self._for_writing:
            self._waiter.kick()

    def _pump(self, writes: int) -> None:
        """Give the socket what it takes now; called with the lock held."""
        if self._mute:
            return
        try:
            while writes and (self._unsent or self._next_write()):
                self._write_one()
                writes -= 1
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the reader gets what still lies there, then the end
            self._mute = True
            self._unsent.clear()

    def _next_write(self) -> bool:
        data = self._line.data_to_send(WRITE_MAX)
        small = len(data) > 2 or (len(data) == 2 and len(data[1]) <= 1 << 16)
        self._unsent = [b"".join(data)] if small else data
        return bool(data)

    def _write_one(self) -> None:
        data = self._unsent[0]
        sent = self._sock.send(data)
        if sent == len(data):
            del self._unsent[0]
        else:
            self._unsent[0] = memoryview(data)[sent:]

    def _leave_child(self) -> None:
        """In a forked child: let go of the descriptors without a word; threads left behind may hold the lock."""
        self._forked = self._closed = True
        self._sock.close()
        self._waiter.close()


_links: weakref.WeakSet[BlockingLink] = weakref.WeakSet()


def _after_fork() -> None:
    for link in list(_links):
        link._leave_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
