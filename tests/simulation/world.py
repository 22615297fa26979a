"""A schedule: machines, a scheduler, clients and their jobs, drawn from a seed; then faults, healing and the end.

build --> chaos (faults.py) --> heal --> everything ends --> clients close --> nothing is left
"""

from __future__ import annotations

from random import Random
from typing import Any

from lightwork.config import timers
from lightwork.scheduler.core.ledger import Ledger
from lightwork.wire.messages import Heartbeat, NodeReady
from tests.simulation import plan
from tests.simulation.client import Client
from tests.simulation.clock import MS, SECOND, START_NS, Clock, Process
from tests.simulation.coverage import Coverage
from tests.simulation.disk import Disk
from tests.simulation.faults import Faults
from tests.simulation.known import Violation
from tests.simulation.links import Link
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.oracle import Oracle
from tests.simulation.reopening import Reopening
from tests.simulation.scheduler import Scheduler
from tests.simulation.station import Station

CHAOS_S = (30, 60, 60, 100)  # dense faults, or time for what follows from each
SETTLE_NS = 1500 * SECOND  # everything must have ended by then, if nobody wants all nodes alone
LOOK_NS = 5 * SECOND
BEATS = frozenset((Heartbeat, NodeReady))


class World:
    """All of it. `restarts_only`: nothing happens but crashes and restarts."""

    def __init__(self, seed: int, *, restarts_only: bool | None = None, skipped: frozenset[int] = frozenset()) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.restarts_only = bool(seed % 2) if restarts_only is None else restarts_only
        self.told: list[tuple[int, str, str, Any]] | None = None
        self.coverage: Coverage | None = None
        self.clock = Clock()
        self.net = self.make_network()
        self.disk = Disk()
        self.began_ns = START_NS
        self.wall_ns = 1_700_000_000 * SECOND
        self.wall_moved_ns = 0  # how far somebody has moved the clock on the wall
        self.beat_s = random.choice((timers.HEARTBEAT_S, timers.HEARTBEAT_S, timers.HEARTBEAT_S, 3.0))
        self.beat_ns = int(self.beat_s * SECOND)
        self.lease_ns = int(timers.lease_s(self.beat_s) * SECOND)
        self.orphan_s = random.choice((timers.ORPHAN_S, 60.0, 30.0))
        self.fsync_ns = random.choice((MS // 5, 5 * MS, 100 * MS))
        self.net.base_ns = random.choice((MS // 5, 2 * MS, 20 * MS))
        self.net.spread_ns = random.choice((1, 5)) * self.net.base_ns
        self.machines = {f"n{i}": Machine(self, f"n{i}", random.choice((1, 2, 4))) for i in (1, 2, 3)}
        for machine in self.machines.values():
            machine.speed = random.choice((1.0, 1.0, 1.0, 4.0))
        self.listening = random.random() < 0.3  # nodes are dialled, else they dial
        self.names = ["c1", "c2"]
        self.lasting = {"c1": True, "c2": random.random() < 0.7}
        self.net.local = {name for name in self.names if not self.lasting[name] and random.random() < 0.5}
        self.chaos_ns = random.choice(CHAOS_S) * SECOND
        own = Random(seed << 8 | 253)
        self.jobs = plan.draw(own, own.randint(30, 38), self.names, list(self.machines), self.chaos_ns * 2 // 3)
        self.oracle = Oracle(self)
        self.scheduler: Scheduler | None = None
        self.earlier: list[Scheduler] = []
        self.settle_ns = SETTLE_NS
        self.clients: dict[str, Client] = {}
        self.lives = dict.fromkeys(self.names, 0)
        self.schedulers = 0
        self.stations = 0
        self.healed = False
        self.faults = Faults(self, skipped)
        self.reopening = Reopening(self, skipped)

    # --- what is told of it ---

    def saw(self, process: Process, events: list[Any]) -> None:
        """For the transcript."""
        if self.told is not None:
            self.told += [(self.clock.now, process.name, ">", event) for event in events]

    def did(self, process: Process, command: Any) -> None:
        """Likewise."""
        if self.told is not None:
            self.told.append((self.clock.now, process.name, "<", command))

    def heard_by_client(self, client: Client, message: Any) -> None:
        """Likewise."""
        if self.told is not None:
            self.told.append((self.clock.now, client.name, ">", message))

    def note(self, text: str) -> None:
        """A fault, for the transcript."""
        if self.told is not None:
            self.told.append((self.clock.now, "--", "!", text))

    def heard(self, process: Scheduler, link: Link, batch: list[Any]) -> None:
        """The scheduler reads something: a node's beat counts at once."""
        if any(type(message) in BEATS for message, _ in batch):
            self._counts(process, link)

    def looks(self, process: Scheduler) -> None:
        """Once a second it counts from whom anything came, over a link that is still up."""
        for link in self.net.links:
            if link.process is process and link.up and link.heard:
                self._counts(process, link)

    def _counts(self, process: Scheduler, link: Link) -> None:
        machine = self.machines.get(link.other.process.host)
        if machine is not None and process is self.scheduler:
            if self.oracle.silent_ns(process, machine) >= machine.lease_ns:
                machine.lost_ns = self.clock.now
            machine.heard_ns = self.clock.now

    # --- who lives ---

    def start_scheduler(self) -> None:
        """A life of the scheduler, unless one is there."""
        if self.scheduler is not None or self.disk.owner is not None:
            return
        self.schedulers += 1
        self.note(f"scheduler {self.schedulers} starts")
        scheduler = self.scheduler = Scheduler(self, self.schedulers)
        self.net.listeners["s"] = scheduler
        scheduler.start()

    def scheduler_died(self, scheduler: Scheduler, *, power: bool) -> None:
        """It was killed, or its machine was."""
        self.note(f"{scheduler.name} dies" + (", and its machine" if power else ""))
        Process.killed(scheduler)
        self.oracle.replays(scheduler)
        scheduler.journal.ends(power=power)
        self.net.died(scheduler, silently=power)
        if scheduler is self.scheduler:
            self.scheduler = None
            if self.net.listeners.get("s") is scheduler:
                del self.net.listeners["s"]
            self.clock.later(self.faults.down_ns(), None, self.start_scheduler)
        else:
            self.earlier = [one for one in self.earlier if one is not scheduler]
        scheduler.forget()

    def disk_ledger(self) -> Ledger:
        """What a restart would know now."""
        return self.disk.replay()

    def start_station(self, machine: Machine) -> None:
        """A life of a node's agent, unless one is there."""
        if machine.station is None:
            self.stations += 1
            machine.station = Station(machine, self.stations)
            self.note(f"{machine.station.name} starts")
            if self.listening:
                self.net.listeners[machine.name] = machine.station
            machine.station.start()

    def station_died(self, station: Station) -> None:
        """It was killed."""
        self.note(f"{station.name} dies")
        machine = station.machine
        Process.killed(station)
        machine.station = None
        station.agent.end_workers("agent")
        self.net.died(station, silently=False)
        self.clock.later(self.faults.down_ns(), None, self.start_station, machine)

    def start_client(self, name: str) -> None:
        """A life of a program, unless one is there."""
        if name not in self.clients:
            self.lives[name] += 1
            life = self.lives[name]
            session = name if self.lasting[name] else f"{name}-{life}"
            client = self.clients[name] = self.make_client(name, session, life)
            self.note(f"{client.name} starts")
            client.start()

    @property
    def seeks(self) -> bool:
        """Whether schedulers can look for nodes."""
        return self.listening

    def make_network(self) -> Network:
        """How its hosts are connected."""
        return Network(self.clock, self.random)

    def make_client(self, name: str, session: str, life: int) -> Client:
        """One life of a program."""
        return Client(self, name, session, life, self.lasting[name])

    def client_died(self, client: Client) -> None:
        """It was killed."""
        self.note(f"{client.name} dies")
        Process.killed(client)
        del self.clients[client.host]
        self.net.died(client, silently=False)
        self.clock.later(self.faults.down_ns(), None, self.start_client, client.host)

    def planned_for(self, client: Client) -> list[plan.Planned]:
        """What this life submits: all that has a key, and what no earlier life has submitted to this session."""
        program = client.alias if client.lasting else client.host
        mine = [one for one in self.jobs if one.client == program]
        return [one for one in mine if one.key or (client.alias, one.index) not in self.oracle.submitted]

    # --- the schedule ---

    def run(self) -> None:
        """All of it; Violation if a promise is broken."""
        self._start()
        self.clock.run_until(self.began_ns + self.chaos_ns)
        self.heal()
        self._finish()

    def end(self) -> None:
        """Nothing is looked at any more."""
        for scheduler in [self.scheduler, *self.earlier]:
            if scheduler is not None:
                scheduler.forget()

    def _start(self) -> None:
        self.start_scheduler()
        for machine in self.machines.values():
            self.start_station(machine)
        for name in self.names:
            self.start_client(name)
        self.faults.plan()
        self.reopening.plan()

    def _finish(self) -> None:
        """Everything ends, and nothing is left."""
        end = self.clock.now + self.settle_ns
        self._converge(end, self.jobs_over, "jobs")
        for client in self.clients.values():
            if not client.closing:
                client.close()
        self._converge(end, self.all_over, "close")
        assert self.scheduler is not None
        self.oracle.replays(self.scheduler)

    def _converge(self, end: int, over: Any, what: str) -> None:
        while left := over():
            if self.clock.now >= end:
                raise Violation("P8", f"{what}: not over {self.settle_ns // SECOND} s after all faults: {left}")
            for client in self.clients.values():
                self.cancel_hanging(client)
            self.clock.run_until(self.clock.now + LOOK_NS)

    def heal(self) -> None:
        """No more faults; who is dead starts again; nobody wants what would never end."""
        self.note("everything heals")
        self.healed = True
        self.faults.heal()
        for client in self.clients.values():
            self.cancel_hanging(client)
            if client.began and self.random.random() < 0.2:  # a hasty one
                client.close(cancel=self.random.random() < 0.5)

    def cancel_hanging(self, client: Client) -> None:
        """Nobody wants what would never end."""
        for index, record in list(client.jobs.items()):
            if self.jobs[index].kind == plan.HANGS:
                client.cancel(record)

    # --- what is left ---

    def jobs_over(self) -> str:
        """Why not everything has ended; "" if it has."""
        if self.scheduler is None:
            return "no scheduler"
        for name in self.names:
            client = self.clients.get(name)
            if client is None:
                return f"{name} is not there"
            if not (client.done or client.refused or client.closing):
                open_ = sorted(client.core.open)
                return f"{client.name} waits for {open_}, {len(client.jobs)} of {len(client.mine)} asked"
        return self.reopening.left()

    def all_over(self) -> str:
        """Whether anything is left anywhere."""
        scheduler = self.scheduler
        if scheduler is None:
            return "no scheduler"
        state = scheduler.core.state
        left = {
            "sessions": sorted(state.sessions),
            "in the ledger": sorted(scheduler.ledger.sessions),
            "queued": state.queue.size,
            "attempts": [token for node in state.nodes.values() for token in node.attempts],
            "commands wait": scheduler.service.waiting,
            "clients": [client.name for client in self.clients.values() if not client.left and not client.refused],
        }
        for machine in self.machines.values():
            station = machine.station
            if station is None:
                return f"{machine.name} is not there"
            if self.listening and machine.given_up and station.orphaned:
                continue  # nobody wishes for it now, nobody dials it: what runs there has its time (P14)
            agent = station.agent
            left[f"{machine.name} has"] = agent.core.tokens()
            left[f"{machine.name} runs"] = [w.running for w in agent.hands.workers.values() if w.running]
            left[f"{machine.name} keeps"] = agent.custody.keeping.count() if agent.custody is not None else 0
            left[f"{machine.name} has written"] = 0 if agent.custody is None or agent.custody.empty else 1
            left[f"{machine.name} would say"] = len(station.outbox)
            left[f"{machine.name} knows sessions"] = agent.core.computations.sessions()
        return ", ".join(f"{what}: {value}" for what, value in left.items() if value)
