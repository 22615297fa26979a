"""A calm month: many jobs, few faults, and nothing that grows. In the same world, programs submit batch after batch.

What is measured ten times is what would grow if anything leaked: rows of the journal, entries of the ledger, tables of
the cores, what nodes keep, what waits in the clock. What the oracle knows of a job goes when its user has it.
"""

from __future__ import annotations

import gc
from random import Random
from typing import Any

from psutil import Process

from lightwork.client.records import Record
from lightwork.config import timers
from lightwork.wire.messages import JobOptions
from tests.simulation.client import Client
from tests.simulation.clock import MS, SECOND
from tests.simulation.plan import FINE, FLAKY, POISON, Planned
from tests.simulation.world import World

HOUR = 3600 * SECOND
DAY = 24 * HOUR
BATCH = 100  # jobs that a program submits at once
ALIKE = 50  # of one computation, with one set of options
KINDS = 997  # a prime: with this period they repeat
OPTIONS = (JobOptions(), JobOptions(reentrant=True), JobOptions(reentrant=False), JobOptions(retries=2))


class Endless:
    """As many planned jobs as are asked for, by their index."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self._some = [self._one(random, index) for index in range(KINDS)]

    @staticmethod
    def _one(random: Random, index: int) -> Planned:
        options = random.choice(OPTIONS)
        kind = FLAKY if options.retries and random.random() < 0.1 else FINE
        if random.random() < 0.001:
            kind = POISON
        duration = random.choice((1, 1, 1, 1, 1, 2, 2, 2, 5, 30)) * MS
        return Planned(index, "", random.choice("ffg"), kind, duration, 0, options, failures=random.randint(0, 1))

    def __getitem__(self, index: int) -> Planned:
        return self._some[index // ALIKE % KINDS]


class CalmClient(Client):
    """Submits batch after batch, and forgets what it has taken."""

    world: CalmWorld

    def _begin(self) -> None:
        if not self.core.ready or self.began:
            return
        self.began = True
        for number in list(self.core.past):
            planned = self.world.jobs[self.world.oracle.jobs[self.session, number]]
            self._recall(number, planned)
        self._pours()

    def _pours(self) -> None:
        self.clock.later(self.world.pause_ns, self, self._pours)
        if self.closing or len(self.jobs) > 20 * BATCH:
            return
        for index in self.world.next_batch():
            planned = self.world.jobs[index]
            under = self._under(planned)
            record = self.jobs[index] = Record(under)
            self.core.add(record, under, b"%06d" % index)
            self.planned[record.number] = index
            self.world.oracle.submits(self, record.number, index)
        self._soon()

    def _tell(self, records: list[Record], again: Any = frozenset()) -> None:
        super()._tell(records, again)
        for record in records:
            self.world.ended += 1

    def _takes(self, record: Record) -> None:
        super()._takes(record)
        index = self.planned.pop(record.number, -1)
        self.jobs.pop(index, None)
        self.ended.pop(record.number, None)
        self.world.forget(self.session, record.number, index)

    def _refused_jobs(self, message: Any) -> None:
        for record in self.core.refused_jobs(message):
            self.jobs.pop(self.planned.pop(record.number, -1), None)


class CalmWorld(World):
    """So many days, so many jobs."""

    jobs: Any

    def __init__(self, seed: int, days: float, count: int) -> None:
        super().__init__(seed, restarts_only=False)
        self.days = days
        self.count = count
        self.chaos_ns = int(days * DAY)
        self.jobs = Endless(seed)
        self.lasting = {"c1": True, "c2": True}
        self.pause_ns = self.chaos_ns * BATCH * len(self.names) // count
        self.beat_s, self.beat_ns = 30.0, 30 * SECOND
        self.lease_ns = int(timers.lease_s(self.beat_s) * SECOND)
        self.oracle.every = 200
        self.clock.most_steps = 1_000_000 + 100 * count
        self.submitted = self.ended = 0
        self.measured: list[dict[str, int]] = []
        self.memory: list[int] = []

    def make_client(self, name: str, session: str, life: int) -> Client:
        """One life of a program."""
        return CalmClient(self, name, session, life, True)

    def next_batch(self) -> range:
        """The next jobs, if there are any left."""
        first, self.submitted = self.submitted, min(self.submitted + BATCH, self.count)
        return range(first, self.submitted)

    def forget(self, session: str, number: int, index: int) -> None:
        """A job is over, and its user has it. (Some news of it may still be on its way.)"""
        self.clock.later(HOUR, None, self._forget, (session, number), index)

    def _forget(self, uid: tuple[str, int], index: int) -> None:
        oracle, scheduler = self.oracle, self.scheduler
        for one in oracle.tries_of.pop(uid, ()):
            oracle.by_token.pop(one.token, None)
        tables: list[dict[Any, Any]] = [oracle.jobs, oracle.ends, oracle.lives, oracle.blamed, oracle.grants]
        for table in tables:
            table.pop(uid, None)
        for some in (oracle.durable, oracle.granted, oracle.expected):
            some.discard(uid)
        oracle.uids.pop((uid[0], index), None)
        oracle.submitted.discard((uid[0], index))
        if scheduler is not None:
            scheduler.recorded.pop(uid, None)
            scheduler.blamed.pop(uid, None)

    def run(self) -> None:
        """All days; then everything ends, and nothing is left."""
        self._start()
        for day in range(1, 11):
            self.clock.run_until(self.began_ns + self.chaos_ns * day // 10)
            self.measured.append(self.sizes())
            gc.collect()
            self.memory.append(Process().memory_info().rss)
        self.heal()
        self._finish()

    def sizes(self) -> dict[str, int]:
        """What must not grow."""
        found = {
            "journal rows": self.disk.most,
            "clock": self.clock.waiting,
            "spool": sum(len(home.log) for machine in self.machines.values() for home in machine.homes.values()),
            "rings": sum(len(home.rings) for machine in self.machines.values() for home in machine.homes.values()),
            "oracle": len(self.oracle.by_token) + len(self.oracle.tries_of) + len(self.oracle.ends),
        }
        for client in self.clients.values():
            core = client.core
            kept = len(client.jobs) + len(client.planned) + len(client.ended)
            found["clients"] = found.get("clients", 0) + len(core.open) + len(core.past) + kept
        for machine in self.machines.values():
            if machine.station is not None:
                agent = machine.station.agent
                held = len(agent.core.tokens()) + len(agent.hands.workers) + len(machine.station.outbox)
                found["agents"] = found.get("agents", 0) + held
        scheduler = self.scheduler
        if scheduler is not None:
            state = scheduler.core.state
            found["entries"] = sum(len(account.entries) for account in scheduler.ledger.sessions.values())
            found["jobs"] = sum(len(session.jobs) for session in state.sessions.values())
            found["attempts"] = sum(len(node.attempts) for node in state.nodes.values())
            found["running"] = len(state.running)
            found["waiting commands"] = scheduler.service.waiting
        return found
