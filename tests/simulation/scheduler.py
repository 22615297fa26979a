"""One life of the scheduler: the real service, core, ledger, gate and claims; journal, links and clock are simulated.

    links --messages--> DurableScheduler --Record--> Journal (disk.py) --durable--> gate --> links

What it is told and what it does is shown to the oracle on the way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lightwork.model.errors import LightworkError, ProtocolError
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.durable import DurableScheduler
from lightwork.wire import messages as say
from tests.simulation.clock import SECOND, Clock, Process
from tests.simulation.dialling import Dialler
from tests.simulation.disk import Journal
from tests.simulation.known import Uid
from tests.simulation.links import Owner

if TYPE_CHECKING:
    from tests.simulation.world import World


logging.getLogger("lightwork.scheduler").setLevel(logging.CRITICAL + 1)  # faults are raised, and told once


class Scheduler(Process):
    """The process; also who accepts its links."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(f"s{number}", "s")
        self.process = self
        self.world = world
        self.clock: Clock = world.clock
        self.began_ns = self.clock.now
        self.blamed = {uid: set(tokens) for uid, tokens in world.oracle.blamed.items()}  # deaths that it knows
        self.recorded = dict(world.oracle.ends)  # all ends that it has written, or is about to
        self.unwanted: set[int] = set()  # attempts that it has asked to be stopped
        self.openings = world.oracle.openings.copy()
        ledger = world.disk.replay()
        ledger.identity = ledger.identity or world.disk.identity
        self.journal = Journal(world.disk, world.clock, world.random, self, self._durable)
        self.journal.slow_ns = world.fsync_ns
        self.journal.on_full = self._full
        self.service: Watched
        Watched(self, ledger)

    @property
    def ledger(self) -> Ledger:
        """What it has written down, or is about to."""
        return self.service.ledger

    @property
    def epoch(self) -> int:
        """Which life of it this is."""
        return self.ledger.epoch

    @property
    def core(self) -> Any:
        """The real one."""
        return self.service.core

    def now_ns(self) -> int:
        """By the clock that decides."""
        return self.clock.now

    def job_of(self, uid: Uid) -> Any:
        """Its record, if the job has not ended, and its session neither."""
        session = self.core.state.sessions.get(self.openings.session(uid[0]))
        return session.jobs.get(uid[1]) if session is not None else None

    def start(self) -> None:
        """The clock is looked at every second."""
        self.clock.later(SECOND, self, self._tick)

    def _tick(self) -> None:
        self.clock.later(SECOND, self, self._tick)
        self.world.looks(self)
        self.service.time_passed()

    def _durable(self, number: int) -> None:
        self.service.durable(number)

    def _full(self, full: bool) -> None:
        self.service.full(full)

    def killed(self) -> None:
        """kill -9."""
        self.world.scheduler_died(self, power=False)

    def forget(self) -> None:
        """It is over. Records of jobs are outside the collector: what they are part of would stay for ever."""
        for session in self.core.state.sessions.values():
            for job in session.jobs.values():
                job.group.line.clear()
            session.jobs.clear()

    # --- who comes in (Listener) ---

    def hello(self) -> say.Hello:
        """What it says of itself."""
        return say.Hello(
            say.PROTOCOL,
            "scheduler",
            "s",
            self.world.disk.identity,
            host="s",
            epoch=self.epoch,
            lease_ms=int(self.world.lease_ns / 1e6),
            beat_ms=int(self.world.beat_s * 1000),
        )

    def receiver(self, hello: say.Hello) -> Owner:
        """Who gets the link."""
        return self.service

    def check(self, hello: say.Hello) -> say.Refused | None:
        """May it come in?"""
        return self.service.may_join(hello)


class Blobs:
    """A store without anything in it."""

    def has(self, digest: str) -> bool:
        """No."""
        return False

    def remove_except(self, needed: Any) -> None:
        """There is nothing to remove."""


class Watched(DurableScheduler):
    """The real service, watched."""

    def __init__(self, process: Scheduler, ledger: Ledger) -> None:
        self.process = process
        process.service = self
        self.world = process.world
        self.ledger = ledger
        blobs: Any = Blobs()
        given: dict[str, Any] = {"on_fault": _raise_again, "later": self._later, "beat_s": self.world.beat_s}
        if self.world.seeks:
            given["make_dialler"] = lambda receiver, tell: Dialler(process, receiver, tell)
        super().__init__(ledger, self, blobs, process.now_ns, **given)
        self._fed = self._core.feed
        self._core.feed = self._watched  # type: ignore[method-assign]
        self._epoch_ns = self._telling._epoch_ns = self._core.state.wall_ns = self.world.wall_ns

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.process.clock.later(int(delay_s * SECOND), self.process, call)

    @property
    def core(self) -> Any:
        """The real one."""
        return self._core

    @property
    def waiting(self) -> int:
        """Commands that wait for the disk."""
        return len(self._gate)

    def record(self, number: int, fact: Fact) -> None:
        """A fact is to be written down (Journal)."""
        self.process.journal.write(fact)

    def received(self, link: Any, batch: list[Any]) -> None:
        """As in the service, but nobody says here what must not be said."""
        self.world.heard(self.process, link, batch)
        super().received(link, batch)

    def link_lost(self, link: Any, error: LightworkError | None) -> None:
        """As in the service."""
        if isinstance(error, ProtocolError):
            self.world.oracle.protocol_error(self.process, link, error)
        super().link_lost(link, error)

    def _watched(self, events: Iterable[on.Event], now_ns: int) -> list[do.Command]:
        events = list(events)
        self.world.saw(self.process, events)
        self.world.oracle.hears(self.process, events)
        if self.world.coverage is not None:
            self.world.coverage.saw(self._core.state, events)
        commands = self._fed(events, now_ns)
        self.world.oracle.after_feed(self.process, events)
        return commands

    def _obey(self, commands: Iterable[do.Command]) -> None:
        commands = list(commands)
        for command in commands:
            if isinstance(command, do.Record):
                self.world.did(self.process, command)
                self.world.oracle.records(self.process, self.process.openings.told(command.fact))
            else:
                self.world.oracle.decides(self.process, self.process.openings.told(command))
        super()._obey(commands)

    def _obey_one(self, command: Any) -> None:
        self.world.did(self.process, command)
        self.world.oracle.obeys(self.process, command)
        super()._obey_one(command)


def _raise_again() -> None:
    """A fault of the scheduler is the end of the schedule: called while the error is handled."""
    raise  # noqa: PLE0704
