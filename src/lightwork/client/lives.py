"""What a program knows of its earlier lives: which job has a key, and jobs whose results it has not asked for.

    Earlier ──> core.past ──┬─ known(key)   ──> the Job that has it          its result is asked for at once
                            └─ recovered()  ──> a Job for each that is left  its result comes when somebody wants it

One number, one Job: as long as the program holds it, it is found again.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lightwork.client.core import FINISHED
from lightwork.client.durable_jobs import KeyedJob, PastUnder, RecoveredJob
from lightwork.client.job import Job
from lightwork.client.keys import Keys, Known
from lightwork.client.past import Past
from lightwork.client.plan import Plan
from lightwork.model.errors import ClusterError
from lightwork.payload.calls import Call, unpack_call
from lightwork.payload.labels import unpack_label
from lightwork.wire.messages import FUNCTION

if TYPE_CHECKING:
    from lightwork.client.durable_session import DurableSession


class Lives:
    """Of one session."""

    def __init__(self, session: DurableSession) -> None:
        self.complete = False  # all has been told
        self._session = session
        self._keys = Keys()
        self._jobs: weakref.WeakValueDictionary[int, KeyedJob] = weakref.WeakValueDictionary()
        self._recovered: list[RecoveredJob] | None = None

    def look(self) -> None:
        """Some of what the scheduler says first has come (for the one who reads)."""
        session = self._session
        with session.lock:
            if session.core.ready and not self.complete:
                self._keys.learn(session.core.past.values())
                self.complete = True

    # --- keys; with the session's lock held ---

    def has(self, key: str) -> bool:
        """Whether a job has it."""
        return key in self._keys

    def add(self, job: KeyedJob, mark: bytes) -> None:
        """A new job that has a key."""
        self._keys.add(job.key, Known(job.number, mark, job.under.computation.name))
        self._jobs[job.number] = job

    def drop(self, jobs: Iterable[Job]) -> None:
        """These were not taken: their keys are free again."""
        self._keys.drop(job.key for job in jobs if isinstance(job, KeyedJob))

    # --- jobs ---

    def known(self, key: str, mark: bytes, plan: Plan, call: Call) -> KeyedJob | None:
        """The job that has this key. UserError: with other arguments, or of another function."""
        session = self._session
        with session.lock:
            number = self._keys.find(key, mark, plan.computation.name, call, session.name)
            if number is None:
                return None
            job = self._jobs.get(number)
            if job is None:
                past = session.core.past.get(number)
                if past is None:  # it has ended in this life, and nobody has held it since
                    where = plan.computation
                    known = (number, where.digest, where.name, where.kind, FINISHED, key, b"", mark, True, b"")
                    past = Past(*known)
                job = self._make(past, plan)
        if isinstance(job, RecoveredJob):
            self.want(job)
        return job

    def recovered(self) -> list[RecoveredJob]:
        """All jobs of earlier lives."""
        with self._session.lock:
            if self._recovered is None:
                past = [one for one in self._session.core.past.values() if one.number not in self._jobs]
                made = [self._make(one, PastUnder(self._session, one)) for one in past]
                found = {job.number: job for job in self._jobs.values() if isinstance(job, RecoveredJob)}
                found.update((job.number, job) for job in made)  # nobody else holds those that have ended
                self._recovered = [found[number] for number in sorted(found)]
            return list(self._recovered)

    def _make(self, past: Past, under: Any) -> RecoveredJob:
        """Its Job in this life. One that has not ended is open from now on."""
        name = unpack_label(past.label, past.number)
        job = RecoveredJob(under, name, time.monotonic(), past.number, key=past.key, past=past)
        self._jobs[past.number] = job
        if past.state < FINISHED:
            self._session.core.recall(job)
        return job

    def want(self, job: Job) -> None:
        """Somebody asks for its result. ClusterClosed, SchedulerGone: it will not come any more."""
        session = self._session
        if not isinstance(job, RecoveredJob) or job.state >= FINISHED:
            return
        with session.lock:
            if job.state >= FINISHED or job.number in session.core.open or job.number in session.core.held:
                return
            if not session.refused:
                session.core.recall(job)
        session.check()
        session.connection.soon()

    def arguments_of(self, past: Past) -> Call:
        """What a job of an earlier life was submitted with; large ones are fetched."""
        if past.arguments or past.kind != FUNCTION:
            return unpack_call(past.kind, past.arguments)
        session = self._session
        session.check()
        sink = _Memory()
        session.fetcher.fetch("argument", str(past.number), sink)
        session.waits.until(lambda: sink.over, None, lambda: f"the arguments of job {past.number}")
        if sink.reason:
            raise ClusterError(f"The arguments of job {past.number} could not be brought here: {sink.reason}")
        return unpack_call(past.kind, memoryview(sink.data))


class _Memory:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.over = False
        self.reason = ""

    def write(self, piece: bytes) -> int:
        """A piece came."""
        self.data += piece
        return len(piece)

    def finish(self) -> None:
        """All is here."""
        self.over = True

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        self.reason = reason
        self.over = True
