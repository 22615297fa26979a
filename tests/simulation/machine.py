"""A node's machine: what outlives its agent. What is kept for schedulers, the rings of workers, and the workers."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lightwork.config import timers
from tests.simulation.clock import SECOND, Process
from tests.simulation.kept import Log
from tests.simulation.workers import Ring, Worker

if TYPE_CHECKING:
    from tests.simulation.station import Station
    from tests.simulation.world import World

RELAY_LEASE_NS = int(timers.RELAY_LEASE_S * SECOND)


class Home:
    """What lies on the disk for one scheduler."""

    def __init__(self) -> None:
        self.log = Log()
        self.rings: list[Ring] = []


class Machine:
    """One host."""

    def __init__(self, world: World, name: str, slots: int) -> None:
        self.world = world
        self.clock = world.clock
        self.random: Random = world.random
        self.name = name
        self.slots = slots
        self.speed = 1.0
        self.station: Station | None = None
        self.eras = 1
        self.epochs: dict[str, int] = {}
        self.homes: dict[str, Home] = {}  # by scheduler
        self.heard_ns = 0  # when a scheduler that counts has read something of it
        self.lost_ns = 0  # when one last gave it up
        self.full = False  # its disk
        self.relay = ""  # the one that it is behind

    @property
    def era(self) -> str:
        """Since when it knows what it has started."""
        return f"{self.name}-era{self.eras}"

    @property
    def lease_ns(self) -> int:
        """After so long a silence it is given up."""
        return max(self.world.lease_ns, RELAY_LEASE_NS) if self.relay else self.world.lease_ns

    @property
    def given_up(self) -> bool:
        """It was, and has not been heard since."""
        return self.lost_ns > self.heard_ns

    def home(self, scheduler: str) -> Home:
        """What lies there for this scheduler."""
        return self.homes.setdefault(scheduler, Home())

    def bell(self, worker: Worker) -> None:
        """A worker has something in its ring."""
        if self.station is not None:
            self.station.agent.bell(worker)

    def worker_died(self, worker: Worker, why: str) -> None:
        """The keeper tells the agent."""
        if self.station is not None:
            self.station.agent.worker_died(worker, why)

    def loses_power(self) -> None:
        """All that ran is gone, and an unknown part of what was written."""
        station, self.station = self.station, None
        if station is not None:
            self.world.net.died(station, silently=True)
            Process.killed(station)
            station.agent.end_workers("power")
        for home in self.homes.values():
            home.rings.clear()
            home.log.torn(self.random.choice((0, self.random.randint(0, len(home.log)))))
        self.world.oracle.powerless(self)
        self.eras += 1
