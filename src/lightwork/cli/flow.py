"""Argument lines in, ended jobs out, and never more than a window of them in memory.

    lines ──> feeder thread ──> submit ──> cluster ──> callback ──┐
                  ▲                                               ▼
                  └───── window <── shown <── in order? <── queue of ended jobs

The feeder has its own thread, because the next line may come late (`tail -f`) and results must not wait for it. The
window counts jobs from submission until they are shown: one slow job holds up the order, and so it must hold up the
feeder. It gets narrower the more the jobs print.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

WINDOW_JOBS = 256
WINDOW_BYTES = 64 << 20
_WAKE_S = 0.5  # Windows delivers Ctrl-C only between waits


class Ended(Protocol):
    """What the flow must know of a job."""

    id: Any  # our number of it, from 1


J = TypeVar("J", bound=Ended)
T = TypeVar("T")


class Window:
    """Room for jobs that are submitted and not yet shown."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._largest = 1
        self._inside = 0
        self._stopped = False
        self._changed = threading.Condition()

    def limit(self) -> int:
        """How many may be inside now."""
        return max(2 * self._slots, min(max(WINDOW_JOBS, 8 * self._slots), WINDOW_BYTES // self._largest))

    def resize(self, slots: int) -> None:
        """So many jobs may run at once now: nodes come and go."""
        if slots != self._slots:
            with self._changed:
                self._slots = slots
                self._changed.notify_all()

    def enter(self) -> bool:
        """Wait for room; False if there will be none because the work was stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._inside < self.limit())
            self._inside += 1
            return not self._stopped

    def leave(self, size: int) -> None:
        """A job that had printed `size` bytes was shown."""
        with self._changed:
            self._inside -= 1
            self._largest = max(self._largest, size)
            self._changed.notify()

    def stop(self) -> None:
        """Nobody enters any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


class Order(Generic[J]):
    """Hands jobs on by their number from 1; with `kept=False` just as they come."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self._early: dict[int, J] = {}
        self._next = 1

    def arrived(self, job: J) -> Iterator[J]:
        """Those whose turn it is now."""
        if not self._kept:
            yield job
            return
        self._early[job.id] = job
        while self._next in self._early:
            self._next += 1
            yield self._early.pop(self._next - 1)


@dataclass(frozen=True)
class _Fed:
    count: int
    error: Exception | None = None


class Flow(Generic[J]):
    """One run: give `ended` to the cluster as its callback, then iterate over `shown`."""

    def __init__(self, *, slots: int, ordered: bool) -> None:
        self.finished = 0
        self.total: int | None = None
        self._window = Window(slots)
        self._order: Order[J] = Order(kept=ordered)
        self._news: queue.SimpleQueue[J | _Fed] = queue.SimpleQueue()

    def resize(self, slots: int) -> None:
        """So many jobs may run at once now."""
        self._window.resize(max(1, slots))

    def ended(self, job: J) -> None:
        """A job has ended (any thread)."""
        self._news.put(job)

    def shown(
        self, given: Iterable[T], submit: Callable[[int, T], object], size: Callable[[J], int]
    ) -> Iterator[J | None]:
        """Submit a job for each of `given` and yield the ended ones when their turn comes; None: draw the bar anew.

        An error of `given` or `submit` ends the feeding; it is raised here once what was submitted before is shown.
        """
        threading.Thread(target=self._feed, args=(given, submit), name="lightwork-lines", daemon=True).start()
        error: Exception | None = None
        shown = 0
        try:
            while self.total is None or shown < self.total:
                news = self._wait()
                if isinstance(news, _Fed):
                    self.total, error = news.count, news.error
                elif news is not None:
                    self.finished += 1
                    for job in self._order.arrived(news):
                        yield job
                        shown += 1
                        self._window.leave(size(job))
                yield None
        finally:
            self._window.stop()
        if error is not None:
            raise error

    def _wait(self) -> J | _Fed | None:
        try:
            return self._news.get(timeout=_WAKE_S)
        except queue.Empty:
            return None

    def _feed(self, given: Iterable[T], submit: Callable[[int, T], object]) -> None:
        count = 0
        try:
            for arguments in given:
                if not self._window.enter():
                    return
                submit(count + 1, arguments)
                count += 1
        except Exception as error:  # noqa: BLE001  whatever it is, the main thread raises it
            self._news.put(_Fed(count, error))
        else:
            self._news.put(_Fed(count))
