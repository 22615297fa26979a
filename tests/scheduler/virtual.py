"""A world of virtual time around the real core: nodes that work through what they get, in order, and records of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, Hardware, JobOptions

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
SLOT = 1000


class Ran(NamedTuple):
    """One job's record."""

    session: str
    number: int
    node: str
    start_ns: int
    end_ns: int
    options: JobOptions

    @property
    def cpus(self) -> float:
        return dict(self.options.resources).get("cpus", SLOT) / SLOT


class Machine:
    """A node: what waits there, in order, and what runs."""

    def __init__(self, name: str, slots: int) -> None:
        self.name, self.slots = name, slots
        self.waiting: dict[int, tuple[str, int, JobOptions]] = {}
        self.running: dict[int, tuple[str, int, JobOptions, int]] = {}
        self.used = 0


class World:
    """`run(until)`: time passes from event to event; those that happen at once are one batch."""

    def __init__(self, core: Core, duration_ns: Callable[[str, int], int]) -> None:
        self.core = core
        self.now_ns = 0
        self.ran: list[Ran] = []
        self.ended: dict[tuple[str, int], tuple[int, bytes]] = {}
        self.machines: dict[str, Machine] = {}
        self.said: list[do.Command] = []
        self.on_end: Callable[[Ran], Iterable[on.Event]] = lambda ran: ()
        self._duration_ns = duration_ns
        self._ends: list[tuple[int, int, str]] = []
        self._submitted: dict[str, int] = {}
        self._next_second = SECOND_NS

    def feed(self, *events: on.Event) -> None:
        batch = list(events)
        while True:
            commands = self.core.feed(batch, self.now_ns)
            self.said += commands
            batch = [event for command in commands for event in self._obey(command)]
            for machine in self.machines.values():
                batch += self._start(machine)
            if not batch:
                return

    def node(self, name: str, slots: int, memory: int = 0, **given: object) -> None:
        self.machines[name] = Machine(name, slots)
        self.feed(on.NodeJoined(name, slots, hardware=Hardware(memory_bytes=memory), **given))  # type: ignore[arg-type]

    def client(self, name: str, weight: float = 1.0, *, exclusive: bool = False) -> None:
        told = [on.TermsTold(name, weight, exclusive)] if exclusive or weight != 1.0 else []
        self.feed(on.ClientJoined(name), *told, on.ComputationDefined(name, Computation("f", "function", "f")))

    def submit(self, name: str, count: int, **options: object) -> None:
        first = self._submitted.get(name, 0)
        self._submitted[name] = first + count
        given = JobOptions(**options)  # type: ignore[arg-type]
        for at in range(first, first + count, 4096):
            upto = min(at + 4096, first + count)
            self.feed(on.JobsSubmitted(name, "f", at, [b""] * (upto - at), given))

    def _obey(self, command: do.Command) -> list[on.Event]:
        if isinstance(command, do.Prepare):
            return [on.ComputationReady(command.node, command.session, command.computation.digest)]
        if isinstance(command, do.Assign):
            machine = self.machines[command.node]
            rows = zip(command.tokens, command.numbers, strict=True)
            machine.waiting |= {token: (command.session, number, command.options) for token, number in rows}
        elif isinstance(command, do.Revoke):
            machine = self.machines[command.node]
            back = [token for token in command.tokens if machine.waiting.pop(token, None) is not None]
            return [on.AttemptsReturned(command.node, back, "revoked")]
        elif isinstance(command, do.Deliver):
            at = 0
            for number, state, length in zip(command.jobs, command.states, command.lengths, strict=True):
                self.ended[command.session, number] = int(state), command.body[at : at + length]
                at += length
        elif isinstance(command, do.Release):
            return [on.SessionReleased(command.node, command.session)]
        return []

    def _start(self, machine: Machine) -> list[on.Event]:
        """In order, as far as there is room."""
        started = []
        while machine.waiting:
            token, (session, number, options) = next(iter(machine.waiting.items()))
            cpus = dict(options.resources).get("cpus", SLOT)
            if machine.used + cpus > machine.slots * SLOT:
                break
            del machine.waiting[token]
            machine.used += cpus
            machine.running[token] = session, number, options, self.now_ns
            heapq.heappush(self._ends, (self.now_ns + self._duration_ns(session, number), token, machine.name))
            started.append(token)
        return [on.AttemptsStarted(machine.name, started, [0] * len(started))] if started else []

    def run(self, until_s: float) -> None:
        until_ns = int(until_s * SECOND_NS)
        while True:
            due_ns = min(self._ends[0][0] if self._ends else until_ns, self._next_second)
            if due_ns >= until_ns:
                self.now_ns = until_ns
                return
            self.now_ns = due_ns
            if due_ns == self._next_second:
                self._next_second += SECOND_NS
                beats = [on.NodeBeat(name, list(one.waiting), list(one.running)) for name, one in self.machines.items()]
                self.feed(*beats, on.TimePassed())
            events: list[on.Event] = []
            while self._ends and self._ends[0][0] <= due_ns:
                _, token, name = heapq.heappop(self._ends)
                events += self._end(self.machines[name], token)
            if events:
                self.feed(*events)

    def _end(self, machine: Machine, token: int) -> list[on.Event]:
        session, number, options, start_ns = machine.running.pop(token)
        machine.used -= dict(options.resources).get("cpus", SLOT)
        ran = Ran(session, number, machine.name, start_ns, self.now_ns, options)
        self.ran.append(ran)
        lasted = self.now_ns - start_ns
        ended = on.AttemptsEnded(machine.name, [token], [0], [lasted], [lasted], [1], b"x")
        return [ended, *self.on_end(ran)]

    def slot_time(self, since_s: float = 0.0, **only: int) -> dict[str, float]:
        """Seconds of slot time by session, by the jobs' records, with what runs still."""
        found: dict[str, float] = {}
        rows = [*self.ran]
        for machine in self.machines.values():
            rows += [Ran(s, n, machine.name, start, self.now_ns, o) for s, n, o, start in machine.running.values()]
        for ran in rows:
            if all(getattr(ran.options, key) == value for key, value in only.items()):
                lasted = max(0, ran.end_ns - max(ran.start_ns, int(since_s * SECOND_NS))) / SECOND_NS
                found[ran.session] = found.get(ran.session, 0.0) + lasted * ran.cpus
        return found
