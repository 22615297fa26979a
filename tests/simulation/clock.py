"""The only clock of a simulated world, and its only queue: what happens next is the earliest entry.

Each entry belongs to a process. What belongs to one that is dead by then does not happen; what belongs to one that is
stopped waits until it goes on, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

MS, SECOND = 1_000_000, 1_000_000_000
START_NS = 100_000 * SECOND  # monotonic clocks rarely begin at 0; a wall clock may be moved back from here


class Process:
    """Something that runs on a host until it is killed, and may be stopped in between."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.host = host
        self.alive = True
        self.stopped = False
        self.since_ns = 0  # when it was stopped last, or went on
        self.backlog: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def killed(self) -> None:
        """It is gone, wherever it was; a subclass tells who must know."""
        self.alive = False


class Killed(Exception):
    """A process dies in the midst of what it does."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.name)
        self.process = process


class Busy(Exception):
    """So much happens that it will never end."""


class Clock:
    """Time passes from one entry to the next."""

    def __init__(self) -> None:
        self.now = START_NS
        self.steps = 0
        self.most_steps = 100_000  # a schedule takes some 2,500
        self._heap: list[tuple[int, int, Process | None, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, when: int, owner: Process | None, act: Callable[..., None], *args: Any) -> None:
        """Do it then, if its process still lives."""
        self._count += 1
        heappush(self._heap, (when, self._count, owner, act, args))

    def later(self, delay: int, owner: Process | None, act: Callable[..., None], *args: Any) -> None:
        """Do it after so many nanoseconds."""
        self._count += 1
        heappush(self._heap, (self.now + delay, self._count, owner, act, args))

    def run_until(self, when: int) -> None:
        """All that is due by then, in order."""
        heap = self._heap
        while heap and heap[0][0] <= when:
            due, _, owner, act, args = heappop(heap)
            if due > self.now:
                self.now = due
            if owner is not None:
                if not owner.alive:
                    continue
                if owner.stopped:
                    owner.backlog.append((act, args))
                    continue
            self.steps += 1
            if self.steps > self.most_steps:
                raise Busy(f"{self.steps:,} steps, and no end: now {getattr(act, '__qualname__', act)}")
            try:
                act(*args)
            except Killed as death:
                death.process.killed()
        self.now = max(self.now, when)

    @property
    def waiting(self) -> int:
        """How much is to happen."""
        return len(self._heap)

    def go_on(self, process: Process) -> None:
        """It is no longer stopped: all that waited for it happens now."""
        process.stopped = False
        backlog, process.backlog = process.backlog, []
        for act, args in backlog:
            self.later(0, process, act, *args)
