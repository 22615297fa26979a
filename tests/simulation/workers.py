"""Model workers: they keep the rules of wire/shared_file.py, and run jobs that only last.

    Run --> line --started word--> look at the revoke word --> runs --> record in the ring --bell--> agent

A worker dies with its keeper, that is with its agent; its ring stays on the machine, for whoever comes next.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from lightwork.wire.outcome import CANCELLED, RAISED, RETURNED, REVOKED
from tests.simulation import plan
from tests.simulation.clock import MS

if TYPE_CHECKING:
    from tests.simulation.machine import Machine

Row = tuple[int, int, int, int, bytes]  # token, start, duration, status, outcome


class Ring:
    """The file that outlives its worker and its agent. Rows that were drained stay until they are freed."""

    __slots__ = ("drained", "ended", "rows", "started", "started_ns")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.drained = 0
        self.started = self.started_ns = self.ended = 0

    @property
    def running(self) -> int:
        """The attempt that has started and not ended."""
        return 0 if self.started == self.ended else self.started

    @property
    def unrecorded(self) -> int:
        """The attempt of a dead worker that has started and has no record."""
        return self.running

    def undrained(self) -> list[int]:
        """Attempts that ended and are still to be read; without those that the worker skipped."""
        return [row[0] for row in self.rows[self.drained :] if row[3] != REVOKED]

    def free(self, count: int) -> None:
        """So many rows at the head are not needed any more."""
        del self.rows[:count]
        self.drained -= count


class Worker:
    """One process."""

    __slots__ = ("alive", "line", "machine", "number", "quitting", "ran", "revoke", "ring", "running", "sent", "turn")

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine = machine
        self.number = number
        self.ring = Ring()
        self.line: deque[tuple[int, int, int]] = deque()  # serial, token, job
        self.sent = self.revoke = 0
        self.running = 0  # the token of the job that runs
        self.ran = 0  # which job that is
        self.alive = True
        self.quitting = False
        self.turn = 0  # counts what happens, so that nothing planned before a change is done after it

    def take(self, tokens: list[int], jobs: list[int]) -> None:
        """Attempts to make, in this order."""
        idle = not self.line
        for token, job in zip(tokens, jobs, strict=True):
            self.sent += 1
            self.line.append((self.sent, token, job))
        if idle:
            self._next()

    def _next(self) -> None:
        if not self.line:
            if self.quitting:
                self.die("quit")
            return
        _, token, _ = self.line[0]
        ring = self.ring
        ring.started, ring.started_ns = token, self.machine.clock.now
        self.turn += 1
        if self.machine.random.random() < 0.1:
            delay = int(self.machine.random.random() * MS)
            self.machine.clock.later(delay, None, self._looks, self.turn)
        else:
            self._looks(self.turn)

    def _looks(self, turn: int) -> None:
        if turn != self.turn or not self.alive:
            return
        serial, token, job = self.line[0]
        if self.revoke >= serial:
            self._write(token, 0, REVOKED, b"")
            return
        world = self.machine.world
        self.running, self.ran = token, job
        world.oracle.starts(self.machine, token, job)
        planned = world.jobs[job]
        if planned.kind == plan.HANGS:
            return
        duration = int(planned.duration_ns * self.machine.speed)
        self.machine.clock.later(duration, None, self._is_through, self.turn)

    def _is_through(self, turn: int) -> None:
        if turn != self.turn or not self.alive:
            return
        token, job = self.running, self.ran
        planned = self.machine.world.jobs[job]
        if planned.kind == plan.POISON:
            self.die("poison")
            return
        fails = planned.kind == plan.RAISES or (
            planned.kind == plan.FLAKY and self.machine.world.oracle.tries(token) <= planned.failures
        )
        self._ends(RAISED if fails else RETURNED, b"%s:%d" % (planned.arguments, token))

    def interrupted(self, token: int) -> None:
        """The cancel word is set, and the signal has come."""
        if self.alive and self.running == token:
            if self.machine.world.jobs[self.ran].kind != plan.STUBBORN:
                self._ends(CANCELLED, b"%s:%d" % (self.machine.world.jobs[self.ran].arguments, token))

    def _ends(self, status: int, outcome: bytes) -> None:
        token, duration = self.running, self.machine.clock.now - self.ring.started_ns
        self.machine.world.oracle.finishes(self.machine, token, self.ran, status, outcome)
        self.running = 0
        self._write(token, duration, status, outcome)

    def _write(self, token: int, duration: int, status: int, outcome: bytes) -> None:
        ring = self.ring
        ring.rows.append((token, ring.started_ns, duration, status, outcome))
        ring.ended = token
        self.line.popleft()
        self.turn += 1
        self.machine.bell(self)
        self._next()

    def quit(self) -> None:
        """Told to leave."""
        self.quitting = True
        if not self.line:
            self.die("quit")

    def die(self, why: str) -> None:
        """The process is gone."""
        if not self.alive:
            return
        self.alive = False
        self.turn += 1
        token = (
            self.running or self.ring.unrecorded
        )  # it may have said so, and not begun: nobody can tell the two apart
        if token:
            self.machine.world.oracle.dies(token, why)
            self.running = 0
        self.machine.worker_died(self, why)
