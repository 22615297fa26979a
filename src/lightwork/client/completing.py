"""`as_completed`: jobs as they end, from a list, an iterator, or a producer that reacts to results.

    producer ──yields jobs──> at most `limit` open ──as they end──> whoever iterates
        ▲                                                  │
        └────────────── those ended since last asked ──────┘    (what `yield` returns to a generator)

Where the idea comes from: DisPyTE's producers, which make the next tasks from the results of earlier ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from lightwork.client.job import Job
from lightwork.client.session import Session
from lightwork.model.errors import UserError

LIMIT = 1000


def as_completed(session: Session, source: Iterable[Job | None], limit: int | None) -> Iterator[Job]:
    """See `JobCluster.as_completed`."""
    if limit is not None and limit < 1:
        raise UserError(f"limit={limit!r} must be at least 1.")
    most = limit or (max(LIMIT, len(source)) if isinstance(source, Sized) else LIMIT)
    return _Completing(session, source, most).jobs()


class _Completing:
    def __init__(self, session: Session, source: Iterable[Job | None], limit: int) -> None:
        self._session = session
        self._limit = limit
        iterator = iter(source)
        self._send: Callable[[Any], Job | None] | None = getattr(iterator, "send", None)
        self._iterator = iterator
        self._begun = False
        self._more = True
        self._open = 0
        self._ended: deque[Job] = deque()
        self._fresh: list[Job] = []  # ended, and not yet told to the producer

    def jobs(self) -> Iterator[Job]:
        while True:
            self._ask()
            if not self._open:
                return
            self._await_one()
            job = self._ended.popleft()
            self._open -= 1
            if self._more and self._send is not None:
                self._fresh.append(job)
            yield job
            self._session.take(job)
            del job

    def _ask(self) -> None:
        """Take jobs from the source while there is room, and until it has nothing to give before more results."""
        while self._more and self._open < self._limit:
            try:
                job = self._next()
            except StopIteration:
                self._more = False
                return
            if job is None:
                if not self._open:
                    raise UserError(
                        "The producer yielded None to wait for results, but none of its jobs is open.",
                        hint="yield a job, or return",
                    )
                return
            if not isinstance(job, Job):
                raise UserError(f"as_completed takes jobs, not {job!r}.", hint="yield cluster.submit(...)")
            self._open += 1
            self._session.watch(job, self._ended.append)

    def _next(self) -> Job | None:
        if self._send is None or not self._begun:
            self._begun = True
            return next(self._iterator)
        fresh, self._fresh = self._fresh, []
        return self._send(fresh)

    def _await_one(self) -> None:
        if not self._ended:
            self._session.waits.check_thread("the jobs of as_completed")
            self._session.waits.until(lambda: bool(self._ended), None, lambda: f"one of {self._open:,} jobs")
