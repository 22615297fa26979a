"""Jobs that failed and will be tried again: each waits a while outside of the queue's lines, so that others pass it.

RUNNING --failed--> here --due--> its old place in line
                     +---cancelled, or its session is over: never looked at again
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from lightwork.scheduler.core.jobs import Job

STEP_NS = 16_000_000  # times are rounded up to this: what failed together comes back together


class Delays:
    """All of them. One that ended meanwhile is deleted lazily: its time is 0."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Job]] = []
        self.size = 0

    def add(self, job: Job, due_ns: int) -> None:
        """It waits until then."""
        due_ns = -(-due_ns // STEP_NS) * STEP_NS
        job.more().due_ns = due_ns
        heappush(self._heap, (due_ns, job.ordinal, job))
        self.size += 1

    def drop(self, job: Job) -> bool:
        """It waits no more; whether it did."""
        if job.extra is None or not job.extra.due_ns:
            return False
        job.extra.due_ns = 0
        self.size -= 1
        return True

    def next_ns(self) -> int:
        """When the first one is due; 0 if none waits."""
        heap = self._heap
        while heap and not _waits(heap[0]):
            heappop(heap)
        return heap[0][0] if heap else 0

    def due(self, now_ns: int) -> list[Job]:
        """Those whose time has come; they wait no more."""
        found = []
        while 0 < self.next_ns() <= now_ns:
            job = heappop(self._heap)[2]
            self.drop(job)
            found.append(job)
        return found

    def __iter__(self) -> Iterator[Job]:
        return (entry[2] for entry in self._heap if _waits(entry))

    def soonest(self, among: int) -> list[Job]:
        """Those that are due first, of about so many: whoever asks is not to wait for a million."""
        return [job for _, _, job in sorted(filter(_waits, self._heap[:among]), key=lambda entry: entry[:2])]


def _waits(entry: tuple[int, int, Job]) -> bool:
    due_ns, _, job = entry
    return job.extra is not None and job.extra.due_ns == due_ns
