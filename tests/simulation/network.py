"""Simulated connections: in order, reliable while they last, and otherwise as unkind as TCP may be.

    Link.send --> Way (a queue with delays) --> Link of the other end --> its owner's `received`

A partition only delays, as TCP repeats what was lost; connections that cannot get through for DEAD_NS break, each end by
itself. Who closes or dies takes an unknown part of what was not delivered with it. An end whose other end is gone
without a word finds out when it sends. Nothing is ordered across connections: what an old one still carries may arrive
after the first words of the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

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
    Refused,
)
from tests.simulation.clock import MS, SECOND, Clock, Process

DEAD_NS = 30 * SECOND  # timers.DEAD_PEER_S
CONNECT_NS = 3 * SECOND
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


class Listener(Protocol):
    """Who accepts connections on a host."""

    process: Process

    def check(self, hello: Hello) -> Refused | None:
        """May this one come in?"""

    def hello(self) -> Hello:
        """Who answers."""

    def receiver(self, hello: Hello) -> Owner:
        """Who gets the link."""


class Link:
    """One end. It has what services use of a transport Link."""

    __slots__ = (
        "_waking",
        "address",
        "congested",
        "heard",
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
        self.up = True
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
        if kind is Goodbye:
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


class Network:
    """All hosts, who listens there, and what is cut."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self.blocked: set[tuple[str, str]] = set()
        self.listeners: dict[str, Listener] = {}
        self.links: list[Link] = []
        self.base_ns = MS
        self.spread_ns = MS
        self.on_delivery: Callable[[Link, list[tuple[Message, bytes]]], None] | None = None
        self._count = 0

    def delay_ns(self) -> int:
        """How long a message takes."""
        return self.base_ns + int(self.random.random() * self.spread_ns)

    def open(self, source: str, target: str) -> bool:
        """Whether anything gets from one host to the other and back."""
        return (source, target) not in self.blocked and (target, source) not in self.blocked

    # --- connecting ---

    def dial(
        self, process: Process, target: str, hello: Hello, owner: Owner, failed: Callable[[Refused | None], None]
    ) -> None:
        """Try to connect; `failed` with what the other side said, or None if nobody answers in time."""
        call = Call(self, process, target, hello, owner, failed)
        self.clock.later(self.delay_ns(), None, call.arrives)
        self.clock.later(CONNECT_NS, process, call.gives_up)

    def connect(self, here: Process, owner: Owner, there: Process, their: Owner, ours: Hello, theirs: Hello) -> Link:
        """Both ends of a new connection; ours is returned."""
        self._count += 1
        mine, other = Link(self, self._count, here, owner, theirs), Link(self, self._count, there, their, ours)
        mine.other, other.other = other, mine
        if len(self.links) > 64:
            self.links = [link for link in self.links if link.up or link.other.up]
        self.links += [mine, other]
        return mine

    # --- faults ---

    def reset(self, link: Link) -> None:
        """It has sent to an end that is no more: it hears so, if anything gets back."""
        if self.open(link.process.host, link.other.process.host):
            self.clock.later(self.delay_ns(), link.process, link.broke)

    def block(self, pairs: list[tuple[str, str]]) -> None:
        """Nothing gets from the first to the second of each pair any more."""
        self.blocked.update(pairs)
        self.clock.later(DEAD_NS, None, self._dead, pairs, self.clock.now)

    def unblock(self, pairs: list[tuple[str, str]]) -> None:
        """It does again."""
        self.blocked.difference_update(pairs)
        for link in list(self.links):
            if link.stalled and (link.other.process.host, link.process.host) not in self.blocked:
                link.flows()

    def _dead(self, pairs: list[tuple[str, str]], since_ns: int) -> None:
        for link in list(self.links):
            if link.up and link.stalled and (link.other.process.host, link.process.host) in self.blocked:
                if link.queue and link.queue[0][0] <= since_ns + DEAD_NS:
                    self.clock.later(self.random.randint(0, 3000) * MS, link.process, link.broke)
                    self.clock.later(self.random.randint(0, 3000) * MS, link.other.process, link.other.broke)

    def break_one(self, link: Link) -> None:
        """A connection breaks for no reason: each end finds out by itself, and some of what was under way is lost."""
        for end in (link, link.other):
            keep = self.random.randint(0, len(end.queue))
            while len(end.queue) > keep:
                end.queue.pop()
            self.clock.later(self.random.randint(0, 200) * MS, end.process, end.broke)

    def died(self, process: Process, *, silently: bool) -> None:
        """All its connections end; silently: with its machine, and nobody is told."""
        for link in list(self.links):
            if link.process is process and link.up:
                if silently:
                    link.vanish()
                    self.clock.later(DEAD_NS, link.other.process, link.other.broke)  # by TCP's own probes
                else:
                    link.up = False
                    link.other._cut(self.random)


class Call:
    """One try to connect."""

    __slots__ = ("_over", "failed", "hello", "net", "owner", "process", "target")

    def __init__(
        self,
        net: Network,
        process: Process,
        target: str,
        hello: Hello,
        owner: Owner,
        failed: Callable[[Refused | None], None],
    ) -> None:
        self.net = net
        self.process = process
        self.target = target
        self.hello = hello
        self.owner = owner
        self.failed = failed
        self._over = False

    def arrives(self) -> None:
        """The first word is there."""
        net = self.net
        if not net.open(self.process.host, self.target) or not self.process.alive:
            return  # nobody answers
        listener = net.listeners.get(self.target)
        if listener is None or not listener.process.alive:
            net.clock.later(net.delay_ns(), self.process, self._fails, None)
        else:
            net.clock.later(0, listener.process, self._asks, listener)

    def _asks(self, listener: Listener) -> None:
        net = self.net
        if not net.open(self.process.host, self.target):
            return
        refused = listener.check(self.hello)
        if refused is not None:
            net.clock.later(net.delay_ns(), self.process, self._fails, refused)
            return
        theirs = listener.receiver(self.hello)
        link = net.connect(listener.process, theirs, self.process, self.owner, listener.hello(), self.hello)
        if self._over or not self.process.alive:
            link.other.up = False
        due = net.clock.now + net.delay_ns()
        link.other.ready_ns = due  # the answer is the first that comes
        net.clock.at(due, self.process, self._answered, link.other)
        theirs.link_up(link)

    def _answered(self, link: Link) -> None:
        if self._over or not link.up:
            if link.up:
                link.abort()
            self._fails(None)
            return
        self._over = True
        self.owner.link_up(link)

    def _fails(self, refused: Refused | None) -> None:
        if not self._over:
            self._over = True
            self.failed(refused)

    def gives_up(self) -> None:
        """It took too long."""
        self._fails(None)
