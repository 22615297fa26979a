"""What one scheduler and this node say to each other within a claim, over as many links as it takes.

    link up --> NodeReady(claim, received) --> Welcome(resumed, received) --> live: each sends what the other lacks
       ^                                           |
       |                                           +--> not resumed, but we were live before: the scheduler has given us
    broken: jobs run on, messages wait                  up meanwhile. All that we have is nobody's; the claim begins
    (transport.outbox), the lease runs                  anew with this Welcome (`adopt`), by another agent.

Whatever comes before the Welcome was meant for an earlier claim and is dropped.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Protocol

from lightwork.config.timers import HEARTBEAT_S, LEASE_S, UNREACHABLE_AFTER_BEATS
from lightwork.kit.clock import monotonic_ns
from lightwork.kit.text import span
from lightwork.node.service.agent import Agent
from lightwork.node.service.claims_pulse import Pulse
from lightwork.node.service.station_log import StationLog
from lightwork.transport.link import Batch, Link
from lightwork.transport.outbox import Outbox, Received
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Ack, Goodbye, Hello, Message, Ping, Pong, Welcome

OVERDUE_NS = 1_000_000  # timers may be a little early
SOUND_BEATS = 3


class Owner(Protocol):
    """The station, as its claim knows it."""

    log: StationLog

    def over(self, why: str, again: Link | None = None) -> None:
        """The claim is over; over the link `again` it has begun anew."""

    def received(self, link: Link, batch: Batch) -> None:
        """The rest of a batch, of what the claim did not live to see."""


class Claim:
    """One agent's life under one scheduler."""

    def __init__(self, owner: Owner, agent: Agent, peer: Hello, number: str = "") -> None:
        self.number = number or secrets.token_hex(8)
        self.peer = peer
        self.session = session_of(peer)
        self.link: Link | None = None
        self.outbox = Outbox()
        self._agent = agent
        self._owner = owner
        self._inbound = Received()
        self._live: Link | None = None  # the link, once we were welcomed there
        self._lived = False
        self._over = False
        self._ready_ns = 0
        self._beat_s = peer.beat_ms / 1e3 or HEARTBEAT_S
        agent.beat_s = self._beat_s
        self._pulse = Pulse(int(peer.lease_ms * 1e6 or LEASE_S * 1e9), monotonic_ns())
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._beat_s, self._beat)

    # --- links ---

    def attach(self, link: Link) -> None:
        """A new link to the scheduler; it takes the place of the old one."""
        old, self.link, self._live = self.link, link, None
        if old is not None:
            self._agent.link = None
            old.abort()
        self._pulse.linked()
        self._ready_ns = monotonic_ns()
        link.send(self._agent.offer(link, self.number, self._inbound.count))

    def adopt(self, link: Link) -> None:
        """We were welcomed on this link, with nothing of what was before."""
        self.link = link
        self._welcomed(link, Welcome(False))

    def detach(self) -> None:
        """The link is gone; the next one may come within the lease."""
        self.link = self._live = self._agent.link = None

    def send(self, message: Message, body: Buffer = b"") -> None:
        """Now, or when the scheduler is there again."""
        self.outbox.send(self._live, message, body)

    def received(self, link: Link, batch: Batch) -> None:
        """Messages of the scheduler."""
        if link is not self.link or self.overdue():
            return
        self._pulse.heard()
        for number, (message, body) in enumerate(batch, 1):
            self._take(link, message, body)
            if self._over:
                self._owner.received(link, batch[number:])
                return
        if self._inbound.due():
            self._acknowledge()

    def _take(self, link: Link, message: Message, body: bytes) -> None:
        if isinstance(message, Pong):
            self._pulse.pong(message.number)
        elif isinstance(message, Welcome):
            self._welcomed(link, message)
        elif isinstance(message, Goodbye):
            self._end("the scheduler has left" + (f": {message.reason}" if message.reason else ""))
        elif self._live is None:
            return
        elif isinstance(message, Ack):
            self.outbox.acknowledged(message.count)
        else:
            self._inbound.note(message, body)
            self._agent.inbox.take(link, message, body)

    def _welcomed(self, link: Link, welcome: Welcome) -> None:
        if self._lived and not welcome.resumed:
            self._end("the scheduler has given it up meanwhile", link)
            return
        self._live, self._lived = link, True
        self._pulse.answered(self._ready_ns)
        self.outbox.resume(link, welcome.received)
        self._agent.speak(link, self.send)

    def _acknowledge(self) -> None:
        ack = self._inbound.ack()
        if ack is not None and self._live is not None:
            self._live.send(ack)

    # --- the clock ---

    def sound(self) -> bool:
        """Whether there is a link on which the scheduler has answered just now."""
        age_s = self._pulse.age_ns(monotonic_ns()) / 1e9
        return self._live is not None and self._live.up and age_s <= SOUND_BEATS * self._beat_s

    def left_s(self) -> float:
        """How long the lease lasts without a further answer."""
        return max(0.0, self._pulse.left_ns(monotonic_ns()) / 1e9)

    def overdue(self) -> bool:
        """Whether the lease is over. If so, this was the claim's end: to be asked before anything is believed."""
        if not self._over and self._pulse.left_ns(monotonic_ns()) <= 0:
            lease = span(self._pulse.lease_ns / 1e9)
            self._end(f"nothing that this node has said for {lease} was answered")
        return self._over

    def _beat(self) -> None:
        if self.overdue():
            return
        link = self.link
        if link is not None:
            if link.heard:  # a part of a long message, on a slow line
                link.heard = False
                self._pulse.heard()
            if self._pulse.beat():
                silence = span(UNREACHABLE_AFTER_BEATS * self._beat_s)
                self._owner.log.say(f"nothing heard from {named(self.peer)} for {silence}: the connection is given up")
                link.abort()
            else:
                link.send(Ping(self._pulse.ping(monotonic_ns())))
                self._acknowledge()
        left_s = (self._pulse.left_ns(monotonic_ns()) + OVERDUE_NS) / 1e9
        self._timer = self._loop.call_later(max(0.0, min(self._beat_s, left_s)), self._beat)

    # --- ends ---

    def _end(self, why: str, again: Link | None = None) -> None:
        if not self._over:
            self.close(again)
            self._owner.over(why, again)

    def close(self, spare: Link | None = None) -> None:
        """It is over, and so is its link, unless that is to be spared."""
        link = self.link
        self._over = True
        self._timer.cancel()
        self.detach()
        if link is not None and link is not spare:
            link.abort()


def session_of(hello: Hello) -> str:
    """What tells schedulers from each other."""
    return hello.session or f"{hello.name}@{hello.host}:{hello.pid}"


def named(hello: Hello) -> str:
    """A scheduler, for people."""
    where = f"{hello.user}@{hello.host}" if hello.user else hello.host
    return " of ".join(filter(None, (hello.name or "a scheduler", where)))
