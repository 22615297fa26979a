"""Questions to the scheduler that are answered by Answer, each by its number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from lightwork.model.errors import ClusterError, SchedulerGone
from lightwork.wire.messages import Answer, Message

if TYPE_CHECKING:
    from lightwork.client.session import Session

Made = Callable[[int], Message]


class Questions:
    """Of one session. Any thread may ask; callbacks too, since no answer waits for them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._number = 0
        self._open: dict[int, Answer | Callable[[Answer], None] | None] = {}
        self._asked: dict[int, Message] = {}  # those without an answer

    def ask(self, made: Made, subject: str) -> Answer:
        """Send what `made` makes of a number, wait, and say every few seconds that we wait for `subject`.

        Raises ClusterError with what the scheduler says, if it could not be done.
        """
        session = self._session
        session.check()
        number = self._send(made, None)

        def answered() -> bool:
            return self._open.get(number) is not None or session.connection.closed

        try:
            session.waits.until(answered, None, lambda: subject, steadily=True)
        finally:
            with self._lock:
                answer = self._open.pop(number)
        if not isinstance(answer, Answer):
            session.check()
            raise SchedulerGone(f"The connection was lost while waiting for {subject}.")
        if answer.error:
            raise ClusterError(answer.error, hint=answer.hint)
        return answer

    def post(self, made: Made, then: Callable[[Answer], None]) -> None:
        """Send, and go on; `then` is called with the answer in the thread that reads."""
        self._send(made, then)

    def _send(self, made: Made, then: Callable[[Answer], None] | None) -> int:
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

    def answered(self, answer: Answer) -> None:
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
