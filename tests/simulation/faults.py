"""What goes wrong: drawn from the seed, one after the other, each for a while.

Each fault has chance of its own, by its number: leaving one out does not change the others (runner.shrink).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.clock import MS, SECOND, Killed, Process
from tests.simulation.machine import Machine
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.world import World

FAULTS = 24  # of which some meet nobody: who is dead is not killed
Act = Callable[[Random], None]


class Faults:
    """Of one schedule. `skipped`: numbers of faults that do not happen."""

    def __init__(self, world: World, skipped: frozenset[int]) -> None:
        self._world = world
        self._skipped = skipped
        self._lives = Random(world.seed << 8 | 255)
        self.happened = 0
        self.kinds: dict[str, int] = {}
        self._down = (50 * MS, SECOND, 4 * SECOND) if world.restarts_only else (50 * MS, 2 * SECOND, 15 * SECOND)

    def plan(self) -> None:
        """When what goes wrong. Each schedule has its own mix."""
        world, random = self._world, Random(world_seed(self._world))
        kinds = self._restarts() if world.restarts_only else {**self._restarts(), **self._others()}
        names = [name for name in kinds if random.random() < 0.7] or list(kinds)
        for number in range(FAULTS):
            at = world.began_ns + int(random.random() * world.chaos_ns)
            name = random.choice(names)
            if number not in self._skipped:
                own = Random(world.seed << 8 | number)
                world.clock.at(at, None, self._happens, f"fault {number}: {name}", name, kinds[name], own)

    def _restarts(self) -> dict[str, Act]:
        """Crashes, from which everything comes back."""
        return {
            "kill scheduler": self._kill_scheduler,
            "power of the scheduler": self._power_scheduler,
            "scheduler dies at a write": self._scheduler_at_write,
            "kill agent": self._kill_agent,
            "agent dies at a write": self._agent_at_write,
            "kill worker": self._kill_worker,
            "kill keeper": self._kill_keeper,
            "kill client": self._kill_client,
        }

    def _others(self) -> dict[str, Act]:
        return {
            "partition": self._partition,
            "one-way partition": self._one_way,
            "deaf client": self._deaf_client,
            "break": self._break,
            "stop scheduler": self._stop_scheduler,
            "successor": self._successor,
            "stop agent": self._stop_agent,
            "stop client": self._stop_client,
            "power of a node": self._power_node,
            "disk full": self._disk_full,
            "node's disk full": self._node_full,
            "slow network": self._slow_network,
            "slow disk": self._slow_disk,
            "wall clock moves": self._wall_clock,
        }

    def _happens(self, note: str, name: str, act: Act, random: Random) -> None:
        if not self._world.healed:
            self.happened += 1
            self.kinds[name] = self.kinds.get(name, 0) + 1
            self._world.note(note)
            act(random)

    def down_ns(self) -> int:
        """How long somebody is away."""
        return 50 * MS if self._world.healed else self._lives.choice(self._down)

    def heal(self) -> None:
        """All is well from now on."""
        world = self._world
        world.net.unblock(sorted(world.net.blocked))
        world.disk.full = False
        world.net.base_ns, world.net.spread_ns = MS, MS
        world.start_scheduler()
        for machine in world.machines.values():
            machine.full = False
            world.start_station(machine)
        for name in world.names:
            world.start_client(name)
        processes = [world.scheduler, *world.earlier, *world.clients.values()]
        for process in [*processes, *(machine.station for machine in world.machines.values())]:
            if process is not None and process.stopped:
                self._go_on(process)

    # --- crashes ---

    def _machine(self, random: Random) -> Machine:
        return self._world.machines[random.choice(list(self._world.machines))]

    def _kill_scheduler(self, random: Random) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler_died(self._world.scheduler, power=False)

    def _power_scheduler(self, random: Random) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler_died(self._world.scheduler, power=True)

    def _scheduler_at_write(self, random: Random) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler.journal.die_at_commit = random.choice(("before", "after"))

    def _kill_agent(self, random: Random) -> None:
        station = self._machine(random).station
        if station is not None:
            station.killed()

    def _agent_at_write(self, random: Random) -> None:
        station = self._machine(random).station
        if station is not None:
            station.die_at_write = random.choice(("before", "after"))

    def _kill_worker(self, random: Random) -> None:
        station = self._machine(random).station
        if station is not None:
            running = [worker for worker in station.agent.hands.workers.values() if worker.running]
            if running:
                random.choice(running).die("fault")

    def _kill_keeper(self, random: Random) -> None:
        station = self._machine(random).station
        if station is not None and not station.stopped:
            station.agent.keeper_dies()

    def _kill_client(self, random: Random) -> None:
        client = self._world.clients.get(random.choice(self._world.names))
        if client is not None:
            client.killed()

    def _power_node(self, random: Random) -> None:
        machine = self._machine(random)
        machine.loses_power()
        self._world.clock.later(self.down_ns(), None, self._world.start_station, machine)

    # --- the network ---

    def _host(self, random: Random) -> str:
        far = [name for name in self._world.names if name not in self._world.net.local]
        return random.choice([*self._world.machines, *far])

    def _partition(self, random: Random) -> None:
        host = self._host(random)
        self._cut([(host, "s"), ("s", host)], random)

    def _one_way(self, random: Random) -> None:
        host = self._host(random)
        self._cut([random.choice([(host, "s"), ("s", host)])], random)

    def _deaf_client(self, random: Random) -> None:
        """What it says arrives, and it hears nothing of that: later it says all of it again."""
        far = [name for name in self._world.names if name not in self._world.net.local]
        self._cut([("s", random.choice(far))], random)

    def _cut(self, pairs: list[tuple[str, str]], random: Random) -> None:
        pairs = [pair for pair in pairs if pair not in self._world.net.blocked]
        self._world.net.block(pairs)
        last = random.choice((2, 8, 20, 45, 120)) * SECOND
        self._world.clock.later(last, None, self._world.net.unblock, pairs)

    def _break(self, random: Random) -> None:
        links = [link for link in self._world.net.links if link.up and link.process.host == "s"]
        if links:
            self._world.net.break_one(random.choice(links))

    def _slow_network(self, random: Random) -> None:
        net = self._world.net
        before = net.base_ns, net.spread_ns
        net.base_ns, net.spread_ns = 200 * MS, SECOND
        self._world.clock.later(10 * SECOND, None, self._fast_network, before)

    def _fast_network(self, before: tuple[int, int]) -> None:
        if not self._world.healed:
            self._world.net.base_ns, self._world.net.spread_ns = before

    # --- disks and clocks ---

    def _disk_full(self, random: Random) -> None:
        if not self._world.disk.full:
            self._world.disk.full = True
            self._world.clock.later(random.choice((3, 20)) * SECOND, None, self._room)

    def _room(self) -> None:
        self._world.disk.full = False

    def _node_full(self, random: Random) -> None:
        machine = self._machine(random)
        machine.full = True
        self._world.clock.later(random.choice((3, 20)) * SECOND, None, self._node_has_room, machine)

    def _node_has_room(self, machine: Machine) -> None:
        machine.full = False

    def _slow_disk(self, random: Random) -> None:
        if self._world.scheduler is not None:
            self._world.scheduler.journal.slow_ns = random.choice((300, 2000)) * MS

    def _wall_clock(self, random: Random) -> None:
        """An hour on, or back: nothing follows from that."""
        self._world.wall_moved_ns += random.choice((-1, 1)) * 3600 * SECOND

    # --- processes that do not run ---

    def _stop_scheduler(self, random: Random) -> None:
        if self._world.scheduler is not None:
            self._stop(self._world.scheduler, random.choice((2, 6, 14, 40)))

    def _stop_agent(self, random: Random) -> None:
        station = self._machine(random).station
        if station is not None:
            self._stop(station, random.choice((2, 6, 14, 40)))

    def _stop_client(self, random: Random) -> None:
        client = self._world.clients.get(random.choice(self._world.names))
        if client is not None:
            self._stop(client, random.choice((2, 6, 14, 40)))

    def _stop(self, process: Process, seconds: int) -> None:
        if not process.stopped:
            process.stopped = True
            process.since_ns = self._world.clock.now
            self._world.clock.later(seconds * SECOND, None, self._go_on, process)

    def _go_on(self, process: Process) -> None:
        if not process.stopped:
            return
        world = self._world
        world.note(f"{process.name} goes on")
        slept = world.clock.now - process.since_ns
        if process is world.scheduler and slept >= 4 * SECOND:  # then it knows that it slept
            for machine in world.machines.values():
                machine.heard_ns = min(machine.heard_ns + slept - SECOND, world.clock.now)
        process.since_ns = world.clock.now
        world.clock.go_on(process)
        if process in world.earlier:  # soon it finds out that its state is another's
            world.clock.later(int(self._lives.random() * 4 * SECOND), process, self._finds_out, process)

    def _finds_out(self, process: Process) -> None:
        raise Killed(process)

    def _successor(self, random: Random) -> None:
        """A scheduler is stopped for so long that another one takes its place; then it wakes up."""
        world, old = self._world, self._world.scheduler
        if old is None or old.stopped:
            return
        self._stop(old, random.choice((20, 40)))
        world.clock.later(12 * SECOND, None, self._succeed, old)

    def _succeed(self, old: Scheduler) -> None:
        world = self._world
        if world.scheduler is old and old.stopped:
            world.earlier.append(old)
            world.scheduler = None
            world.disk.owner = None
            world.start_scheduler()


def world_seed(world: World) -> int:
    """The chance by which faults are drawn."""
    return world.seed << 8 | 254
