"""The one thread in which users' callbacks run: in order of arrival, provisional results before the final one."""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lightwork.model.states import ClusterEvent

if TYPE_CHECKING:
    from lightwork.client.job import Job
    from lightwork.wire.messages import NodeStatus

Callback = Callable[["Job"], Any]
ClusterCallback = Callable[[ClusterEvent, "NodeStatus | None", "Job | None"], Any]


class Moment(NamedTuple):
    """What a callback about a provisional result sees of its job, whatever has become of it meanwhile."""

    job: Job
    value: Any


class Event(NamedTuple):
    """Something to tell: about some jobs, or about a node alone."""

    kind: ClusterEvent
    node: NodeStatus | None
    jobs: Sequence[Job]
    value: Callable[[], Any] | None = None  # of a provisional result


class Callbacks:
    """Tells the user's functions. `taken` is called with jobs whose final callback has returned."""

    def __init__(
        self,
        callback: Callback | None,
        cluster_status: ClusterCallback | None,
        taken: Callable[[Sequence[Job]], None],
        changed: Callable[[], None],
    ) -> None:
        self.wanted = callback is not None or cluster_status is not None
        self.watched = cluster_status is not None
        self.moment: Moment | None = None
        self.ident: int | None = None
        self.error: BaseException | None = None  # the first that a callback raised
        self._callback = callback
        self._cluster_status = cluster_status
        self._taken = taken
        self._changed = changed
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.told = 0
        self.asked = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lightwork-callbacks", daemon=True)
        if self.wanted:
            self._thread.start()  # now: at the interpreter's exit no thread can be started

    def tell(self, event: Event) -> None:
        """Put it in line."""
        if self.wanted:
            with self._lock:
                self.asked += 1
                self._queue.put(event)

    @property
    def idle(self) -> bool:
        """Whether every callback has returned."""
        return self.asked == self.told

    def inside(self) -> bool:
        """Whether the caller is a callback."""
        return self.ident == threading.get_ident()

    def take_error(self) -> BaseException | None:
        """The first error since the last call."""
        error, self.error = self.error, None
        return error

    def stop(self) -> None:
        """No more will come."""
        self._queue.put(None)

    def finish(self, seconds: float) -> None:
        """After `stop`: wait so long at most until those in line have been told."""
        if self._thread.ident is not None and not self.inside():
            self._thread.join(seconds)

    def _run(self) -> None:
        self.ident = threading.get_ident()
        while True:
            event = self._queue.get()
            if event is None:
                return
            try:
                self._tell(event)
                if event.kind == ClusterEvent.JOB_ENDED and self._callback is not None:
                    self._taken(event.jobs)
            finally:
                self.told += 1
            if self.idle:
                self._changed()

    def _tell(self, event: Event) -> None:
        if not event.jobs:
            self._call(self._cluster_status, None, event.kind, event.node, None)
        for job in event.jobs:
            if event.value is not None and not self._call(self._look, job, job, event.value):
                continue
            if event.kind in (ClusterEvent.JOB_PROVISIONAL, ClusterEvent.JOB_ENDED):
                self._call(self._callback, job, job)
            self._call(self._cluster_status, job, event.kind, event.node, job)
            self.moment = None

    def _look(self, job: Job, value: Callable[[], Any]) -> None:
        """Open a provisional result, which may run users' code as the callback does."""
        self.moment = Moment(job, value())

    def _call(self, function: Callable[..., Any] | None, job: Job | None, *args: Any) -> bool:
        """Whether it returned."""
        if function is None:
            return True
        try:
            function(*args)
            return True
        except BaseException as error:  # noqa: BLE001  a user's function; the thread must go on, and wait() raises it
            about = f" about job {job.id}" if job is not None else ""
            if self.error is None:
                error.add_note(f"in the callback{about}")
                self.error = error
            trace = "".join(traceback.format_exception(error))
            print(f"lightwork: the callback{about} raised:\n{trace}", end="", file=sys.stderr, flush=True)  # noqa: T201
            return False
