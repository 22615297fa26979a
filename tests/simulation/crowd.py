"""Schedules with many users: more programs, each with terms of its own, updates, relays, and an operator.

They are drawn by numbers of their own, and only for a part of the seeds; all others mean what they meant before.

    terms      weights; sessions that want all nodes for themselves, and close when they have what they wanted
    updates    a program puts another version in the place of a computation
    operator   drains machines, or removes them, and takes that back
    relays     between some nodes and the scheduler; they die, and their link home is cut
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from lightwork.scheduler.core.host_rules import ADD, DRAIN, REMOVE, RESUME
from lightwork.scheduler.core.nodes import Node
from lightwork.wire import messages as say
from tests.simulation import plan
from tests.simulation.client import Client
from tests.simulation.clock import SECOND
from tests.simulation.crowd_client import CrowdClient
from tests.simulation.crowd_oracle import CrowdOracle
from tests.simulation.faults import FAULTS
from tests.simulation.network import Network
from tests.simulation.relay import Relay, Relayed
from tests.simulation.scheduler import Scheduler
from tests.simulation.world import World

FIRST = 20_000  # seeds below are as they were
EVENTS = 8
THIRD = "c3"
OPERATOR = "op"
BACK = {DRAIN: RESUME, REMOVE: ADD}


def crowded(seed: int) -> bool:
    """Whether this schedule has many users."""
    return seed >= FIRST and seed % 4 >= 2


def world_of(seed: int, skipped: frozenset[int] = frozenset()) -> World:
    """What a seed means."""
    return (CrowdedWorld if crowded(seed) else World)(seed, skipped=skipped)


class CrowdedWorld(World):
    """Of many users."""

    net: Relayed
    oracle: CrowdOracle

    def __init__(self, seed: int, *, skipped: frozenset[int] = frozenset()) -> None:
        super().__init__(seed, skipped=skipped)
        random = Random(seed << 8 | 252)
        self._skipped = skipped
        self.names = [*self.names, THIRD]
        self.lives[THIRD] = 0
        self.lasting[THIRD] = random.random() < 0.5
        self.terms = {name: _terms(random) for name in self.names}
        alone = sum(terms is not None and terms.exclusive for terms in self.terms.values())
        self.settle_ns *= 1 + alone  # they go one after another
        self.starts_ns = {name: random.choice((0, 0, random.randint(1, 20))) * SECOND for name in self.names}
        self.jobs = plan.draw(random, random.randint(30, 34), self.names, list(self.machines), self.chaos_ns * 2 // 3)
        for one in self.jobs if random.random() < 0.6 else ():
            one.options = replace(one.options, priority=random.choice((0, 0, 1, 5, -5)))
        self.updates = {name: self._updates(random) for name in self.names}
        self.oracle = CrowdOracle(self)
        self.relays = self._relays(random) if random.random() < 0.5 else []
        self.listening = self.listening and not self.relays
        self.away: dict[str, str] = {}  # what the operator has said of machines

    @property
    def seeks(self) -> bool:
        """Operators name hosts."""
        return True

    def make_network(self) -> Network:
        """With relays in it, perhaps."""
        return Relayed(self)

    def make_client(self, name: str, session: str, life: int) -> Client:
        """One that has terms, and updates what it runs."""
        return CrowdClient(self, name, session, life, self.lasting[name])

    def start_client(self, name: str) -> None:
        """Not all at once."""
        if self.lives[name] or self.healed or self.clock.now >= self.began_ns + self.starts_ns[name]:
            super().start_client(name)
        else:
            self.clock.at(self.began_ns + self.starts_ns[name], None, self.start_client, name)

    # --- what is drawn ---

    def _updates(self, random: Random) -> list[tuple[int, str]]:
        """When, and which computation."""
        count = random.choice((0, 1, 2))
        return sorted((int(random.random() * self.chaos_ns * 0.6), random.choice("ffg")) for _ in range(count))

    def _relays(self, random: Random) -> list[Relay]:
        hosts = random.sample(list(self.machines), random.choice((1, 2, 3)))
        relay = Relay(self, "r1", hosts, Random(random.random()))
        for host in hosts:
            self.machines[host].relay = relay.name
            self.net.relays[host] = relay
        return [relay]

    def _start(self) -> None:
        super()._start()
        for relay in self.relays:
            relay.start()
        random = Random(self.seed << 8 | 251)
        acts: dict[str, Callable[[Random], None]] = {"drain": self._drain, "remove": self._remove}
        if self.relays:
            acts["relay dies"] = self._relay_dies
            if not self.restarts_only:
                acts["relay is cut off"] = self._relay_cut
        for number in range(FAULTS, FAULTS + EVENTS):
            at = self.began_ns + int(random.random() * self.chaos_ns)
            name = random.choice(list(acts))
            if number not in self._skipped:
                self.clock.at(at, None, self._happens, number, name, acts[name])

    # --- what happens ---

    def _happens(self, number: int, name: str, act: Callable[[Random], None]) -> None:
        if not self.healed:
            self.faults.kinds[name] = self.faults.kinds.get(name, 0) + 1
            self.note(f"fault {number}: {name}")
            act(Random(self.seed << 8 | number))

    def _relay_dies(self, random: Random) -> None:
        random.choice(self.relays).dies(random.choice((1, 5, 20)))

    def _relay_cut(self, random: Random) -> None:
        random.choice(self.relays).cut(random.choice((2, 15, 30, 50, 90)))

    def _drain(self, random: Random) -> None:
        self._for_a_while(DRAIN, random)

    def _remove(self, random: Random) -> None:
        self._for_a_while(REMOVE, random)

    def _for_a_while(self, action: str, random: Random) -> None:
        host = random.choice(list(self.machines))
        if host not in self.away:
            self.away[host] = action
            self._says(action, host)
            self.clock.later(random.choice((1, 5, 20, 40)) * SECOND, None, self._says, BACK[action], host)

    def _says(self, action: str, host: str) -> None:
        """The operator sits on the scheduler's machine, and does not insist: it may die before that is on disk."""
        scheduler = self.scheduler
        if scheduler is not None:
            self.clock.later(0, scheduler, self._told, scheduler, action, host)
        if action in BACK.values():
            self.away.pop(host, None)

    def _told(self, scheduler: Scheduler, action: str, host: str) -> None:
        self.note(f"the operator: {action} {host}")
        word = host if self.listening else f"{host}*"  # a name would be looked for
        scheduler.service.hosting.change(say.ChangeHosts(0, action, [word], by=OPERATOR))

    # --- the end ---

    def jobs_over(self) -> str:
        """All machines are in use again, too: the operator repeats it until they are."""
        if self.scheduler is None:
            return "no scheduler"
        state = self.scheduler.core.state
        left = []
        for host in self.machines:
            node = state.nodes.get(host) or Node(host, 0, host, say.Hardware(), 0)
            if state.hosts.drained_by(node) or state.hosts.removed_by(node):
                self._says(RESUME, host)
                self._says(ADD, host)
                left.append(host)
        return f"{left} are not in use" if left else super().jobs_over()


def _terms(random: Random) -> say.Terms | None:
    draw = random.random()
    if draw < 0.35:
        return None
    return say.Terms(random.choice((0.5, 1.0, 3.0)), draw < 0.6)
