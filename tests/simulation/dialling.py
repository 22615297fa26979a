"""A scheduler that looks for its nodes: what scheduler/service/dialler.py does, over simulated connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightwork.config import timers
from lightwork.model.errors import LightworkError
from lightwork.scheduler.core import events as on
from lightwork.wire.messages import Refused
from tests.simulation.clock import SECOND
from tests.simulation.links import Link

if TYPE_CHECKING:
    from tests.simulation.scheduler import Scheduler

STATES = {"busy": "busy", "connected": "connected"}


class Dialler:
    """Of one life of a scheduler."""

    def __init__(self, process: Scheduler, receiver: Any, tell: Callable[[on.Event], None]) -> None:
        self._process = process
        self._receiver = receiver
        self._tell = tell
        self._reached: dict[Link, str] = {}
        self._silent: set[Link] = set()

    def joined(self, link: Link) -> str:
        """A node has joined over this link: the address that was dialled."""
        self._silent.discard(link)
        return self._reached.get(link, "")

    def dial(self, address: str) -> None:
        """Try once."""
        host = address.split(":")[1]
        dialled = Dialled(self, self._receiver, address)
        self._process.world.net.dial(
            self._process, host, self._process.hello(), dialled, lambda refused: self._failed(address, refused)
        )

    def _failed(self, address: str, refused: Refused | None) -> None:
        if refused is None:
            self._tell(on.NodeUnreached(address, "unreachable", "nobody answers"))
        else:
            self._tell(on.NodeUnreached(address, STATES.get(refused.code, "refused"), refused.message))

    def up(self, link: Link, address: str) -> None:
        """A dialled link is up."""
        self._reached[link] = address
        self._silent.add(link)
        self._process.clock.later(int(timers.HELLO_S * SECOND), self._process, self._give_up, link)
        self._receiver.link_up(link)

    def _give_up(self, link: Link) -> None:
        if link in self._silent:
            link.abort()

    def lost(self, link: Link, address: str) -> None:
        """It is gone; the core ignores this if a node had joined by it."""
        self._reached.pop(link, None)
        self._silent.discard(link)
        self._tell(on.NodeUnreached(address, "unreachable", "the connection broke"))

    def ask(self, hosts: list[str], patterns: list[str]) -> None:
        """Nobody is found without being named, here."""


class Dialled:
    """Whose a dialled link is."""

    def __init__(self, dialler: Dialler, receiver: Any, address: str) -> None:
        self._dialler = dialler
        self._receiver = receiver
        self._address = address

    def link_up(self, link: Link) -> None:
        """It is there."""
        self._dialler.up(link, self._address)

    def received(self, link: Link, batch: Any) -> None:
        """It is one like any other."""
        self._receiver.received(link, batch)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """It is gone."""
        self._dialler.lost(link, self._address)
        self._receiver.link_lost(link, error)
