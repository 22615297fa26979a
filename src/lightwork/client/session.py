"""One client's life on a scheduler: the core, the line, the callbacks and the files, joined.

    JobCluster, Job ──> Session ──> core          what is so       (under `_lock`, never over I/O)
                           │  └───> Connection    who reads and writes
                           ├──────> Callbacks     users' functions, in their thread
                           └──────> files         on their way here

What comes in is handled by the thread that reads, whichever that is; nothing here waits but `wait` and who uses it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightwork.client import versions, waiting
from lightwork.client.asking import Questions
from lightwork.client.blobs import Blobs
from lightwork.client.callbacks import Callback, Callbacks, ClusterCallback, Event, Moment
from lightwork.client.connection import FLUSH_S, Connection
from lightwork.client.core import FINISHED, ClientCore, Outgoing
from lightwork.client.files import Fetcher
from lightwork.client.incoming import Incoming
from lightwork.client.job import Job
from lightwork.client.nodes import Nodes
from lightwork.client.payloads import Payloads
from lightwork.client.plan import Plan
from lightwork.config.limits import SUBMIT_JOBS_MAX
from lightwork.model.errors import (
    ClusterClosed,
    ForkedCluster,
    JobCancelled,
    JobLost,
    JobNotRun,
    LightworkError,
    SchedulerGone,
)
from lightwork.model.states import ClusterEvent, JobState
from lightwork.transport.blocking import BlockingLink
from lightwork.wire.messages import Close, Message, Status

if TYPE_CHECKING:
    from lightwork.client.offering import Offers

OPEN_BYTES_MAX = 512 << 20  # of arguments of jobs that have not ended: beyond this, submit waits
CANCELLED_S = 6.0  # interrupt, TERM and KILL take 4 s; the rest is for cleanups

_now = time.monotonic


class Session:
    """See the picture above. `name` is the session's own; `base` is where files that jobs send are put."""

    lasting = False  # it outlives the program
    unreachable = False  # there is no link at the moment, and there may be one again

    def __init__(
        self,
        link: BlockingLink,
        name: str,
        payloads: Payloads,
        *,
        callback: Callback | None = None,
        cluster_status: ClusterCallback | None = None,
        base: Path | None = None,
        obituary: Callable[[], str] = str,
    ) -> None:
        self.name = name
        self.base = base or Path.cwd()
        self.began = _now()
        self.epoch = time.time() - self.began  # noqa: TID251  shown to people only
        self.nodes = Nodes()
        self.questions = Questions(self)
        self.offers: Offers | None = None  # if the user wants to decide about nodes
        self.blobs = Blobs()
        self.on_linked: list[Callable[[], None]] = []  # called when another link has taken the place of one that broke
        self.status: Status | None = None
        self.left = False  # the scheduler has said goodbye
        self.payloads = payloads
        self.link = link
        self.lock = threading.Lock()  # of the core; never held over I/O
        self._obituary = obituary
        self._refusal: tuple[type[LightworkError], str] | None = None
        self.callbacks = Callbacks(callback, cluster_status, self.take_all, self._callbacks_idle)
        self.waits = waiting.Waits(self)
        self._make(link)
        self.receive = self._incoming.receive
        self.connection.start()

    def _make(self, link: BlockingLink) -> None:
        self.core: ClientCore[Job] = ClientCore()
        self.connection: Connection = Connection(link, self)
        self.fetcher: Fetcher = link
        self._incoming: Incoming = Incoming(self)

    # --- submitting ---

    def submit(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any], job_id: Any = None) -> Job:
        """A new job. Blocks only while too many bytes are under way."""
        if self._refusal is not None:
            self.check()
        plan, payload = plan.pack(args, kwargs)
        if plan.bound:
            versions.check(self, plan)
        place = None
        if type(payload) is not bytes:
            payload, place = self.payloads.store(payload, self._wait_for_room)
        core, connection = self.core, self.connection
        if core.heavy_bytes > OPEN_BYTES_MAX:
            self._wait_for_bytes()
        now = _now()
        job = Job(plan, job_id, now)
        if place is not None:
            job.more().place = place
        with self.lock:
            if self._refusal is not None:
                self.check()
            batch = core.add(job, plan, payload)
            if job_id is None:
                job.id = job.number
        if self.callbacks.watched:
            self.callbacks.tell(Event(ClusterEvent.JOB_CREATED, None, (job,)))
        if not core.open or now - connection.flushed_at > FLUSH_S or batch >= SUBMIT_JOBS_MAX:
            connection.flush()
            if self.link.congested:
                self._drain()
        else:
            connection.soon()
        return job

    def _drain(self) -> None:
        """The scheduler takes less than we submit: wait, and say so if it lasts."""
        began = _now()
        while not self.callbacks.inside() and self.link.up and not self.link.drain(timeout=self.waits.patience.first_s):
            if self.link.up:
                waiting.say(waiting.sentence(began, "the scheduler to take submitted jobs", self.status))

    def _wait_for_bytes(self) -> None:
        if not self.callbacks.inside():  # nothing may block there: then a little more is under way
            self.waits.until(self._has_room, None, lambda: "jobs to end before more are submitted")

    def _has_room(self) -> bool:
        return self.core.heavy_bytes <= OPEN_BYTES_MAX

    def _wait_for_room(self) -> bool:
        """Wait until some job has ended, so that the arena may have room again; False: none is open."""
        core = self.core
        ended = core.ended
        if not core.unfinished() or self.callbacks.inside():
            return False
        return self.waits.until(lambda: core.ended > ended, None, lambda: "room in shared memory for large arguments")

    def attentive(self) -> bool:
        """Whether news must reach somebody at once: callbacks (for the connection)."""
        return self.callbacks.wanted

    def unsent(self) -> bool:
        """Whether something urgent waits to be sent (for the connection)."""
        return bool(self.core.groups or self.core.outbox) or self.core.due()

    def outgoing(self, *, idle: bool) -> deque[Outgoing]:
        """What is to be sent now (for the connection)."""
        with self.lock:
            messages = self.core.outgoing()
            while (taken := self.core.taken_due(idle=idle)) is not None:
                messages.append((taken, b""))
        return messages

    def unsendable(self, message: Message, error: Exception) -> None:
        """The first of what is to be sent has no form in bytes: jobs that need it end (for the connection)."""
        trouble = JobNotRun(f"The job could not be sent: {error}")
        with self._incoming.telling:
            with self.lock:
                ended = self.core.unsendable(message, trouble)
            self._incoming.tell_ended(ended, "")
        self.connection.stir()

    def hurry(self) -> None:
        """Send what waits to be sent: somebody is going to wait for it."""
        if self.core.groups:
            self.connection.flush()

    # --- what is asked of it ---

    def settled(self) -> bool:
        """Whether every job has ended and every callback has returned.

        In this order: a job's end is told before `telling` is over; and if no callback was asked for since all had
        returned, none was running that could have submitted anything.
        """
        told = self.callbacks.told
        with self.lock:
            left = self.core.unfinished()
        return not left and not self._incoming.telling.inside and self.callbacks.asked == told

    all_over = settled  # and nothing of earlier lives either

    def watch(self, job: Job, ended: Callable[[Job], None]) -> None:
        """Call `ended(job)` once it has ended; at once if it has. In the thread that reads: be quick."""
        with self.lock:
            if job.state < FINISHED:
                job.more().watchers.append(ended)
                return
        ended(job)

    def event_of(self, job: Job) -> threading.Event:
        """The job's `finish`, made when first asked for."""
        with self.lock:
            extra = job.more()
            if extra.event is None:
                extra.event = threading.Event()
                if job.state >= FINISHED:
                    extra.event.set()
            event: threading.Event = extra.event
        self.hurry()
        return event

    def cancel(self, jobs: Iterable[Job]) -> bool:
        """Cancel these; whether any of them had not ended."""
        with self.lock:
            messages = self.core.cancel(jobs)
        if not messages:
            return False
        self.check()
        for message in messages:
            self.connection.send(message)
        return True

    # --- taken ---

    def take(self, job: Job) -> None:
        """User code has the result."""
        if job.state >= FINISHED and job.index >= 0:
            with self.lock:
                more = self.core.take(job)
            if more:
                self._tell_taken()

    def _tell_taken(self) -> None:
        if self.core.due():
            self.connection.flush()
        else:
            self.connection.later()

    def take_all(self, jobs: Sequence[Job]) -> None:
        """User code has these results."""
        with self.lock:
            more = [job for job in jobs if self.core.take(job)]
        if more:
            self._tell_taken()

    def opened(self, job: Job, raw: bytes, made: Any) -> Any:
        """The outcome `raw` was taken apart. If two threads did that at once, both get what the first one made."""
        with self.lock:
            if job.raw is raw:
                job.raw = made
            else:
                made = job.raw
            more = self.core.take(job)
        if more:
            self._tell_taken()
        return made

    def moment_of(self, job: Job) -> Moment | None:
        """What a callback about a provisional result sees, if that is who asks."""
        moment = self.callbacks.moment
        return moment if moment is not None and moment.job is job and self.callbacks.inside() else None

    # --- the end ---

    def check(self) -> None:
        """Raise if the session cannot be used any more."""
        if self._refusal is not None:
            kind, text = self._refusal
            raise kind(text)

    @property
    def refused(self) -> bool:
        """Whether it takes no more jobs."""
        return self._refusal is not None

    def check_fork(self) -> None:
        """Raise if this is a forked child."""
        if self._refusal is not None and self._refusal[0] is ForkedCluster:
            self.check()

    def refuse(self, kind: type[LightworkError], text: str) -> None:
        """From now on nothing more is submitted."""
        with self.lock:
            if self._refusal is None:
                self._refusal = kind, text

    def broken(self, error: BaseException) -> None:
        """The line is lost: every open job ends here (for the connection)."""
        if self.connection.closed:
            return
        self.connection.closed = True
        closing = self._refusal is not None
        about = "" if closing else self._obituary()
        text = "\n".join(filter(None, (str(error) or type(error).__name__, about)))
        state = JobState.CANCELLED if closing else JobState.LOST
        trouble = JobCancelled("The cluster was closed.") if closing else JobLost(text)
        with self._incoming.telling:
            with self.lock:
                ended = self.core.gone(state, trouble)
                self._refusal = self._refusal or (SchedulerGone, text)  # last: who sees it sees all jobs ended
            self._incoming.tell_ended(ended, "")
        self.connection.stir()

    def _callbacks_idle(self) -> None:
        self.connection.stir()

    def leave(self, *, cancel: bool) -> None:
        """End the session in good order: the scheduler cancels what is open if told so, runs cleanups, says goodbye."""
        self.refuse(ClusterClosed, "The cluster is closed; it takes no more jobs.")
        if not self.connection.closed:
            self.connection.flush(idle=True)
            self.connection.send(Close(cancel))
            limit = CANCELLED_S if cancel else None
            self.waits.until(
                lambda: self.left or self.connection.closed, limit, lambda: "cleanups to end", steadily=True
            )
            self.connection.wait(lambda: self.callbacks.idle, _now() + waiting.STATUS_S)
        self.broken(ClusterClosed())
        self._stop()

    def sever(self) -> None:
        """End the session without another word: the scheduler sees end of file, and cancels."""
        self.refuse(ClusterClosed, "The cluster is closed; it takes no more jobs.")
        self.broken(ClusterClosed())
        self._stop()

    def _stop(self) -> None:
        self.connection.close()
        self.callbacks.stop()
        if self.offers is not None:
            self.offers.stop()

    def abandon(self) -> None:
        """In a forked child: this session is the parent's."""
        self._refusal = (
            ForkedCluster,
            "This cluster was made before fork(); the child process cannot use it. Make another one in the child.",
        )
        self.connection.abandon()
