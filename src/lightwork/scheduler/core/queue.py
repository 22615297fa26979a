"""In which order jobs wait: by submission, across all groups. (Priority and fair share will order sessions here.)

Each group has a line (a deque); a heap holds the groups by the ordinal of their first job, with stale entries dropped
when they come up. Cancelled jobs are deleted lazily, too: they leave the line when they reach its head. Groups that no
node may run stand aside until something changes, so that an event never looks at what it cannot move.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core.jobs import Group, Job

LAST = 1 << 62  # an ordinal after all others


class Queue:
    """Jobs that have no attempt; `size` counts them."""

    def __init__(self) -> None:
        self._lines: dict[Group, deque[Job]] = {}
        self._heap: list[tuple[int, int, Group]] = []
        self._aside: set[Group] = set()
        self.size = 0

    def add(self, group: Group, jobs: list[Job]) -> None:
        """New jobs of one group, at the end."""
        line = self._lines.get(group)
        if line is None:
            self._lines[group] = deque(jobs)
            self._push(group)
        else:
            line.extend(jobs)
        self.size += len(jobs)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Jobs that had an attempt wait again, at the place they had."""
        by_group: dict[Group, list[Job]] = {}
        for job in sorted(jobs, key=_ordinal):
            by_group.setdefault(job.group, []).append(job)
        for group, back in by_group.items():
            _merge(self._lines.setdefault(group, deque()), back)
            self.size += len(back)
            self._push(group)

    def holds(self, job: Job) -> bool:
        """Whether it stands in line. (Looks for it: not for the hot path.)"""
        return job in self._lines.get(job.group, ())

    def pull(self, jobs: Iterable[Job]) -> None:
        """They leave their lines from wherever they stand: they have an attempt after all."""
        by_group: dict[Group, set[int]] = {}
        for job in jobs:
            by_group.setdefault(job.group, set()).add(job.number)
        for group, numbers in by_group.items():
            self._lines[group] = deque(job for job in self._lines[group] if job.number not in numbers)
            self.size -= len(numbers)
            self._push(group)

    def remove(self) -> None:
        """A waiting job was ended; it leaves its line later."""
        self.size -= 1

    def first(self) -> tuple[Group, int] | None:
        """The group whose turn it is, and the ordinal before which it may go on (the next group's first)."""
        group = self._valid_top()
        if group is None:
            return None
        entry = heappop(self._heap)
        following = self._valid_top()
        while following is group:  # the same group stood there twice
            heappop(self._heap)
            following = self._valid_top()
        heappush(self._heap, entry)
        return group, LAST if following is None else self._lines[following][0].ordinal

    def take(self, group: Group, count: int, before: int) -> list[Job]:
        """Up to `count` jobs of the group that stand before this ordinal, in order; no more than one message holds."""
        line = self._lines[group]
        taken: list[Job] = []
        count = min(count, limits.COMMAND_JOBS_MAX)
        size = 0
        while line and len(taken) < count and line[0].ordinal < before and size < limits.COMMAND_BYTES_MAX:
            job = line.popleft()
            if job.state < JobState.FINISHED:
                taken.append(job)
                size += len(job.payload)
        self.size -= len(taken)
        self._push(group)
        return taken

    def set_aside(self, group: Group) -> None:
        """No node may run this group now."""
        self._aside.add(group)

    def bring_back(self, group: Group) -> None:
        """The group stands in line again."""
        self._aside.discard(group)
        self._push(group)

    def reconsider(self) -> None:
        """Something changed about nodes or computations: nobody stands aside any more."""
        aside, self._aside = self._aside, set()
        for group in aside:
            self._push(group)

    def lines(self) -> Iterator[tuple[Group, deque[Job]]]:
        """All groups that have a line, and the lines (with ended jobs still in them)."""
        return iter(self._lines.items())

    def drop_session(self, session: str) -> None:
        """Forget all groups of a session; its jobs have ended."""
        for group in [group for group in self._lines if group.session == session]:
            del self._lines[group]
            self._aside.discard(group)

    def _push(self, group: Group) -> None:
        line = self._lines.get(group)
        while line and line[0].state >= JobState.FINISHED:
            line.popleft()
        if line:
            heappush(self._heap, (line[0].ordinal, id(group), group))
        else:
            self._lines.pop(group, None)
            self._aside.discard(group)

    def _valid_top(self) -> Group | None:
        """The group on top of the heap, once everything stale is off it."""
        heap = self._heap
        while heap:
            ordinal, _, group = heap[0]
            line = self._lines.get(group)
            if line and line[0].ordinal == ordinal and line[0].state < JobState.FINISHED and group not in self._aside:
                return group
            heappop(heap)
            if line and group not in self._aside and line[0].ordinal == ordinal:  # its head was cancelled
                self._push(group)
        return None


def _ordinal(job: Job) -> int:
    return job.ordinal


def _merge(line: deque[Job], back: list[Job]) -> None:
    """Both are in order. What comes back belongs near the head, or (if it waited elsewhere meanwhile) near the end."""
    moved: list[Job] = []
    if not line or back[0].ordinal + back[-1].ordinal <= line[0].ordinal + line[-1].ordinal:
        while line and line[0].ordinal < back[-1].ordinal:
            moved.append(line.popleft())
        line.extendleft(sorted(moved + back, key=_ordinal, reverse=True))
    else:
        while line and line[-1].ordinal > back[0].ordinal:
            moved.append(line.pop())
        line.extend(sorted(moved + back, key=_ordinal))
