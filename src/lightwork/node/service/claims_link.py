"""What one scheduler and this node say to each other within a claim, over as many links as it takes.

    link up --> NodeReady(claim, received) --> Welcome(resumed, received) --> live: each sends what the other lacks
       ^                                           |
       |                                           +--> adopts: both count anew; Truth, then every end that is due
    broken: jobs run on, messages wait             |
    (transport.outbox), the lease runs             +--> neither, but we were live before: the scheduler has given us up.
                                                        All that we have is nobody's; the claim begins anew with this
                                                        Welcome, by another agent

What follows from what is decided by core.tenure. Whatever comes before the Welcome was meant for an earlier claim and
is dropped.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from typing import Protocol

from lightwork.config import limits, timers
from lightwork.config.timers import HEARTBEAT_S, LEASE_S, UNREACHABLE_AFTER_BEATS
from lightwork.kit.clock import monotonic_ns
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.text import count, span
from lightwork.node.core import tenure as do
from lightwork.node.core.keeping import Due
from lightwork.node.core.tenure import Phase, Tenure
from lightwork.node.service import durable
from lightwork.node.service.agent import Agent
from lightwork.node.service.offer import offer
from lightwork.transport.link import Batch, Link
from lightwork.transport.outbox import Outbox, Received
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Ack, Goodbye, Hello, Message, Ping, Pong, Welcome

OVERDUE_NS = 1_000_000  # timers may be a little early
SOUND_BEATS = 3


class Owner(Protocol):
    """The station, as its claim knows it."""

    log: OwnerLog

    def over(self, why: str, again: Link | None = None) -> None:
        """The claim is over; over the link `again` it has begun anew."""

    def received(self, link: Link, batch: Batch) -> None:
        """The rest of a batch, of what the claim did not live to see."""


class Claim:
    """One agent's life under one scheduler."""

    def __init__(self, owner: Owner, agent: Agent, peer: Hello, number: str = "") -> None:
        self.session = session_of(peer)
        self.outbox = Outbox()
        self.left = False  # the scheduler has said goodbye
        self.unreachable = ""  # since when, by the clock on the wall, its attempts are orphans
        self._agent = agent
        self._owner = owner
        self._inbound = Received()
        self._due: deque[Due] = deque()  # ends that are still to be told to who has adopted us
        orphan_ns = int(timers.ORPHAN_S * 1e9)
        self._tenure = Tenure(0, orphan_ns, monotonic_ns(), lambda: secrets.token_hex(8), peer.epoch, number)
        self._know(peer)
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._beat_s, self._beat)

    def _know(self, peer: Hello) -> None:
        """What a scheduler says of itself; another life of it may have other timers."""
        self.peer = peer
        self._beat_s = self._agent.beat_s = peer.beat_ms / 1e3 or HEARTBEAT_S
        self._lease_ns = int(peer.lease_ms * 1e6 or LEASE_S * 1e9)
        pulse = self._tenure.pulse  # a longer one, as behind a relay, counts when the scheduler has welcomed us there
        pulse.lease_ns = min(pulse.lease_ns or self._lease_ns, self._lease_ns)

    @property
    def link(self) -> Link | None:
        """The one that is up, welcomed or not."""
        link: Link | None = self._tenure.link
        return link

    @property
    def number(self) -> str:
        """By which the scheduler knows what is under way between us."""
        return self._tenure.number

    @property
    def epoch(self) -> int:
        """The scheduler's life; 0: it has but one."""
        return self._tenure.epoch

    @property
    def orphans(self) -> int:
        """How many attempts run on though their scheduler cannot be reached; 0 also if it can."""
        return durable.running(self._agent) if self._tenure.phase is Phase.ORPHANED else 0

    # --- links ---

    def attach(self, link: Link) -> None:
        """A new link to the scheduler; it takes the place of the old one."""
        self._agent.link = None
        self._know(link.peer)
        self._obey(self._tenure.linked(link, link.peer.epoch, monotonic_ns()))

    def begin_on(self, link: Link) -> None:
        """We were welcomed on this link, with nothing of what was before."""
        self._obey(self._tenure.begun_on(link, monotonic_ns()))

    def detach(self, link: Link) -> None:
        """The link is gone; the next one may come within the lease."""
        if link is self.link:
            self._agent.link = None
        self._tenure.unlinked(link)

    def send(self, message: Message, body: Buffer = b"") -> None:
        """Now, or when the scheduler is there again."""
        self.outbox.send(self.link if self._tenure.live else None, message, body)

    def received(self, link: Link, batch: Batch) -> None:
        """Messages of the scheduler."""
        if link is not self.link or self.overdue() or link is not self.link:
            return
        self._tenure.pulse.heard()
        for number, (message, body) in enumerate(batch, 1):
            self._take(link, message, body)
            if self._over:
                self._owner.received(link, batch[number:])
                return
        if self._inbound.due():
            self._acknowledge()

    def _take(self, link: Link, message: Message, body: bytes) -> None:
        if link is not self.link:
            return
        if isinstance(message, Pong):
            self._tenure.pulse.pong(message.number)
        elif isinstance(message, Welcome):
            self._welcomed(link, message)
        elif isinstance(message, Goodbye):
            self.left = True
            self._obey(self._tenure.left(link, message.reason))
        elif not self._tenure.live:
            return
        elif isinstance(message, Ack):
            self.outbox.acknowledged(message.count)
            self._tell_due()
        else:
            self._inbound.note(message, body)
            self._agent.inbox.take(link, message, body)

    def _welcomed(self, link: Link, one: Welcome) -> None:
        now = monotonic_ns()
        self._tenure.pulse.lease_ns = self._lease_ns
        self._obey(self._tenure.welcomed(link, one.resumed, one.received, one.adopts, one.epoch, now))

    def _acknowledge(self) -> None:
        ack = self._inbound.ack()
        if ack is not None and self.link is not None and self._tenure.live:
            self.link.send(ack)

    # --- what is decided ---

    def _obey(self, commands: do.Commands) -> None:
        for command in commands:
            if isinstance(command, do.Offer):
                command.link.send(offer(self._agent, command.link, command.claim, self._inbound.count))
            elif isinstance(command, do.Drop):
                self._drop(command)
            elif isinstance(command, do.Resume):
                self.outbox.resume(command.link, command.received)
                self._agent.speak(command.link, self.send)
            elif isinstance(command, do.Adopt):
                self._adopted(command.link)
            elif isinstance(command, do.LetGo):
                self._let_go()
            elif isinstance(command, do.End):
                self._ended(command)

    def _drop(self, command: do.Drop) -> None:
        if command.stale:
            self._owner.log.say(
                f"{named(command.link.peer)} at {command.link.address} is an earlier life of it: ignored"
            )
        command.link.abort()

    def _adopted(self, link: Link) -> None:
        agent, custody = self._agent, self._agent.custody
        self._count_anew()
        if custody is not None:
            durable.tell_truth(agent, custody, self.send)
            self._due.extend(custody.keeping.unsettled())
        if self.unreachable:
            self._owner.log.say(f"{named(self.peer)} has come back and goes on with its jobs")
            self.unreachable = ""
        agent.speak(link, self.send)
        self._tell_due()

    def _tell_due(self) -> None:
        """Not all at once: there may be more than fits into memory."""
        custody = self._agent.custody
        while self._due and custody is not None and self.outbox.kept_bytes < limits.KEPT_TELLING:
            told = custody.again(self._due.popleft())
            if told is not None:
                self.send(*told)

    def _let_go(self) -> None:
        self._count_anew()
        durable.let_go(self._agent)
        self.unreachable = time.strftime("%H:%M:%S")
        jobs, results = count(self.orphans, "job"), count(self._kept, "result")
        more = f"; {results} are kept for it" if self._kept else ""
        most = span(timers.ORPHAN_S)
        self._owner.log.say(f"{named(self.peer)} cannot be reached: {jobs} of it may run on for {most}{more}")

    @property
    def _kept(self) -> int:
        return self._agent.custody.keeping.count() if self._agent.custody is not None else 0

    def _count_anew(self) -> None:
        self.outbox, self._inbound = Outbox(), Received()
        self._due.clear()

    # --- the clock ---

    def sound(self) -> bool:
        """Whether there is a link on which the scheduler has answered just now."""
        age_s = self._tenure.pulse.age_ns(monotonic_ns()) / 1e9
        return self._tenure.live and self.link is not None and self.link.up and age_s <= SOUND_BEATS * self._beat_s

    def left_s(self) -> float:
        """How long the lease lasts without a further answer."""
        return max(0.0, self._tenure.left_ns(monotonic_ns()) / 1e9)

    def overdue(self) -> bool:
        """Whether it is over. If so, this was the claim's end: to be asked before anything is believed."""
        tenure, now = self._tenure, monotonic_ns()
        if tenure.phase is Phase.ORPHANED or tenure.left_ns(now) <= 0:
            self._obey(tenure.passed(now, durable.in_hand(self._agent)))
        return self._over

    @property
    def _over(self) -> bool:
        return self._tenure.phase is Phase.OVER

    def _beat(self) -> None:
        if self.overdue():
            return
        if self._tenure.phase is Phase.ORPHANED:
            durable.let_go(self._agent)  # what has come back unstarted meanwhile
        if self.link is not None:
            self._beat_on(self.link)
        left_s = (self._tenure.left_ns(monotonic_ns()) + OVERDUE_NS) / 1e9
        self._timer = self._loop.call_later(max(0.0, min(self._beat_s, left_s)), self._beat)

    def _beat_on(self, link: Link) -> None:
        pulse = self._tenure.pulse
        if link.heard:  # a part of a long message, on a slow line
            link.heard = False
            pulse.heard()
        if pulse.beat():
            silence = span(UNREACHABLE_AFTER_BEATS * self._beat_s)
            self._owner.log.say(f"nothing heard from {named(self.peer)} for {silence}: the connection is given up")
            link.abort()
        else:
            link.send(Ping(pulse.ping(monotonic_ns())))
            self._acknowledge()

    # --- ends ---

    def _ended(self, command: do.End) -> None:
        self._timer.cancel()
        self._agent.link = None
        self._owner.over(command.why, command.again)

    def close(self, spare: Link | None = None) -> None:
        """It is over, and so is its link, unless that is to be spared."""
        link = self.link
        self._tenure.given_up("")
        self._timer.cancel()
        self._agent.link = None
        if link is not None and link is not spare:
            link.abort()


def session_of(hello: Hello) -> str:
    """What tells schedulers from each other."""
    return hello.session or f"{hello.name}@{hello.host}:{hello.pid}"


def named(hello: Hello) -> str:
    """A scheduler, for people."""
    where = f"{hello.user}@{hello.host}" if hello.user else hello.host
    name = " of ".join(filter(None, (hello.name or "a scheduler", where)))
    return f"{name}, via relay {hello.via}" if hello.via else name
