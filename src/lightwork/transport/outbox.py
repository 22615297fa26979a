"""Messages that survive their link: kept until the other side has said that it has them.

    Outbox.send --> kept, numbered --> link --> Inbound.counts --> service
       ^ forget                                    |
       +------------------ Ack(count) <------------+      every ACK_EVERY messages or ACK_BYTES, and with each heartbeat

When a link broke and another one is up within the same claim, each side tells how many counted messages have come
(NodeReady, Welcome), and the other sends the rest again: each message arrives once, in order, or the claim is over.
Streams are not counted, they are asked for again from where they stopped; nor is what is only true at its moment.
"""

from __future__ import annotations

from collections import deque

from lightwork.transport.link import Link
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import (
    Ack,
    Chunk,
    Credit,
    Fetch,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    NodeReady,
    Ping,
    Pong,
    Refused,
    Welcome,
)

ACK_EVERY = 64  # messages
ACK_BYTES = 1 << 20
UNCOUNTED = frozenset((Ack, Chunk, Credit, Fetch, Goodbye, Heartbeat, Hello, NodeReady, Ping, Pong, Refused, Welcome))


class Outbox:
    """What one side of a claim has said and may have to say again."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Message, Buffer]] = deque()
        self._first = 0  # the number of the first one kept; counted from 0
        self.kept_bytes = 0

    def send(self, link: Link | None, message: Message, body: Buffer = b"") -> None:
        """Send it now if there is a link, and again on the next one unless it is acknowledged."""
        if type(message) not in UNCOUNTED:
            self._kept.append((message, body))
            self.kept_bytes += len(body)
        if link is not None:
            link.send(message, body)

    def acknowledged(self, count: int) -> None:
        """The other side has so many."""
        while self._kept and self._first < count:
            _, body = self._kept.popleft()
            self.kept_bytes -= len(body)
            self._first += 1

    def resume(self, link: Link, received: int) -> None:
        """A new link, whose other side has `received` messages: it gets the others."""
        self.acknowledged(received)
        for message, body in self._kept:
            link.send(message, body)

    def __len__(self) -> int:
        return len(self._kept)


class Received:
    """What has come within a claim, and what the other side knows of that."""

    def __init__(self) -> None:
        self.count = 0
        self._told = 0
        self._bytes = 0

    def note(self, message: Message, body: Buffer) -> None:
        """One message came."""
        if type(message) not in UNCOUNTED:
            self.count += 1
            self._bytes += len(body)

    def due(self) -> bool:
        """Whether the other side should hear now that it may forget some."""
        return self.count - self._told >= ACK_EVERY or self._bytes >= ACK_BYTES

    def ack(self) -> Ack | None:
        """To be sent, unless there is nothing new."""
        if self.count == self._told:
            return None
        self._told, self._bytes = self.count, 0
        return Ack(self.count)
