"""Questions to the scheduler that are answered by Answer, Hosts or Why, each by its number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from lightwork.kit.text import span
from lightwork.model.errors import ClusterError, NotReady, SchedulerGone
from lightwork.wire.messages import Answer, Hosts, Message, Why

if TYPE_CHECKING:
    from lightwork.client.session import Session

Made = Callable[[int], Message]
Reply = Answer | Hosts | Why
R = TypeVar("R", Answer, Hosts, Why)


class Questions:
    """Of one session. Any thread may ask; callbacks too, since no answer waits for them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._number = 0
        self._open: dict[int, Reply | Callable[[Reply], None] | None] = {}
        self._asked: dict[int, Message] = {}  # those without an answer

    def ask(self, made: Made, subject: str, *, timeout: float | None = None) -> Answer:
        """Send what `made` makes of a number, wait, and say every few seconds that we wait for `subject`.

        Raises ClusterError with what the scheduler says, if it could not be done; NotReady after `timeout` seconds.
        """
        return self.ask_for(Answer, made, subject, timeout=timeout)

    def ask_for(self, kind: type[R], made: Made, subject: str, *, timeout: float | None = None) -> R:
        """The same for a question that has an answer of this kind."""
        session = self._session
        session.check()
        number = self._send(made, None)

        def answered() -> bool:
            return self._open.get(number) is not None or session.connection.closed

        in_time = False
        try:
            in_time = session.waits.until(answered, timeout, lambda: subject, steadily=True)
        finally:
            with self._lock:
                answer = self._open.pop(number)
                self._asked.pop(number, None)
        if not in_time:
            raise NotReady(f"waited {span(timeout or 0.0)} for {subject}, and no longer")
        if not isinstance(answer, kind):
            session.check()
            raise SchedulerGone(f"The connection was lost while waiting for {subject}.")
        error, hint = getattr(answer, "error", ""), getattr(answer, "hint", "")
        if error:
            raise ClusterError(error, hint=hint)
        return answer

    def post(self, made: Made, then: Callable[[Reply], None]) -> None:
        """Send, and go on; `then` is called with the answer in the thread that reads."""
        self._send(made, then)

    def _send(self, made: Made, then: Callable[[Reply], None] | None) -> int:
        with self._lock:
            self._number += 1
            number = self._number
            self._open[number] = then
            message = self._asked[number] = made(number)
        self._session.connection.send(message)
        return number

    def repeat(self) -> None:
        """There is another link: what was asked over the last one may not have arrived."""
        with self._lock:
            messages = list(self._asked.values())
        for message in messages:
            self._session.connection.send(message)

    def answered(self, answer: Reply) -> None:
        """It has come (for the one who reads). Nobody may wait for it any longer."""
        with self._lock:
            self._asked.pop(answer.number, None)
            then = self._open.get(answer.number)
            if answer.number not in self._open:
                return
            if callable(then):
                del self._open[answer.number]
            else:
                self._open[answer.number] = answer
        if callable(then):
            then(answer)
