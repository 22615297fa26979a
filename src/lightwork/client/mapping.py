"""`map`: a function over long iterables, in chunks whose size follows from measured time, a window of them at a time.

The chunk is the job. Small items share one so that their overhead does; the first chunks hold one item each, and from
how long they took follows the size of the next: TARGET_S of work, but never so much that a slot would be left without.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice
from typing import Any

from lightwork.client.core import FINISHED
from lightwork.client.job import Job, failed_item, measure
from lightwork.client.plan import Plan
from lightwork.client.progress import Bar
from lightwork.model.errors import UserError

TARGET_S = 0.05
CHUNK_MAX = 4096
WINDOW_JOBS = 1024  # under way or waiting for their turn
LARGE = 64 << 10  # results of so many bytes narrow the window
_FIRST = 4  # chunks of one item for each slot, before anything is measured


class Sizer:
    """How many items the next chunk has."""

    def __init__(self, fixed: int | None, slots: int, total: int | None) -> None:
        if fixed is not None and fixed < 1:
            raise UserError(f"chunksize={fixed!r} must be at least 1.")
        self._fixed = fixed
        self._slots = slots
        self._left = total
        self._given = 0
        self._item_s = 0.0

    def next(self) -> int:
        """For the chunk that is about to be made."""
        if self._fixed is not None:
            return self._fixed
        size = 1
        if self._item_s > 0 and self._given >= _FIRST * self._slots:
            size = max(1, min(CHUNK_MAX, int(TARGET_S / self._item_s)))
            if self._left is not None:
                size = min(size, max(1, math.ceil(self._left / (4 * self._slots))))
        self._given += 1
        if self._left is not None:
            self._left = max(0, self._left - size)
        return size

    def measured(self, items: int, seconds: float) -> None:
        """A chunk took so long; later ones count more."""
        each = max(seconds / items, 1e-7)
        self._item_s = each if not self._item_s else 0.7 * self._item_s + 0.3 * each


class Mapping:
    """One call of `map`. Submits as many chunks as the window has room for, and goes on as results are taken."""

    def __init__(
        self,
        plan: Plan,
        rows: Iterator[tuple[Any, ...]],
        sizer: Sizer,
        *,
        ordered: bool,
        plain: bool,
        total: int | None,
    ) -> None:
        self._plan = plan if plain else plan.chunked()
        self._plain = plain  # one item a job, with its own arguments
        self._rows = rows
        self._sizer = sizer
        self._ordered = ordered
        self._total = total
        self._jobs: deque[tuple[Job, int, int]] = deque()  # with its first item's number, and how many
        self._by_number: dict[int, tuple[Job, int, int]] = {}
        self._ended: deque[Job] = deque()
        self._items = 0
        self._done = 0
        self._window = WINDOW_JOBS
        self._more = True

    def fill(self) -> None:
        """Submit while there is room."""
        while self._more and len(self._jobs) + len(self._by_number) < self._window:
            rows = list(islice(self._rows, self._sizer.next()))
            if not rows:
                self._more = False
                return
            submit = self._plan.session.submit
            job = submit(self._plan, rows[0], {}) if self._plain else submit(self._plan, (rows,), {})
            entry = job, self._items, len(rows)
            self._items += len(rows)
            if self._ordered:
                self._jobs.append(entry)
            else:
                self._by_number[job.number] = entry
                self._plan.session.watch(job, self._ended.append)

    def results(self, bar: Bar) -> Iterator[Any]:
        """The results one after another; what is left when nobody wants more is cancelled."""
        try:
            with bar:
                while self._jobs or self._by_number:
                    bar.update(self._done, self._total)
                    job, first, count = self._next()
                    self._measure(job, count)
                    values = self._values(job, first)
                    self._done += count
                    self.fill()
                    yield from values
                    del job, values
                bar.update(self._done, self._items)
        finally:
            left = [entry[0] for entry in (*self._jobs, *self._by_number.values())]
            if left:
                self._plan.session.cancel(left)

    def _next(self) -> tuple[Job, int, int]:
        if self._ordered:
            job = self._jobs[0][0]
            self._wait(lambda: job.state >= FINISHED, lambda: f"job {job.id}, the next of a map")
            return self._jobs.popleft()
        ended = self._ended
        self._wait(lambda: bool(ended), lambda: f"one of {len(self._by_number):,} jobs of a map")
        return self._by_number.pop(ended.popleft().number)

    def _wait(self, done: Callable[[], bool], subject: Callable[[], str]) -> None:
        if not done():
            session = self._plan.session
            session.waits.check_thread("the results of a map")
            session.waits.until(done, None, subject)

    def _values(self, job: Job, first: int) -> list[Any]:
        try:
            value = job.get()
        except Exception as error:
            error.add_note(f"in item {first + (failed_item(job) or 0)} of the map")
            raise
        if self._plain:
            return [value]
        return list(value)

    def _measure(self, job: Job, count: int) -> None:
        seconds, size = measure(job)
        if seconds is not None:
            self._sizer.measured(count, seconds)
        if size >= LARGE:
            self._window = max(8, WINDOW_JOBS * LARGE // (4 * size))


def length_of(iterables: tuple[Iterable[Any], ...]) -> int | None:
    """How many rows there will be, if that can be told."""
    lengths = [len(iterable) for iterable in iterables if isinstance(iterable, Sized)]
    return min(lengths) if lengths and len(lengths) == len(iterables) else None
