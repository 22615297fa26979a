"""What a durable scheduler says besides: the first words, what is on disk, what is not taken, jobs of earlier lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightwork.client import waiting
from lightwork.client.incoming import Incoming
from lightwork.wire.messages import Accepted, Earlier, Fetch, Goodbye, Opened, RefusedJobs

if TYPE_CHECKING:
    from lightwork.client.durable_session import DurableSession


class DurableIncoming(Incoming):
    """A method for each message."""

    def __init__(self, session: DurableSession) -> None:
        super().__init__(session)
        self._durable = session
        self._handlers.update(
            {
                Opened: self._on_opened,
                Earlier: self._on_earlier,
                Accepted: self._on_accepted,
                RefusedJobs: self._on_refused_jobs,
            }
        )

    def _on_opened(self, message: Opened, body: bytes) -> None:
        with self._durable.lock:
            self._durable.core.opened(message)
        self._durable.lives.look()

    def _on_earlier(self, message: Earlier, body: bytes) -> None:
        with self._durable.lock:
            self._durable.core.earlier(message, body)
        self._durable.lives.look()

    def _on_accepted(self, message: Accepted, body: bytes) -> None:
        with self._durable.lock:
            done = self._durable.core.accepted(message)
        if done:
            self._durable.larges.drop(done)

    def _on_refused_jobs(self, message: RefusedJobs, body: bytes) -> None:
        session = self._durable
        with session.lock:
            ended = session.core.refused_jobs(message)
            session.lives.drop(ended)
        session.larges.drop(message.jobs)
        self.tell_ended(ended, "")
        if ended:
            hint = f"\nhint: {message.hint}" if message.hint else ""
            waiting.say(f"error: jobs were not taken: {message.error}{hint}")

    def _on_fetch(self, message: Fetch, body: bytes) -> None:
        if message.kind == "argument":
            self._session.link.serve(message.stream, self._durable.larges.source(message.name, message.offset))
        else:
            super()._on_fetch(message, body)

    def _on_goodbye(self, message: Goodbye, body: bytes) -> None:
        """An answer to ours; else the scheduler does not like what we say, or is being stopped, and may be back."""
        self._durable.left = self._durable.leaving
        self._durable.parting = message.reason
