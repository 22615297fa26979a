"""A relay between some nodes and the scheduler: it has one link home, and many to nodes (relay/core/lines.py).

    home lost   the nodes are told nothing: their links stay up, and their leases, which are longer, run
    home again  links of that time are ended: their nodes dial again
    it dies     all links of its nodes end at both ends

A connection of a node behind it is one connection here; what the relay does is done to its two ends.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lightwork.wire.messages import Hello
from tests.simulation.clock import MS, SECOND, Process
from tests.simulation.links import Link, Owner
from tests.simulation.machine import RELAY_LEASE_NS
from tests.simulation.network import Network

if TYPE_CHECKING:
    from tests.simulation.world import World

BEAT_NS = 2 * SECOND
NOTICED_S = 20  # by then a scheduler has given up a link over which nothing comes


class Relay:
    """One, with the hosts behind it."""

    def __init__(self, world: World, name: str, hosts: list[str], random: Random) -> None:
        self.name = name
        self.hosts = hosts
        self._world = world
        self._random = random
        self._away = 0  # how many reasons there are why it is not home
        self._turn = 0

    def start(self) -> None:
        """It looks at its links at each beat."""
        self._world.clock.later(BEAT_NS, None, self._beat)

    def links(self) -> list[Link]:
        """The nodes' ends that are up."""
        return [link for link in self._world.net.links if link.up and link.process.host in self.hosts]

    def _beat(self) -> None:
        self._world.clock.later(BEAT_NS, None, self._beat)
        home = not self._away and self._world.scheduler is not None
        for link in self.links():
            if link.other.up and not self._away:
                continue
            if not home:
                link.heard = True  # signs of life are the relay's own
            elif not link.queue:
                self._world.clock.later(int(self._random.random() * SECOND), link.process, link.broke)

    def cut(self, seconds: int) -> None:
        """Nothing gets home, and nothing comes from there. A short one is not even noticed."""
        for link in self.links():
            self._world.clock.later(self._random.randint(5, NOTICED_S) * SECOND, None, self._noticed, link, self._turn)
        self._goes(seconds)

    def _noticed(self, link: Link, turn: int) -> None:
        """The scheduler has heard nothing for so long that this link of it is dead."""
        if self._away and self._turn == turn and not link.other.process.stopped:
            link.other.broke()

    def dies(self, seconds: int) -> None:
        """It is gone, and starts again some time later."""
        for link in self.links():
            self._world.net.break_one(link)
        self._goes(seconds)

    def _goes(self, seconds: int) -> None:
        net = self._world.net
        pairs = [pair for host in self.hosts for pair in ((host, "s"), ("s", host)) if pair not in net.blocked]
        net.blocked.update(pairs)
        self._away += 1
        self._world.clock.later(seconds * SECOND, None, self._is_back, pairs)

    def _is_back(self, pairs: list[tuple[str, str]]) -> None:
        self._away -= 1
        self._turn += 1
        self._world.net.unblock(pairs)


class Relayed(Network):
    """A network with relays in it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock, world.random)
        self.relays: dict[str, Relay] = {}  # by host behind it

    def connect(self, here: Process, owner: Owner, there: Process, their: Owner, ours: Hello, theirs: Hello) -> Link:
        """As in the base; through a relay both sides know that they speak through one (scheduler/service/relays.py)."""
        relay = self.relays.get(there.host)
        if relay is None:
            return super().connect(here, owner, there, their, ours, theirs)
        lease_ms = max(ours.lease_ms, RELAY_LEASE_NS // MS)
        link = super().connect(here, owner, there, their, replace(ours, via=relay.name, lease_ms=lease_ms), theirs)
        link.relay, link.lease_ms = relay.name, lease_ms
        return link

    def reset(self, link: Link) -> None:
        """As in the base; nodes behind a relay are told nothing."""
        if link.process.host not in self.relays:
            super().reset(link)

    def died(self, process: Process, *, silently: bool) -> None:
        """As in the base; so is it when the scheduler dies."""
        for link in self.links:
            if link.process is process and link.up and link.other.process.host in self.relays:
                link.vanish()
        super().died(process, silently=silently)
