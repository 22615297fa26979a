"""Simulated connections: who is reached, when, and what breaks them (links.py has one end).

Connections that cannot get through for DEAD_NS break, each end by itself. Nothing is ordered across connections: what
an old one still carries may arrive after the first words of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from lightwork.wire.messages import Hello, Message, Refused
from tests.simulation.clock import MS, SECOND, Clock, Process
from tests.simulation.links import DEAD_NS, Link, Owner

CONNECT_NS = 3 * SECOND


class Listener(Protocol):
    """Who accepts connections on a host."""

    @property
    def process(self) -> Process:
        """Which of its processes."""

    def check(self, hello: Hello) -> Refused | None:
        """May this one come in?"""

    def hello(self) -> Hello:
        """Who answers."""

    def receiver(self, hello: Hello) -> Owner:
        """Who gets the link."""


class Network:
    """All hosts, who listens there, and what is cut."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self.blocked: set[tuple[str, str]] = set()
        self.local: set[str] = set()  # hosts that are the scheduler's own: unix sockets, and never a cut
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
        if here.host in self.local or there.host in self.local:
            mine.local_address = other.local_address = ""
        if len(self.links) > 64:
            self.links = [link for link in self.links if link.up or link.other.up]
        self.links += [mine, other]
        return mine

    # --- faults ---

    def reset(self, link: Link) -> None:
        """It has sent to an end that is no more: it hears so as soon as anything gets back, for TCP repeats it."""
        if self.open(link.process.host, link.other.process.host):
            self.clock.later(self.delay_ns(), link.process, link.broke)
        elif link.up:
            self.clock.later(SECOND, None, self.reset, link)

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
        """A connection breaks for no reason: each end finds out by itself, and all behind some point is lost."""
        for end in (link, link.other):
            end.broken = True
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
