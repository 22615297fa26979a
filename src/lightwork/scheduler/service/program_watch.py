"""The durable scheduler with an ear for who comes and goes, and an eye on who may come in."""

from __future__ import annotations

from typing import Any

from lightwork.model.errors import LightworkError
from lightwork.scheduler.service.durable import DurableScheduler
from lightwork.scheduler.service.program_words import CLIENT, NODE, RELAY, WATCHER, Words
from lightwork.scheduler.service.service import Scheduler
from lightwork.transport.link import Link
from lightwork.wire.messages import Hello, Refused

ROLE = "role"


class WatchedScheduler(DurableScheduler):
    """`session`: the only one that it serves; "": any."""

    def __init__(self, words: Words, session: str, **given: Any) -> None:
        super().__init__(**given)
        self._words = words
        self._only = session
        self.used = session in self._ledger.sessions  # its client was there, now or in an earlier life

    # --- who may come in: checks for listeners ---

    def check(self, hello: Hello) -> Refused | None:
        """At a door for all."""
        if hello.role not in (CLIENT, NODE, RELAY, WATCHER):
            return Refused(ROLE, f"this is a scheduler: it talks with clients and nodes, not with a {hello.role}")
        if self._only and hello.role == CLIENT and hello.session != self._only:
            return Refused(ROLE, f"this is the scheduler of session {self._only} alone")
        return self.may_join(hello)

    def check_node(self, hello: Hello) -> Refused | None:
        """At a door for nodes that join: our client is on this machine."""
        if hello.role in (NODE, RELAY):
            return None
        return Refused(ROLE, "this is the scheduler of one program: nodes may join here, nobody else")

    # --- what links tell ---

    def link_up(self, link: Link) -> None:
        """Somebody is there."""
        super().link_up(link)
        if link.up:
            self.used |= link.peer.role == CLIENT
            self._words.came(link.peer, link.address, link.relay)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Somebody is gone."""
        super().link_lost(link, error)
        self._words.went(link.peer, error, left=link.left)

    def link_refused(self, address: str, error: LightworkError) -> None:
        """A stranger."""
        super().link_refused(address, error)
        self._words.refused(address, error)

    async def part(self) -> None:
        """For good: nodes hear a goodbye, and are free at once."""
        await Scheduler.leave(self)
