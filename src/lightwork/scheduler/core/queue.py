"""Jobs that have no attempt, in the order in which they are to go.

    priority ──> stake (of a session) ──> shape ──> group ──> line of jobs
    larger first     by the policy        by the first of its jobs, in order of submission

A line is a deque; a heap in each shape holds its groups by the ordinals of their first jobs, with stale entries dropped
when they come up. Ended jobs are dropped when they come to the head of their line, or are half of it. So no job is ever
searched for, however many wait, and a shape for which none waits is gone. `placement` decides whose turn it is, and
looks only at shapes that what has changed may help.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain

from lightwork.config import limits
from lightwork.model.states import JobState
from lightwork.scheduler.core.field import Field
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shapes import Level, Shape, Stake

LAST = 1 << 62  # an ordinal after all others


class Queue:
    """All of them; `size` counts jobs."""

    def __init__(self, field: Field | None = None) -> None:
        self.field = field or Field()
        self.size = 0
        self.unjudged: dict[Session, dict[Shape, None]] = {}  # can any node run them? See `impossible`
        self.stirred = False  # some shape is fresh
        self._levels: dict[int, Level] = {}
        self._order: list[Level] = []  # those where somebody waits, the most urgent first
        self._groups: dict[Group, None] = {}  # those with a line, the oldest first
        self._stakes = 0
        self.blocked = 0  # how often a shape was, counted anew after each job of it that was placed

    # --- who waits ---

    def add(self, group: Group, jobs: list[Job]) -> None:
        """New jobs of one group, at the end."""
        if group.line:
            group.line.extend(jobs)
        else:
            group.line = deque(jobs)
            self._groups[group] = None
            self._push(group)
        self.size += len(jobs)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Jobs that had an attempt wait again, at the place they had."""
        by_group: dict[Group, list[Job]] = {}
        for job in sorted(jobs, key=_ordinal):
            by_group.setdefault(job.group, []).append(job)
        for group, back in by_group.items():
            _merge(group.line, back)
            self.size += len(back)
            self._groups[group] = None
            self._push(group)
            self.freshen(group.shape)  # it may have been passed over for the jobs behind these

    def holds(self, job: Job) -> bool:
        """Whether it stands in line. (Looks for it: not for the hot path.)"""
        return job in job.group.line

    def pull(self, jobs: Iterable[Job]) -> None:
        """They leave their lines from wherever they stand: they have an attempt after all."""
        by_group: dict[Group, set[int]] = {}
        for job in jobs:
            by_group.setdefault(job.group, set()).add(job.number)
        for group, numbers in by_group.items():
            group.line = deque(job for job in group.line if job.number not in numbers)
            self.size -= len(numbers)
            self._push(group)
            self.first(group.shape)

    def remove(self, job: Job) -> None:
        """A waiting job has ended; it leaves its line now or later."""
        self.size -= 1
        group = job.group
        group.ended += 1
        if 2 * group.ended > len(group.line):
            head = group.line[0] if group.line else None
            group.line = deque(one for one in group.line if one.state < JobState.FINISHED)
            group.ended = 0
            if not group.line or group.line[0] is not head:
                self._push(group)
            self.first(group.shape)

    def lines(self) -> Iterator[tuple[Group, deque[Job]]]:
        """All groups that have a line, and the lines (with ended jobs still in them)."""
        return ((group, group.line) for group in self._groups)

    def drop_session(self, session: Session) -> None:
        """Forget all that it has; its jobs have ended."""
        for shape in [shape for stake in session.stakes.values() for shape in stake.shapes]:
            for _, _, group in shape.heap:
                group.line.clear()
                self._groups.pop(group, None)
            self._leave(shape)
        self.unjudged.pop(session, None)

    def reconsider(self, node: Node | None = None) -> None:
        """Something changed about this node, or about all, or about computations: who may run where is asked again."""
        if node is not None:
            node.touch()
            self.field.doubt(node.bit)
            return
        for one in self.field.each(self.field.all):
            one.touch()
        self.field.doubt(self.field.all)

    def reconsider_for(self, session: Session) -> None:
        """Something changed for this session alone: where its jobs may run is asked again."""
        for shape in session.shapes():
            shape.seen = -1
            if shape in shape.stake.shapes:
                self.freshen(shape)

    def freshen(self, shape: Shape) -> None:
        """It is to be held against all nodes."""
        shape.fresh = self.stirred = True

    # --- whose turn it is ---

    def levels(self) -> list[Level]:
        """Those where somebody waits, the most urgent first."""
        return list(self._order)

    def lone(self) -> Shape | None:
        """The only shape that waits; None: there are more, or there is none."""
        found = None
        for level in self._order:
            for stake in level.stakes:
                for shape in stake.shapes:
                    if found is not None:
                        return None
                    found = shape
        return found

    def shapes(self) -> Iterator[Shape]:
        """All that have waiting jobs, perhaps."""
        return chain.from_iterable(stake.shapes for level in self._order for stake in level.stakes)

    def first(self, shape: Shape) -> Group | None:
        """The group whose turn it is within the shape; None if none of its jobs waits: then it has left."""
        heap = shape.heap
        while heap:
            ordinal, _, group = heap[0]
            line = group.line
            if line and line[0].ordinal == ordinal and line[0].state < JobState.FINISHED:
                return group
            heappop(heap)
            if line and line[0].ordinal == ordinal:  # its head was cancelled
                self._push(group)
        self._leave(shape)
        return None

    def following(self, shape: Shape) -> int:
        """The first ordinal of the next group in this shape, after `first`; it may be too small."""
        heap = shape.heap
        if len(heap) == 1:
            return LAST
        entry = heappop(heap)
        while heap and heap[0][2] is entry[2]:  # the same group stood there twice
            heappop(heap)
        ordinal = heap[0][0] if heap else LAST
        heappush(heap, entry)
        return ordinal

    def take(self, group: Group, count: int, before: int) -> list[Job]:
        """Up to `count` jobs of the group that stand before this ordinal, in order; no more than one message holds."""
        line = group.line
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

    def _push(self, group: Group) -> None:
        line = group.line
        while line and line[0].state >= JobState.FINISHED:
            line.popleft()
        if not line:
            self._groups.pop(group, None)
            return
        shape = group.shape
        heap = shape.heap
        while heap and heap[0][2] is group:  # it stands there by a job that has left
            heappop(heap)
        heappush(heap, (line[0].ordinal, id(group), group))
        stake = shape.stake
        if shape not in stake.shapes:
            self._enter(stake, shape)

    def _enter(self, stake: Stake, shape: Shape) -> None:
        alone = self.lone()
        if alone is not None:  # what nobody could take from it before is to be kept for it now
            self.freshen(alone)
        if not stake.shapes:
            if not stake.number:
                self._stakes += 1
                stake.number = self._stakes
            level = self._levels.get(stake.priority)
            if level is None:
                level = self._levels[stake.priority] = Level(stake.priority)
            if not level.stakes:
                insort(self._order, level, key=_urgency)
            level.enter(stake)
        stake.shapes[shape] = None
        self.freshen(shape)
        if not shape.judged:
            self.unjudged.setdefault(stake.session, {})[shape] = None

    def _leave(self, shape: Shape) -> None:
        stake = shape.stake
        shape.heap.clear()
        shape.is_served()
        if self.field.kept or self.field.claimed:
            self.field.release(shape)
        if shape not in stake.shapes:
            return
        del stake.shapes[shape]
        if not shape.judged and (unjudged := self.unjudged.get(stake.session)) is not None:
            unjudged.pop(shape, None)
            if not unjudged:
                del self.unjudged[stake.session]
        level = self._levels[stake.priority]
        if not stake.shapes:
            del level.stakes[stake]
            if not level.stakes:
                self._order.remove(level)


def _urgency(level: Level) -> int:
    return -level.priority


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
