"""One life of a program on a durable scheduler: a session whose link may break, and which may outlive the program.

Session ──> DurableCore          what must be repeated           Lives     keys, and jobs of earlier lives
    │ └───> LastingConnection    dials again                     Larges    arguments that the scheduler fetches
    └─────> Fetching             files go on over the next link
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lightwork.client import versions
from lightwork.client.callbacks import Event
from lightwork.client.connection import FLUSH_S
from lightwork.client.durable import DurableCore
from lightwork.client.durable_incoming import DurableIncoming
from lightwork.client.durable_jobs import DurableJob, KeyedJob
from lightwork.client.job import Job
from lightwork.client.keeping import NO_TAG, Tag
from lightwork.client.larges import Larges
from lightwork.client.lives import Lives
from lightwork.client.options import Reporting
from lightwork.client.payloads import Payloads
from lightwork.client.plan import Plan
from lightwork.client.reaching import Way, hello_of
from lightwork.client.relinking import LastingConnection
from lightwork.client.session import CANCELLED_S, OPEN_BYTES_MAX, Session
from lightwork.client.waiting import STATUS_S, say
from lightwork.config.limits import SUBMIT_JOBS_MAX
from lightwork.model.errors import (
    ClusterClosed,
    JobLost,
    LightworkError,
    ProtocolError,
    SchedulerGone,
    SessionOver,
)
from lightwork.model.states import ClusterEvent, JobState
from lightwork.payload.fingerprint import fingerprint
from lightwork.payload.labels import pack_label
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.fetching import Fetching
from lightwork.wire.frames import Frame
from lightwork.wire.messages import Close, Detach, Hello, Message

FAULTS_MAX = 5
DETACH_S = 5.0  # so long the program stays to see its jobs on disk, once it is told to end

_now = time.monotonic


class DurableSession(Session):
    """See the picture. `way` leads to the scheduler; `title` is what the program is called there, for people."""

    core: DurableCore[Job]
    connection: LastingConnection

    def __init__(
        self, link: BlockingLink, name: str, way: Way, reporting: Reporting, *, title: str = "", lasting: bool = False
    ) -> None:
        self.way = way
        self.lasting = lasting
        self.leaving = False  # Close or Detach was said
        self.parting = ""  # why the scheduler has hung up
        self.lives = Lives(self)
        self.larges = Larges()
        self._title = title
        self._fetching = Fetching()
        self._faults = 0  # links that one side's fault has ended soon, one after another
        self._detached = ""  # what is said of jobs that go on without us
        super().__init__(
            link,
            name,
            Payloads(None, None, lambda offset: None),
            callback=reporting.callback,
            cluster_status=reporting.cluster_status,
            base=reporting.directory,
        )

    def _make(self, link: BlockingLink) -> None:
        self.core = DurableCore()
        self.connection = LastingConnection(link, self, self.way)
        self._fetching.linked(link)
        self.fetcher = self._fetching
        self._incoming = DurableIncoming(self)

    def open(self) -> None:
        """Wait until the session is on disk, and all jobs of earlier lives are known."""
        self.waits.until(
            lambda: self.lives.complete or self.connection.closed, None, lambda: f"{self.way.where} to open the session"
        )
        self.check()

    # --- submitting ---

    def submit(
        self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any], job_id: Any = None, key: str = ""
    ) -> Job:
        """A new job; or the one that has this key, whichever life of the program submitted it."""
        if self._refusal is not None:
            self.check()
        if not key:
            job = self._submit_new(plan, args, kwargs, job_id)
            assert job is not None
            return job
        mark = fingerprint(args, kwargs)
        while True:
            known = self.lives.known(key, mark, plan, (args, kwargs))
            if known is not None:
                if job_id is not None and pack_label(job_id) != pack_label(known.id):
                    known.id = job_id
                return known
            job = self._submit_new(plan, args, kwargs, job_id, key, mark)
            if job is not None:  # else another thread was faster
                return job

    def _submit_new(
        self,
        plan: Plan,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        job_id: Any,
        key: str = "",
        mark: bytes = b"",
    ) -> Job | None:
        plan, payload = plan.pack(args, kwargs)
        if plan.bound:
            versions.check(self, plan)
        large = None
        if type(payload) is not bytes:
            large, payload = self.larges.copy(payload), b""
        if not self._has_room():
            self._wait_for_bytes()
        tag = NO_TAG
        if key or job_id is not None or large is not None:
            label = pack_label(job_id) if job_id is not None else b""
            tag = Tag(key, label, mark, len(large) if large is not None else 0)
        now = _now()
        job = KeyedJob(plan, job_id, now, key=key) if key else DurableJob(plan, job_id, now)
        with self.lock:
            if self._refusal is not None:
                self.check()
            if key and self.lives.has(key):
                return None
            batch = self.core.add(job, plan, payload, tag)
            if job_id is None:
                job.call(job.number)
            if large is not None:
                self.larges.keep(job.number, large)
            if isinstance(job, KeyedJob):
                self.lives.add(job, mark)
        self._added(job, batch, now)
        return job

    def _added(self, job: Job, batch: int, now: float) -> None:
        if self.callbacks.watched:
            self.callbacks.tell(Event(ClusterEvent.JOB_CREATED, None, (job,)))
        connection = self.connection
        if not self.core.open or now - connection.flushed_at > FLUSH_S or batch >= SUBMIT_JOBS_MAX:
            connection.flush()
            if self.link.congested:
                self._drain()
        else:
            connection.soon()

    def _has_room(self) -> bool:
        return max(self.core.heavy_bytes, self.core.keeping.waiting_bytes) <= OPEN_BYTES_MAX

    def renamed(self, job: Job, value: Any) -> None:
        """The program calls it so from now on."""
        label = pack_label(value)
        with self.lock:
            if job.number < 0 or self._refusal is not None:
                return
            self.core.rename(job.number, label)
        self.connection.soon()

    def unsendable(self, message: Message, error: Exception) -> None:
        """As in the base; keys of jobs that cannot be sent are free again."""
        with self.lock:
            before = list(self.core.open.values())
        super().unsendable(message, error)
        with self.lock:
            ended = [job for job in before if job.number not in self.core.open]
            self.lives.drop(ended)
        self.larges.drop([job.number for job in ended])

    # --- what is asked of it ---

    def watch(self, job: Job, ended: Callable[[Job], None]) -> None:
        """As in the base."""
        self.lives.want(job)
        super().watch(job, ended)

    def event_of(self, job: Job) -> Any:
        """As in the base."""
        self.lives.want(job)
        return super().event_of(job)

    def all_over(self) -> bool:
        """Whether every job of every life has ended, and every callback has returned."""
        return self.settled() and not self.core.left_behind()[0]

    # --- links ---

    @property
    def unreachable(self) -> bool:  # type: ignore[override]
        """Whether there is no link at the moment."""
        return self.connection.down_since is not None

    def hello(self) -> Hello:
        """How it greets over the next link (for the connection)."""
        return hello_of(self.name, self._title, lasting=self.lasting, incarnation=self.core.hello_incarnation)

    def unsent(self) -> bool:
        """As in the base; without a link nothing is urgent."""
        return self.core.up and super().unsent()

    def linked(self, link: BlockingLink, frames: list[Frame]) -> None:
        """There is another link: what the last one may have lost is made ready (for the connection)."""
        self.link = link
        self.parting = ""
        try:
            self.receive(frames)
        except LightworkError:
            with self.lock:
                self.core.lost()
            raise
        self._fetching.linked(link)

    def relinked(self) -> None:
        """It is in use: what nobody else repeats is said again (for the connection)."""
        self.questions.repeat()
        for repeat in self.on_linked:
            repeat()

    def broken(self, error: BaseException) -> None:
        """The link is lost, or the session is over (for the connection)."""
        if self.connection.closed:
            return
        if self.parting and not self.left:
            error = SchedulerGone(f"{self.way.where} has hung up: {self.parting}")
        if not self._is_final(error):
            with self.lock:
                self.core.lost()
            self.connection.cut()
            return
        if isinstance(error, SessionOver) and self.leaving:
            self.left = True  # the answer to our last word was lost with a link
        if self._detached:
            self._let_go()
        super().broken(error)
        self._fetching.over(str(error) or "the session is over")

    def _is_final(self, error: BaseException) -> bool:
        """Whether another link would be of no use. One side's fault may repeat itself over each: for a while only."""
        if self.left or isinstance(error, SessionOver | ClusterClosed) or not isinstance(error, LightworkError):
            return True
        if not isinstance(error, ProtocolError | SchedulerGone):
            return False
        self._faults = 1 if self.connection.steady else self._faults + 1
        if self._faults == 1:
            say(f"error: {error}")
        return self._faults >= FAULTS_MAX

    def _let_go(self) -> None:
        """Open jobs go on over there; for this program they end."""
        with self._incoming.telling:
            with self.lock:
                ended = self.core.gone(JobState.LOST, JobLost(self._detached))
            self._incoming.tell_ended(ended, "")

    # --- the end ---

    def leave(self, *, cancel: bool) -> None:
        """As in the base; over as many links as it takes, unless all is to be cancelled."""
        self.refuse(ClusterClosed, "The cluster is closed; it takes no more jobs.")
        self._say_last(Close(cancel), CANCELLED_S if cancel else None, "cleanups to end")
        self.connection.wait(lambda: self.callbacks.idle, _now() + STATUS_S)
        self.broken(ClusterClosed())
        self._stop()

    def detach(self, sentence: str) -> int:
        """Leave, while the session goes on; `sentence` is said of open jobs. How many jobs are not on disk."""
        self.refuse(ClusterClosed, sentence)
        self._detached = sentence
        core = self.core
        try:
            limit = STATUS_S if self.unreachable else DETACH_S
            self.waits.until(
                lambda: not (core.groups or core.keeping.kept) or self.connection.closed,
                limit,
                lambda: "jobs to be on disk",
            )
            lost = self._not_on_disk()
            self._say_last(Detach(), STATUS_S, "the scheduler's goodbye")
        except KeyboardInterrupt:  # a second one: its user is in a hurry
            lost = self._not_on_disk()
        self.broken(ClusterClosed())
        self._stop()
        self.callbacks.finish(STATUS_S)
        return lost

    def _not_on_disk(self) -> int:
        with self.lock:
            return self.core.unsent() + self.core.keeping.jobs(self.core.open.__contains__)

    def give_up(self) -> None:
        """The constructor failed: a session that has just begun ends, an older one goes on."""
        new = self.core.ready and self.core.first == 0 and not self.core.past
        if self.lasting and new:
            self.leave(cancel=True)
        else:
            self.sever()

    def _say_last(self, word: Close | Detach, limit: float | None, subject: str) -> None:
        if self.connection.closed:
            return
        self.connection.flush(idle=True)
        self.leaving = True
        with self.lock:
            self.core.leave(word)
        self.connection.flush()
        self.waits.until(lambda: self.left or self.connection.closed, limit, lambda: subject, steadily=True)
