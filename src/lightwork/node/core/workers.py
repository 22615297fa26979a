"""Who has which attempts in flight.

A worker runs what it was sent in that order, so its attempts in flight are a line of batches: records from its ring
take attempts from the front, a take-back cuts off the end. `sent` counts all jobs ever sent: that is the serial number
of the last one, by which the revoke word says what is taken back.

    blank --first Load--> idle <----> busy --> leaving --> (dead)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from lightwork.node.core.computations import Environment
from lightwork.node.core.held import LENGTH_MASK, Batch
from lightwork.node.core.interpreters import OWN
from lightwork.node.core.needs import SLOT, Gpus, cpus_of


class Verdict(Struct):
    """An attempt that we end by our own hand, and what its outcome shall say (an end kind of wire.outcome)."""

    token: int
    kind: int
    message: str
    kill: bool = True  # at once; else by interrupt, TERM and KILL
    step: int = 0  # how far these have come
    due_ns: int = 0  # when the next step is due


class Worker(Struct, eq=False):
    """A worker process; or a program, which is the only attempt of its process."""

    number: int
    environment: Environment | None = None
    program: bool = False
    python: int = OWN  # the interpreter that it runs under
    flights: deque[Batch] = msgspec.field(default_factory=deque)
    load: int = 0  # attempts in flight
    sent: int = 0
    loaded: set[int] = msgspec.field(default_factory=set)
    pid: int = 0
    leaving: bool = False  # gets nothing more
    distrusted: bool = False  # its ring is not its own any more
    taking_back: int = 0  # up to this serial; 0: not
    skips: dict[int, int] = msgspec.field(default_factory=dict)  # records to come of attempts that were taken back
    told: int = 0  # the attempt last reported as started
    verdict: Verdict | None = None
    idle_since_ns: int = 0
    measured_ns: int = 0  # when its memory was last asked for
    cpus: int = SLOT  # that its attempts need, one after the other
    gpus: tuple[int, ...] = ()  # that its attempt has

    @property
    def first(self) -> int:
        """The attempt that runs or is next, 0 if none."""
        return self.flights[0].tokens[self.flights[0].at] if self.flights else 0

    def tokens(self) -> list[int]:
        """All attempts in flight, in order."""
        return [token for flight in self.flights for token in flight.waiting()]

    def settle(self, tokens: list[int]) -> bool:
        """These ended. False if they are not the first in flight, in this order: then nothing has changed."""
        left = len(tokens)
        if self._front(left) != tokens:
            return False
        self.load -= left
        while left:
            flight = self.flights[0]
            size = min(left, len(flight))
            self._pass(flight, size)
            left -= size
        return True

    def _front(self, count: int) -> list[int]:
        """The first so many in flight, or all."""
        found: list[int] = []
        for flight in self.flights:
            found += flight.tokens[flight.at : flight.at + count - len(found)]
            if len(found) == count:
                break
        return found

    def cut(self, keep: set[int]) -> list[Batch]:
        """Everything in flight but the attempts in `keep` (which ended, or run)."""
        kept: deque[Batch] = deque()
        cut: list[Batch] = []
        for flight in self.flights:
            if keep.isdisjoint(flight.waiting()):
                cut.append(flight)
                continue
            gone, stays = flight.without(keep)
            kept.append(stays)
            if gone.tokens:
                cut.append(gone)
        self.flights = kept
        self.load = sum(map(len, kept))
        return cut

    def expect_skips(self, batches: list[Batch]) -> None:
        """These were taken back: it will skip them, each with a record. (They may come to it once more meanwhile.)"""
        for batch in batches:
            for token in batch.waiting():
                self.skips[token] = self.skips.get(token, 0) + 1

    def skipped(self, token: int) -> bool:
        """A record says that it skipped this one; whether that was expected."""
        count = self.skips.get(token, 0)
        if count > 1:
            self.skips[token] = count - 1
        elif count:
            del self.skips[token]
        return count > 0

    @staticmethod
    def _positions(flight: Batch, size: int) -> int:
        return sum(length & LENGTH_MASK for length in flight.lengths[flight.at : flight.at + size])

    def _pass(self, flight: Batch, size: int) -> None:
        if flight.at + size == len(flight.tokens):
            self.flights.popleft()
        else:
            flight.position += self._positions(flight, size)
            flight.at += size


class Workers:
    """All workers of this node. `busy` counts those with attempts in flight. What these need together, `used`, is never
    more than all slots have, unless there were more of these, or one is large, and alone: `allowed` is that limit."""

    def __init__(self, slots: int, gpus: int = 0) -> None:
        self.slots = slots
        self.capacity = self.allowed = slots * SLOT
        self.busy = self.used = 0
        self.gpus = Gpus(gpus)
        self._all: dict[int, Worker] = {}
        self._idle: dict[int, Worker] = {}  # the longest idle first
        self._numbers = 0

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def busy_ones(self) -> list[Worker]:
        """Those with attempts in flight."""
        return [worker for worker in self._all.values() if worker.load] if self.busy else []

    def get(self, number: int) -> Worker | None:
        """The worker, if it lives."""
        return self._all.get(number)

    def add(self, environment: Environment | None = None, program: bool = False) -> Worker:
        """A new one; a worker is idle."""
        self._numbers += 1
        worker = Worker(self._numbers, environment, program)
        if environment is not None and not program:
            worker.python = environment.python
        self._all[worker.number] = worker
        if not program:
            self._idle[worker.number] = worker
        return worker

    def remove(self, worker: Worker) -> None:
        """It is dead."""
        del self._all[worker.number]
        self._idle.pop(worker.number, None)
        if worker.load:
            self._one_less(worker)

    def fits(self, cpus: int) -> bool:
        """Whether there is room for an attempt that needs so much. One that needs more than there is runs alone."""
        return self.used + cpus <= self.capacity or (not self.used and self.capacity > 0)

    def sent(self, worker: Worker, flight: Batch) -> None:
        """These attempts are in flight now."""
        if not worker.load:
            self.busy += 1
            worker.cpus = cpus_of(flight.options)
            self.used += worker.cpus
            if self.used > self.allowed and self.busy == 1:
                self.allowed = self.used
            self._idle.pop(worker.number, None)
        count = len(flight)
        worker.flights.append(flight)
        worker.load += count
        worker.sent += count

    def emptied(self, worker: Worker, now: int) -> None:
        """Its last attempt in flight is gone. (So a take-back that is under way would find nothing but later ones.)"""
        self._one_less(worker)
        worker.taking_back = 0
        if not worker.leaving and not worker.program:
            worker.idle_since_ns = now
            self._idle[worker.number] = worker

    def resize(self, slots: int) -> None:
        """Use so many slots from now on; those beyond that are busy stay so until they are done."""
        self.slots, self.capacity = slots, slots * SLOT
        self.allowed = max(self.capacity, self.used)

    def _one_less(self, worker: Worker) -> None:
        self.busy -= 1
        self.used -= worker.cpus
        if worker.gpus:
            self.gpus.give_back(worker.gpus)
            worker.gpus = ()
        if self.allowed > self.capacity:
            self.allowed = max(self.capacity, self.used)

    def leave(self, worker: Worker) -> None:
        """It shall get nothing more."""
        worker.leaving = True
        self._idle.pop(worker.number, None)

    def idle_for(self, environment: Environment) -> Worker | None:
        """The idle worker of an environment that worked last; else a blank one of its interpreter if that will do."""
        blank = None
        for worker in reversed(self._idle.values()):
            if worker.environment is environment:
                return worker
            if worker.environment is None and worker.python == environment.python:
                blank = worker
        return None if environment.template else blank

    def oldest_idle(self) -> Worker | None:
        """The one that has been idle longest; a blank one only if there is no other."""
        return next(
            (w for w in self._idle.values() if w.environment is not None), next(iter(self._idle.values()), None)
        )

    def idle(self) -> list[Worker]:
        """All that wait for work, the longest idle first."""
        return list(self._idle.values())
