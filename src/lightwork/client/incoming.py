"""What the scheduler says, handled in the thread that reads, whichever that is: so nothing here waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lightwork.client import waiting
from lightwork.client.arriving import Arrivals
from lightwork.client.callbacks import Event
from lightwork.client.files import source_of
from lightwork.client.job import Job
from lightwork.client.payloads import Lazy
from lightwork.model.errors import SchedulerGone
from lightwork.model.states import ClusterEvent
from lightwork.wire.frames import Frame
from lightwork.wire.messages import (
    Answer,
    ComputationState,
    Fetch,
    Goodbye,
    Hosts,
    Message,
    NodeNews,
    Notice,
    OfferNode,
    Provisional,
    Requeued,
    Results,
    Running,
    SentFile,
    Status,
    Why,
)

if TYPE_CHECKING:
    from lightwork.client.asking import Reply
    from lightwork.client.session import Session

_BREATH_S = 0.00005


class Telling:
    """How many threads are between the end of jobs and the telling of it: until then callbacks may not be in line."""

    __slots__ = ("_lock", "inside")

    def __init__(self) -> None:
        self.inside = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self.inside -= 1


class Incoming:
    """A method for each message."""

    def __init__(self, session: Session) -> None:
        self.telling = Telling()
        self._session = session
        self._arrivals = Arrivals(session, self.telling, self.tell_ended)
        self._handlers: dict[type[Message], Callable[[Any, bytes], None]] = {
            Results: self._on_results,
            Running: self._on_running,
            Requeued: self._on_requeued,
            Provisional: self._on_provisional,
            SentFile: self._arrivals.on_sent_file,
            Fetch: self._on_fetch,
            Notice: self._on_notice,
            NodeNews: self._on_node_news,
            Status: self._on_status,
            Answer: self._on_answer,
            Hosts: self._on_answer,
            Why: self._on_answer,
            OfferNode: self._on_offer_node,
            ComputationState: self._on_computation_state,
            Goodbye: self._on_goodbye,
        }

    def receive(self, frames: list[Frame]) -> None:
        """All that one read has brought."""
        handlers = self._handlers
        with self.telling:
            for message, body in frames:
                handler = handlers.get(type(message))
                if handler is not None:  # else a newer scheduler says something that we need not understand
                    handler(message, body)
        if self._session.callbacks.wanted and not self._session.callbacks.idle:
            time.sleep(_BREATH_S)  # a thread that reads without a pause would starve the callbacks' thread

    def _on_results(self, message: Results, body: bytes) -> None:
        if message.files:
            self._arrivals.expect(message)
        with self._session.lock:
            ended = self._session.core.results(message, body)
        if message.files:
            self._arrivals.fetch_outputs(message)
        self.tell_ended(ended, message.node)

    def tell_ended(self, jobs: list[Job], node: str) -> None:
        """These have ended: tell who watches them, and the callbacks."""
        for job in jobs:
            news = job.news
            if news is not None and not news.plain:
                self._session.payloads.guard(job)
            if job.extra is not None:
                self._tell_watchers(job)
        if jobs and self._session.callbacks.wanted:
            self._session.callbacks.tell(Event(ClusterEvent.JOB_ENDED, self._session.nodes.get(node), jobs))

    def _tell_watchers(self, job: Job) -> None:
        extra = job.more()
        with self._session.lock:
            watchers, extra.watchers = extra.watchers, []
            place, extra.place = extra.place, None
            for token in extra.tokens:
                if token > 0:  # else the scheduler has the file, and needs no thanks
                    self._session.core.fetched(token)
            extra.tokens = set()
        if place is not None:
            self._session.payloads.release(place)
        if extra.event is not None:
            extra.event.set()
        for watcher in watchers:
            watcher(job)

    def _on_running(self, message: Running, body: bytes) -> None:
        with self._session.lock:
            started = self._session.core.running(message)
        if started and self._session.callbacks.watched:
            self._session.callbacks.tell(
                Event(ClusterEvent.JOB_RUNNING, self._session.nodes.get(message.node), started)
            )

    def _on_requeued(self, message: Requeued, body: bytes) -> None:
        with self._session.lock:
            self._session.core.requeued(message.jobs)

    def _on_provisional(self, message: Provisional, body: bytes) -> None:
        value = Lazy(self._session.payloads, body, message.in_arena)
        with self._session.lock:
            job = self._session.core.open.get(message.job)
            if job is not None:
                job.more().provisional = value
        if job is not None:
            node = self._session.nodes.get(job.node or "")
            self._session.callbacks.tell(Event(ClusterEvent.JOB_PROVISIONAL, node, (job,), value))

    def _on_fetch(self, message: Fetch, body: bytes) -> None:
        blob = self._session.blobs.find(message.name) if message.kind == "blob" else None
        self._session.link.serve(message.stream, source_of(blob, f"{message.kind} {message.name}", message.offset))

    def _on_notice(self, message: Notice, body: bytes) -> None:
        hint = f"\nhint: {message.hint}" if message.hint else ""
        level = "" if message.level == "info" else f"{message.level}: "
        waiting.say(f"{level}{message.text}{hint}")

    def _on_node_news(self, message: NodeNews, body: bytes) -> None:
        self._session.nodes.told(message.event, message.node)
        if self._session.callbacks.watched:
            self._session.callbacks.tell(Event(ClusterEvent(message.event), message.node, ()))

    def _on_status(self, message: Status, body: bytes) -> None:
        self._session.nodes.all_told(message.nodes)
        self._session.status = message

    def _on_answer(self, message: Reply, body: bytes) -> None:
        self._session.questions.answered(message)

    def _on_offer_node(self, message: OfferNode, body: bytes) -> None:
        if self._session.offers is not None:
            self._session.offers.offered(message)

    def _on_computation_state(self, message: ComputationState, body: bytes) -> None:
        if message.ready:
            return
        texts = {key: value.decode("utf-8", "backslashreplace") for key, value in message.failure.items()}
        what = texts.get("traceback") or f"{texts.get('type', '')}: {texts.get('message', '')}"
        during = texts.get("during") or "preparing the computation"
        waiting.say(f"{during} failed on {message.node}; it is not used:\n{what.rstrip()}")

    def _on_goodbye(self, message: Goodbye, body: bytes) -> None:
        self._session.left = True
        if not self._session.refused:
            self._session.broken(SchedulerGone(f"The scheduler has left: {message.reason or 'it gave no reason'}."))
