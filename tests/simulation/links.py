"""One end of a simulated connection: in order, reliable while it lasts, and otherwise as unkind as TCP may be.

    Link.send --> the other end's queue, with delays --> wake --> its owner's `received`

A partition only delays, as TCP repeats what was lost. Who closes or dies takes an unknown part of what was not
delivered with it. An end whose other end is gone without a word finds out when it sends.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from lightwork.model.errors import LightworkError, LinkBroken
from lightwork.wire.messages import (
    ComputationState,
    Goodbye,
    Hello,
    Message,
    NodeNews,
    Notice,
    Ping,
    Pong,
)
from tests.simulation.clock import MS, SECOND, Process

if TYPE_CHECKING:
    from tests.simulation.network import Network

DEAD_NS = 30 * SECOND  # timers.DEAD_PEER_S
_DULL = frozenset((NodeNews, ComputationState, Notice))  # for people: nobody here decides by them
_END = object()  # behind the last message of an end that is no more


class Owner(Protocol):
    """Whose links these are (transport.link.Receiver)."""

    def link_up(self, link: Any) -> None:
        """It is there."""

    def received(self, link: Any, batch: list[tuple[Message, bytes]]) -> None:
        """Everything that one read brought."""

    def link_lost(self, link: Any, error: LightworkError | None) -> None:
        """Its last call."""


class Link:
    """One end. It has what services use of a transport Link."""

    __slots__ = (
        "_waking",
        "address",
        "broken",
        "congested",
        "heard",
        "lease_ms",
        "left",
        "local_address",
        "net",
        "number",
        "other",
        "owner",
        "peer",
        "process",
        "queue",
        "queued_bytes",
        "ready_ns",
        "relay",
        "sent_ns",
        "stalled",
        "up",
    )

    def __init__(self, net: Network, number: int, process: Process, owner: Owner, peer: Hello) -> None:
        self.net = net
        self.number = number
        self.process = process
        self.owner = owner
        self.peer = peer
        self.other: Link = self
        self.address = f"tcp:{peer.host}:1"
        self.local_address = f"tcp:{process.host}:1"
        self.heard = self.left = self.congested = False
        self.queued_bytes = 0
        self.relay, self.lease_ms = "", 0
        self.up = True
        self.broken = False  # nothing that is sent now comes to this end any more
        self.queue: deque[tuple[int, Any, bytes]] = deque()  # on its way to us
        self.ready_ns = self.sent_ns = 0
        self._waking = False
        self.stalled = False

    def __repr__(self) -> str:
        return f"link {self.number} {self.process.name}-{self.other.process.name}"

    # --- this end sends ---

    def send(self, message: Message, body: bytes = b"") -> None:
        """Behind all that was sent before."""
        kind = type(message)
        if not self.up or kind in _DULL:
            return
        if isinstance(message, Goodbye):
            self.close(message.reason)
            return
        if not self.other.up:
            self.net.reset(self)
            return
        self.other._take(message, body)

    def close(self, reason: str = "") -> None:
        """Say goodbye; all that was sent before arrives, if anything does."""
        if self.up:
            self.up = False
            self.other._take(Goodbye(reason), b"")
            self.net.clock.later(0, self.process, self.owner.link_lost, self, None)

    def abort(self) -> None:
        """Close at once."""
        if self.up:
            self.up = False
            self.other._cut(self.net.random)
            self.net.clock.later(0, self.process, self.owner.link_lost, self, LinkBroken("it was aborted"))

    def vanish(self) -> None:
        """This end is no more, and nobody hears of it."""
        self.up = False
        self.other.queue.clear()

    def fetch(self, kind: str, name: str, sink: Any, offset: int = 0) -> int:
        """Streams are no part of this world."""
        raise NotImplementedError(f"nobody has {kind} {name} here")

    def refuse(self, stream: int, reason: str) -> None:
        """A stream cannot be had; whoever asked finds out by other means."""

    def serve(self, stream: int, source: Any) -> None:
        """Likewise."""

    # --- what comes to this end ---

    def _take(self, message: Any, body: bytes) -> None:
        net = self.net
        if self.broken:
            return
        now = net.clock.now
        if now == self.sent_ns:  # one write
            due = self.ready_ns
        else:
            due = now + net.delay_ns()
            if due < self.ready_ns:
                due = self.ready_ns
            self.ready_ns, self.sent_ns = due, now
        self.queue.append((due, message, body))
        if not self._waking and not self.stalled:
            self._waking = True
            net.clock.at(due, self.process, self._wake)

    def _cut(self, random: Random) -> None:
        """The other end is gone: an unknown part of what it sent still comes, then the end."""
        keep = random.randint(0, len(self.queue))
        while len(self.queue) > keep:
            self.queue.pop()
        if not self.stalled or random.random() < 0.5:
            self._take(_END, b"")
        else:
            self.net.clock.later(DEAD_NS, self.process, self.broke)  # by TCP's own probes

    def _wake(self) -> None:
        self._waking = False
        if not self.up:
            self.queue.clear()
            return
        net, queue = self.net, self.queue
        if (self.other.process.host, self.process.host) in net.blocked:
            self.stalled = True
            return
        now = net.clock.now
        batch: list[tuple[Message, bytes]] = []
        while queue and queue[0][0] <= now:
            _, message, body = queue.popleft()
            if message is _END or type(message) is Goodbye:
                self._deliver(batch)
                self._ended(message)
                return
            if type(message) is Ping:
                self.heard = True
                self.send(Pong(message.number))
            else:
                batch.append((message, body))
        if queue:
            self._waking = True
            net.clock.at(queue[0][0], self.process, self._wake)
        self._deliver(batch)

    def _deliver(self, batch: list[tuple[Message, bytes]]) -> None:
        if batch and self.up:
            self.heard = True
            if self.net.on_delivery is not None:
                self.net.on_delivery(self, batch)
            self.owner.received(self, batch)

    def _ended(self, last: Any) -> None:
        if self.up:
            self.up = False
            self.left = type(last) is Goodbye
            if self.left and self.other.up:
                self.other.up = False
            self.owner.link_lost(self, None if self.left else LinkBroken("the other side is gone"))

    def broke(self) -> None:
        """This end finds out that nothing gets through any more."""
        if self.up:
            self.up = False
            self.owner.link_lost(self, LinkBroken("the connection broke"))

    def flows(self) -> None:
        """The way to this end is open again."""
        if self.stalled:
            self.stalled = False
            if self.queue and not self._waking:
                self._waking = True
                self.net.clock.later(self.net.random.randint(1, 500) * MS, self.process, self._wake)
