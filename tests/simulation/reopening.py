"""Programs that close their session in the midst of everything, and open one of the same name again, with other jobs.

It is drawn by numbers of its own, and only for a part of the seeds; all others mean what they meant before.

    program --close--> "it is over" --a while--> the same program and name: numbers from 0, the same keys, other jobs

By its name the second session is the first. So whoever judges calls each by a name of its own (`Openings`), and what is
known of the old one says nothing of the new one: not its jobs, not its keys, not its results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from lightwork.scheduler.core import facts as fact
from lightwork.wire import messages as say
from tests.simulation import plan
from tests.simulation.clock import MS, SECOND, Process

if TYPE_CHECKING:
    from tests.simulation.client import Client
    from tests.simulation.world import World

FIRST = 40_000  # seeds below are as they were
NUMBERS = range(64, 67)  # of these among the faults (runner.shrink)
JOBS = 8  # of each opening
AGAIN_NS = SECOND
OPEN_AGAIN = "open again"
ORDERS = 1_000_000  # numbers of what is asked of nodes: no others are so large


def reopens(seed: int) -> bool:
    """Whether programs of this schedule open their sessions again."""
    return seed >= FIRST and seed % 5 == 0


class Openings:
    """How often lasting sessions have ended, as far as somebody knows: a program, the disk, a life of the scheduler."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: of lasting sessions; others have a new name in each life of their program."""
        self._names = frozenset(names)
        self._ended: Counter[str] = Counter()

    def copy(self) -> Openings:
        """What the next life knows."""
        other = Openings(self._names)
        other._ended.update(self._ended)
        return other

    def name(self, session: str) -> str:
        """What the one is called that is open now, or will be."""
        count = self._ended[session]
        return f"{session}#{count}" if count else session

    def session(self, name: str) -> str:
        """The session that is called so; "": it is over."""
        session = session_of(name)
        return session if self.name(session) == name else ""

    def told(self, record: Any) -> Any:
        """A fact or a command, in these words. With the end of a session the next one of its name begins."""
        session = getattr(record, "session", "")
        if not session:
            return record
        name = self.name(session)
        if isinstance(record, fact.SessionEnded) and session in self._names:
            self.ended(session)
        return record if name == session else replace(record, session=name)

    def ended(self, session: str) -> None:
        """One of this name is over."""
        self._ended[session] += 1


def session_of(name: str) -> str:
    """Its name for everybody else."""
    return name.partition("#")[0]


class Reopening:
    """Of one schedule. `skipped`: numbers of what does not happen."""

    def __init__(self, world: World, skipped: frozenset[int]) -> None:
        self._world = world
        self._skipped = skipped
        self.openings = Openings()  # as programs know them
        self._slow = Random(world.seed << 8 | 249)
        self._due: dict[str, int] = {}  # sessions that are being closed, and how long after that they are opened again

    def plan(self) -> None:
        """When, and what is submitted then."""
        world = self._world
        if not reopens(world.seed):
            return
        random = Random(world.seed << 8 | 250)
        names = [name for name in world.names if world.lasting[name]]
        begins = sorted(random.uniform(0.1, 0.9) for _ in NUMBERS)
        openings = Counter[str]()
        for number, begin in zip(NUMBERS, begins, strict=True):
            name, own = random.choice(names), Random(world.seed << 8 | number)
            if number not in self._skipped:
                openings[name] += 1
                at_ns = int(begin * world.chaos_ns)
                self._submits(own, name, f"{name}#{openings[name]}", at_ns)
                world.clock.at(world.began_ns + at_ns, None, self._wanted, number, name, own)

    def _submits(self, random: Random, name: str, client: str, at_ns: int) -> None:
        """The same keys mean other jobs."""
        world = self._world
        keys = [one.key for one in world.jobs if one.client == name and one.key]
        first, span_ns = len(world.jobs), (world.chaos_ns - at_ns) // 2
        for place, one in enumerate(plan.draw(random, JOBS, [client], list(world.machines), span_ns)):
            key = keys[place] if one.key and place < len(keys) else ""
            begin_ns = at_ns + one.at_ns if one.at_ns else 0
            world.jobs.append(replace(one, index=first + place, at_ns=begin_ns, key=key))

    # --- the old one ---

    def _wanted(self, number: int, name: str, random: Random) -> None:
        """As soon as its program can."""
        world = self._world
        client = world.clients.get(name)
        if world.healed:
            return
        if client is None or not client.began or name in self._due:
            world.clock.later(AGAIN_NS, None, self._wanted, number, name, random)
        else:
            world.clock.later(0, client, self._close, number, client, random)

    def _close(self, number: int, client: Client, random: Random) -> None:
        world = self._world
        if world.healed:
            return
        if client.host in self._due:  # both waited for a program that had been stopped
            self._wanted(number, client.host, random)
            return
        world.faults.kinds[OPEN_AGAIN] = world.faults.kinds.get(OPEN_AGAIN, 0) + 1
        world.note(f"fault {number}: {OPEN_AGAIN}, {client.host}")
        self._due[client.host] = random.choice((0, 10 * MS, SECOND, 15 * SECOND))
        if client.left or client.refused:
            self.over(client)
            return
        cancel = random.random() < 0.7
        if not cancel:
            world.cancel_hanging(client)
        for node in world.machines:
            if (
                random.random() < 0.2 and client.link is not None
            ):  # it is not waited for, and the node is to forget twice
                client.link.send(say.ControlNode(ORDERS + number, node, "resetup", cancel=cancel))
        client.close(cancel=cancel)
        for _ in range(random.choice((0, 1, 2)) if not world.restarts_only else 0):
            world.clock.later(int(random.random() * SECOND), None, self._break, random.choice(list(world.machines)))

    def _break(self, node: str) -> None:
        """It loses its scheduler, perhaps while it is to forget the session."""
        net = self._world.net
        links = [link for link in net.links if link.up and link.process.host == node and link.other.process.host == "s"]
        for link in links if not self._world.healed else ():
            net.break_one(link)

    def cleaning_ns(self) -> int:
        """How long a node needs to forget a session: there are files, and processes that take their time."""
        return self._slow.choice((10 * MS, 300 * MS, 3 * SECOND)) if reopens(self._world.seed) else 10 * MS

    # --- the new one ---

    def over(self, client: Client) -> None:
        """A program reads that its session is over."""
        world, name = self._world, client.host
        world.oracle.closed(client)
        if name in self._due:
            Process.killed(client)  # it goes on with another session, and nothing that is due happens to this one
            del world.clients[name]
            self.openings.ended(client.session)
            world.clock.later(self._due.pop(name), None, world.start_client, name)

    def left(self) -> str:
        """What is still to be closed and opened."""
        return f"{sorted(self._due)} are to be opened again" if self._due else ""
