"""What goes wrong: drawn from the seed, one after the other, each for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.clock import MS, SECOND, Killed
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.world import World

FAULTS = 20


class Faults:
    """Of one schedule. `skipped`: numbers of faults that do not happen (for shrinking)."""

    def __init__(self, world: World, skipped: frozenset[int]) -> None:
        self._world = world
        self._random = world.random
        self._skipped = skipped
        self.happened = 0
        self.kinds: dict[str, int] = {}
        self._stopped: list[object] = []

    def plan(self) -> None:
        """When what goes wrong."""
        world, random = self._world, self._random
        restarts: dict[str, Callable[[], None]] = {
            "kill scheduler": self._kill_scheduler,
            "power of the scheduler": self._power_scheduler,
            "scheduler dies at a write": self._scheduler_at_write,
            "kill agent": self._kill_agent,
            "agent dies at a write": self._agent_at_write,
            "kill worker": self._kill_worker,
            "kill keeper": self._kill_keeper,
            "kill client": self._kill_client,
        }
        others: dict[str, Callable[[], None]] = {
            "partition": self._partition,
            "one-way partition": self._one_way,
            "break": self._break,
            "stop scheduler": self._stop_scheduler,
            "successor": self._successor,
            "stop agent": self._stop_agent,
            "stop client": self._stop_client,
            "power of a node": self._power_node,
            "disk full": self._disk_full,
            "slow": self._slow,
            "wall clock moves": self._wall_clock,
        }
        kinds = restarts if world.restarts_only else {**restarts, **others}
        names = [name for name in kinds if random.random() < 0.7] or list(kinds)
        for number in range(FAULTS):
            at = world.began_ns + int(random.random() * 90 * SECOND)
            name = random.choice(names)
            if number not in self._skipped:
                world.clock.at(at, None, self._happens, name, kinds[name])

    def _happens(self, name: str, act: Callable[[], None]) -> None:
        if not self._world.healed:
            self.happened += 1
            self.kinds[name] = self.kinds.get(name, 0) + 1
            self._world.note(name)
            act()

    def down_ns(self) -> int:
        """How long somebody is away."""
        choices = (50 * MS, SECOND, 4 * SECOND) if self._world.restarts_only else (50 * MS, 2 * SECOND, 15 * SECOND)
        return 50 * MS if self._world.healed else self._random.choice(choices)

    def heal(self) -> None:
        """All is well from now on."""
        world = self._world
        world.net.unblock(sorted(world.net.blocked))
        world.disk.full = False
        world.net.base_ns, world.net.spread_ns = MS, MS
        world.start_scheduler()
        for machine in world.machines.values():
            world.start_station(machine)
        for name in world.names:
            world.start_client(name)
        processes = [world.scheduler, *world.earlier, *world.clients.values()]
        for process in [*processes, *(machine.station for machine in world.machines.values())]:
            if process is not None and process.stopped:
                self._go_on(process)

    # --- crashes ---

    def _kill_scheduler(self) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler_died(self._world.scheduler, power=False)

    def _power_scheduler(self) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler_died(self._world.scheduler, power=True)

    def _scheduler_at_write(self) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler.journal.die_at_commit = self._random.choice(("before", "after"))

    def _kill_agent(self) -> None:
        station = self._some_machine().station
        if station is not None:
            station.killed()

    def _agent_at_write(self) -> None:
        station = self._some_machine().station
        if station is not None:
            station.die_at_write = self._random.choice(("before", "after"))

    def _kill_worker(self) -> None:
        station = self._some_machine().station
        if station is not None:
            running = [worker for worker in station.agent.hands.workers.values() if worker.running]
            if running:
                self._random.choice(running).die("fault")

    def _kill_keeper(self) -> None:
        station = self._some_machine().station
        if station is not None and not station.stopped:
            station.agent.keeper_dies()

    def _kill_client(self) -> None:
        client = self._world.clients.get(self._random.choice(self._world.names))
        if client is not None:
            client.killed()

    def _power_node(self) -> None:
        machine = self._some_machine()
        machine.loses_power()
        self._world.clock.later(self.down_ns(), None, self._world.start_station, machine)

    # --- the network ---

    def _some_machine(self):  # type: ignore[no-untyped-def]
        return self._world.machines[self._random.choice(list(self._world.machines))]

    def _some_host(self) -> str:
        return self._random.choice([*self._world.machines, *self._world.names])

    def _partition(self) -> None:
        host = self._some_host()
        self._cut([(host, "s"), ("s", host)])

    def _one_way(self) -> None:
        host = self._some_host()
        self._cut([self._random.choice([(host, "s"), ("s", host)])])

    def _cut(self, pairs: list[tuple[str, str]]) -> None:
        pairs = [pair for pair in pairs if pair not in self._world.net.blocked]
        self._world.net.block(pairs)
        last = self._random.choice((2, 8, 20, 45, 120)) * SECOND
        self._world.clock.later(last, None, self._world.net.unblock, pairs)

    def _break(self) -> None:
        links = [link for link in self._world.net.links if link.up and link.process.host == "s"]
        if links:
            self._world.net.break_one(self._random.choice(links))

    def _slow(self) -> None:
        net = self._world.net
        before = net.base_ns, net.spread_ns
        net.base_ns, net.spread_ns = 200 * MS, SECOND
        self._world.clock.later(10 * SECOND, None, self._fast, before)

    def _fast(self, before: tuple[int, int]) -> None:
        self._world.net.base_ns, self._world.net.spread_ns = before

    def _wall_clock(self) -> None:
        """An hour on, or back: nothing follows from that."""
        self._world.wall_moved_ns += self._random.choice((-1, 1)) * 3600 * SECOND

    # --- processes that do not run ---

    def _stop_scheduler(self) -> None:
        if self._world.scheduler is not None:
            self._stop(self._world.scheduler)

    def _stop_agent(self) -> None:
        station = self._some_machine().station
        if station is not None:
            self._stop(station)

    def _stop_client(self) -> None:
        client = self._world.clients.get(self._random.choice(self._world.names))
        if client is not None:
            self._stop(client)

    def _stop(self, process, last: int = 0) -> None:  # type: ignore[no-untyped-def]
        if not process.stopped:
            process.stopped = True
            process.since_ns = self._world.clock.now
            last = last or self._random.choice((2, 6, 14, 40)) * SECOND
            self._world.clock.later(last, None, self._go_on, process)

    def _go_on(self, process) -> None:  # type: ignore[no-untyped-def]
        if not process.stopped:
            return
        self._world.note(f"{process.name} goes on")
        slept = self._world.clock.now - process.since_ns
        if process is self._world.scheduler and slept >= 4 * SECOND:
            for machine in self._world.machines.values():
                machine.heard_ns = min(machine.heard_ns + slept - SECOND, self._world.clock.now)
        self._world.clock.go_on(process)
        if process in self._world.earlier:  # soon it finds out that its state is another's
            self._world.clock.later(int(self._random.random() * 4 * SECOND), process, self._finds_out, process)

    def _finds_out(self, process: Scheduler) -> None:
        raise Killed(process)

    def _successor(self) -> None:
        """A scheduler is stopped for so long that another one takes its place; then it wakes up."""
        world, old = self._world, self._world.scheduler
        if old is None or old.stopped:
            return
        self._stop(old, self._random.choice((20, 40)) * SECOND)
        world.clock.later(12 * SECOND, None, self._succeed, old)

    def _succeed(self, old: Scheduler) -> None:
        world = self._world
        if world.scheduler is old and old.stopped:
            world.earlier.append(old)
            world.scheduler = None
            world.disk.owner = None
            world.start_scheduler()

    def _disk_full(self) -> None:
        if not self._world.disk.full:
            self._world.disk.full = True
            self._world.clock.later(self._random.choice((3, 20)) * SECOND, None, self._room)

    def _room(self) -> None:
        self._world.disk.full = False
