"""What every link looks like, whether it runs over a socket, through memory, in a loop or without one.

    service.received(link, batch) <---- Link <---- Dialogue / Connection (wire) <---- bytes
    link.send(message, body) ---------->     ---->                              ---->

Streams: `fetch` gives the peer's bytes to a sink, `serve` answers a Fetch from a source. Credit, turns and
cancellation are the wire's; a service never sees Chunk or Credit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, TypeAlias

from lightwork.config.limits import SEND_QUEUE_MAX
from lightwork.model.errors import LightworkError, LinkBroken
from lightwork.wire.dialogue import Dialogue, Feeder
from lightwork.wire.frames import Buffer, Frame
from lightwork.wire.messages import Chunk, Goodbye, Hello, Message
from lightwork.wire.streams import Source

Batch: TypeAlias = list[Frame]  # (message, body), in order


class Line(Protocol):
    """What a socket's owner needs: a Connection, or encryption around one (see wire/connection.py)."""

    def room(self) -> memoryview:
        """Where the next bytes are to be received."""

    def received(self, count: int) -> list[Frame]:
        """The messages that they complete; `cut` and `judge` are its halves."""

    def cut(self, count: int) -> list[Frame]:
        """The half that may take long, and leaves the state of the connection alone."""

    def judge(self, frames: list[Frame]) -> list[Frame]:
        """The other half."""

    @property
    def has_output(self) -> bool:
        """Whether there may be something to send."""

    def data_to_send(self, most: int = ...) -> list[Buffer]:
        """It is not kept."""


class Sink(Protocol):
    """Where a fetched stream's bytes go. At its end either `finish` or `fail` is called, after `cancel` neither."""

    def write(self, piece: bytes) -> int:
        """Take a piece; how many bytes the peer may send in its place now (the rest by `link.consumed`)."""

    def finish(self) -> None:
        """All has come."""

    def fail(self, reason: str) -> None:
        """The rest will not come."""


class Link(ABC):
    """One connection to a peer. Not thread-safe, except for the blocking one."""

    address: str  # of the other end, for people; HOST:PORT over a network
    local_address: str = ""  # of this end; over a network only
    relay: str = ""  # the name of the one through which it goes
    lease_ms: int = 0  # told to the peer by that one, in place of our own
    heard: bool = False  # bytes have come; who watches for silence may set it back

    def __init__(self, dialogue: Dialogue) -> None:
        self._talk = dialogue
        self._sinks: dict[int, Sink] = {}
        self._gone = ""  # why the link was lost
        self._owes_drained = False

    @abstractmethod
    def _kick(self) -> None:
        """There is something to send."""

    @abstractmethod
    def close(self, reason: str = "") -> None:
        """Say goodbye, send what is queued (streams end), close. Nothing is received any more but `link_lost`."""

    @abstractmethod
    def abort(self) -> None:
        """Close at once, without a word."""

    @property
    def peer(self) -> Hello:
        """Who is at the other end; only once the link is up."""
        if self._talk.peer is None:
            raise LinkBroken("the link is not up")
        return self._talk.peer

    @property
    def up(self) -> bool:
        """Whether hellos were exchanged and nothing has ended the link since."""
        talk = self._talk
        return talk.peer is not None and talk.error is None and not talk.closing

    @property
    def left(self) -> bool:
        """Whether the peer said goodbye."""
        return self._talk.left

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages (not of streams) that wait for the peer."""
        return self._talk.queued_bytes

    @property
    def congested(self) -> bool:
        """Whether so much waits that nothing more should be sent; who hears yes will hear `Receiver.link_drained`."""
        if self.queued_bytes <= SEND_QUEUE_MAX:
            return False
        self._owes_drained = True
        return True

    def _has_drained(self) -> bool:
        """Whether the receiver is to be told now."""
        if not self._owes_drained or not self.up or self.queued_bytes > SEND_QUEUE_MAX // 2:
            return False
        self._owes_drained = False
        return True

    def send(self, message: Message, body: Buffer = b"") -> None:
        """Send after all that was sent before. The message and its body belong to the link now: leave them unchanged.

        A link that is lost drops it: `link_lost` tells. ValueError: longer than config.limits allow. A Goodbye closes.
        """
        if type(message) is Goodbye:
            self.close(message.reason)
            return
        self._talk.send(message, body)
        self._kick()

    def fetch(self, kind: str, name: str, sink: Sink, offset: int = 0) -> int:
        """Ask the peer for bytes; the stream's number. On a lost link the sink fails before this returns."""
        stream = self._talk.fetch(kind, name, offset)
        if self._gone:
            sink.fail(self._gone)
        else:
            self._sinks[stream] = sink
            self._kick()
        return stream

    def consumed(self, stream: int, size: int) -> None:
        """A sink that kept bytes back in `write` has room for more."""
        self._talk.consumed(stream, size)
        self._kick()

    def cancel(self, stream: int) -> None:
        """No more of a stream that this side asked for; its sink hears nothing more."""
        if self._sinks.pop(stream, None) is not None:
            self._talk.cancel(stream)
            self._kick()

    def serve(self, stream: int, source: Source) -> None:
        """Answer a Fetch, at once or later. The link closes the source."""
        self._talk.serve(stream, source)
        self._kick()

    def refuse(self, stream: int, reason: str) -> None:
        """Answer a Fetch with an error, or end a served stream by one; what its source had left is not sent."""
        self._talk.refuse(stream, reason)
        self._kick()

    def ready(self, stream: int) -> None:
        """The source of a served stream, whose `read` had returned None, has something."""
        self._talk.ready(stream)
        self._kick()

    def feed_by(self, feeder: Feeder) -> None:
        """From now on it is asked for more whenever the line takes more; `more` says that it has something."""
        self._talk.feeder = feeder
        self.more()

    def more(self) -> None:
        """The feeder has something."""
        self._kick()

    def _route(self, frames: Batch) -> Batch:
        """Chunks go to their sinks; the rest is returned."""
        if not self._sinks:
            return frames
        batch: Batch = []
        for frame in frames:
            if type(frame[0]) is Chunk:
                self._feed_sink(frame[0], frame[1])
            else:
                batch.append(frame)
        return batch

    def _feed_sink(self, chunk: Chunk, piece: bytes) -> None:
        sink = self._sinks.get(chunk.stream)
        if sink is None:  # cancelled by what came before in this batch
            return
        try:
            if piece:
                self._consumed(chunk.stream, sink.write(piece))
            if chunk.last:
                del self._sinks[chunk.stream]
                if chunk.error:
                    sink.fail(chunk.error)
                else:
                    sink.finish()
        except OSError as error:  # a full disk is this stream's failure, not the link's
            self.cancel(chunk.stream)
            sink.fail(str(error))

    def _consumed(self, stream: int, size: int) -> None:
        if size:
            self._talk.consumed(stream, size)

    def _fail_sinks(self, reason: str) -> None:
        """The link is gone."""
        for sink in self._drop_sinks(reason):
            sink.fail(reason)

    def _drop_sinks(self, reason: str) -> list[Sink]:
        sinks = list(self._sinks.values())
        self._sinks.clear()
        self._gone = reason
        return sinks


class Receiver:
    """What a service does with its links. All calls come from the loop, one at a time."""

    def link_up(self, link: Link) -> None:
        """Hellos were exchanged: `link.peer` says who it is."""

    def received(self, link: Link, batch: Batch) -> None:
        """Everything that one read brought, in order."""

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """The last call for a link that was up. No error: one of the two sides said goodbye."""

    def link_refused(self, address: str, error: LightworkError) -> None:
        """A listener turned somebody away, or somebody did not get as far as the hello."""

    def link_drained(self, link: Link) -> None:
        """A link that said it was congested is so no more."""


def broken(detail: str) -> LinkBroken:
    """The error of a link that ended without a goodbye."""
    return LinkBroken(f"the connection broke: {detail}")
