"""Nodes as the scheduler's service knows them: names, links, and what must survive a broken link.

A node keeps its name as long as it is known. Two machines may be called the same; then the second one is NAME-2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightwork.scheduler.service.session_keys import SessionKeys
from lightwork.transport.link import Link
from lightwork.transport.outbox import Outbox, Received
from lightwork.wire import messages as say
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Message


class Claim:
    """One node of ours. With `number` "" (the embedded node) nothing survives a link, for none breaks."""

    def __init__(self, name: str, identity: str, keys: SessionKeys) -> None:
        self.name = name
        self.identity = identity
        self._keys = keys
        self.link: Link | None = None
        self._start("")

    def _start(self, number: str) -> None:
        self.number = number
        self.outbox = Outbox()
        self.received = Received()

    def join(self, link: Link, ready: say.NodeReady, epoch: int) -> bool:
        """It is there, perhaps again; whether what was under way goes on. A durable scheduler adopts the rest."""
        resumed = bool(ready.claim) and ready.claim == self.number
        if not resumed:
            self._start(ready.claim)
        self.link = link
        if ready.claim:
            link.send(say.Welcome(resumed, self.received.count, bool(epoch) and not resumed, epoch))
        if resumed:
            self.outbox.resume(link, ready.received)
        return resumed

    def send(self, message: Message, body: Buffer = b"") -> None:
        """To the node, now or when it is back. What is meant for one that is given up is dropped with it."""
        if self.number:
            self.outbox.send(self.link, message, body)
        elif self.link is not None:
            self.link.send(message, body)

    def note(self, message: Message, body: Buffer) -> Any:
        """Something came from it; the same as we understand it."""
        if self.number:
            self._count(message, body)
        return self._keys.heard(message)

    def _count(self, message: Message, body: Buffer) -> None:
        self.received.note(message, body)
        if isinstance(message, say.Ack):
            self.outbox.acknowledged(message.count)
        elif isinstance(message, say.Heartbeat) or self.received.due():
            ack = self.received.ack()
            if ack is not None and self.link is not None:
                self.link.send(ack)


class Claims:
    """All nodes."""

    def __init__(self, epoch: int = 0) -> None:
        self._epoch = epoch  # of a durable scheduler
        self.keys = SessionKeys()
        self._by_name: dict[str, Claim] = {}
        self._known: dict[str, str] = {}  # identity -> name, for good: the core may still wait for a node of that name
        self._by_link: dict[Link, Claim] = {}

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._by_name.values())

    def of(self, link: Link) -> Claim | None:
        """Who is at the other end."""
        return self._by_link.get(link)

    def named(self, name: str) -> Claim | None:
        """The node of this name."""
        return self._by_name.get(name)

    def tell(self, name: str, message: Message) -> None:
        """Say something to the node of this name, now or when it is back."""
        claim = self._by_name.get(name)
        if claim is not None:
            claim.send(message)

    def join(self, link: Link, ready: say.NodeReady) -> tuple[Claim, bool, Link | None]:
        """The node's record, whether it resumes, and the link that it had until now, if that is still there."""
        claim = self._find(ready)
        old = claim.link if claim.link is not link else None
        if old is not None:
            self._by_link.pop(old, None)
        resumed = claim.join(link, ready, self._epoch)
        self._by_link[link] = claim
        return claim, resumed, old

    def _find(self, ready: say.NodeReady) -> Claim:
        same = (one for one in self._by_name.values() if one.identity == ready.identity)
        claim = next((one for one in same if ready.identity or one.name == ready.name), None)
        if claim is None:
            name = self._known.get(ready.identity) or self._free_name(ready.name)
            claim = self._by_name[name] = Claim(name, ready.identity, self.keys)
            if ready.identity:
                self._known[ready.identity] = name
        return claim

    def name_of(self, identity: str, name: str) -> str:
        """What the node of this identity is called here, if it was here; else what it calls itself."""
        return self._known.get(identity) or name

    def remember(self, identity: str, name: str) -> None:
        """An earlier life of ours knew a node by this name."""
        if identity:
            self._known[identity] = name

    def heard(self) -> list[str]:
        """From whom bytes have come since this was asked last."""
        found = [claim for claim in self._by_name.values() if claim.link is not None and claim.link.heard]
        for claim in found:
            if claim.link is not None:
                claim.link.heard = False
        return [claim.name for claim in found]

    def _free_name(self, name: str) -> str:
        free, number = name, 1
        while free in self._by_name or free in self._known.values():
            number += 1
            free = f"{name}-{number}"
        return free

    def lost(self, link: Link) -> Claim | None:
        """A link broke; whose it was, unless that one has another by now."""
        claim = self._by_link.pop(link, None)
        if claim is not None:
            claim.link = None
        return claim

    def forget(self, name: str) -> Link | None:
        """The node is given up; the link that it may still have."""
        claim = self._by_name.pop(name, None)
        if claim is None or claim.link is None:
            return None
        self._by_link.pop(claim.link, None)
        return claim.link
