"""No silent wait: whatever lasts longer than a moment says on stderr what for, and why, and then ever more rarely."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lightwork.client.core import FINISHED
from lightwork.config.timers import SAY_WAITING_S
from lightwork.kit.text import count, listed, span
from lightwork.model.errors import WouldDeadlock
from lightwork.wire.messages import AskStatus, Attempted, Status

if TYPE_CHECKING:
    from lightwork.client.job import Job
    from lightwork.client.session import Session

RARELY_S = 600.0
REASONS_MAX = 5
STATUS_S = 1.0  # a scheduler answers within this, or is said to be silent
_TICK_S = 0.1
_AFTERWARDS_S = 0.002

_now = time.monotonic


def say(text: str) -> None:
    """A line to the person at the terminal, or to the log that stands for them."""
    _write(f"lightwork: {text}")


def _print(line: str) -> None:
    stream = sys.stderr
    if stream is not None:  # a program without a console
        print(line, file=stream, flush=True)


_write: Callable[[str], None] = _print


def speak_through(write: Callable[[str], None]) -> None:
    """Whoever draws in the terminal's last line writes our lines, too, above what is drawn."""
    global _write
    _write = write


class Patience:
    """When to speak next. Shared by all waits of a session, so that a loop over many jobs does not chatter."""

    def __init__(self, first_s: float = SAY_WAITING_S) -> None:
        self.first_s = first_s
        self.quiet_until = 0.0
        self._pause = 0.0
        self._reasons: Sequence[str] = ()

    def due(self, began: float, *, steadily: bool) -> float:
        """When a wait that began then has to say something (monotonic)."""
        first = began + self.first_s
        return first if steadily else max(first, self.quiet_until)

    def spoke(self, reasons: Sequence[str]) -> None:
        """Something was said: the same again later, after a longer pause; news after the first one."""
        again = self._pause > 0 and list(reasons) == list(self._reasons)
        self._pause = min(2 * self._pause, RARELY_S) if again else self.first_s
        self._reasons = reasons
        self.quiet_until = _now() + self._pause


def sentence(began: float, subject: str, status: Status | None) -> str:
    """What is waited for, how the jobs stand, and what the scheduler says about those that wait."""
    head = f"waiting for {subject} since {span(_now() - began)}"
    if status is None:
        return f"{head}; the scheduler does not answer"
    states = [f"{status.running:,} running", f"{status.queued:,} queued"]
    nodes = [f"{node.name} ({node.busy} of {node.slots} slots busy)" for node in status.nodes]
    where = f" on {count(len(nodes), 'node')}: {listed(nodes)}" if nodes else "; there is no node"
    reasons = status.waiting[:REASONS_MAX]
    if not status.running:
        found = [tried(one) for one in status.attempted if one.text or not nodes]
        reasons = reasons + [text for text in found if text not in reasons][:REASONS_MAX]
    return "\n  ".join([f"{head}: {' and '.join(states)}{where}", *reasons])


def tried(one: Attempted) -> str:
    """What became of looking for nodes at one address."""
    text, address = one.text or one.state, one.address.removeprefix("tcp:")
    where = "" if address in text else f"{address}: "
    return f"{where}{text}{f' ({one.hint})' if one.hint else ''}"


class Waits:
    """All waiting of a session."""

    def __init__(self, session: Session) -> None:
        self.patience = Patience()
        self._session = session
        self._asked = 0

    def until(
        self,
        done: Callable[[], bool],
        timeout: float | None,
        subject: Callable[[], str],
        *,
        steadily: bool = False,
        tick: Callable[[], None] | None = None,
    ) -> bool:
        """Until `done()`: True, or `timeout` seconds: False. Says what it waits for, now and then or `steadily`."""
        connection = self._session.connection
        began = _now()
        deadline = None if timeout is None else began + timeout
        due = self.patience.due(began, steadily=steadily)
        while True:
            until = due if deadline is None else min(due, deadline)
            if tick is not None:
                tick()
                until = min(until, _now() + _TICK_S)
            if connection.wait(done, until):
                return True
            now = _now()
            if deadline is not None and now >= deadline:
                return done()
            if connection.closed:
                time.sleep(_AFTERWARDS_S)  # all jobs have ended; what is still to come are callbacks
            if now >= due:
                self._speak(began, subject())
                due = self.patience.due(now, steadily=steadily)

    def _speak(self, began: float, subject: str) -> None:
        if self._session.unreachable:  # that is said by who dials
            return
        status = self.ask_status()
        say(sentence(began, subject, status))
        self.patience.spoke(status.waiting if status is not None else ())

    def for_job(self, job: Job, timeout: float | None) -> bool:
        """Until the job has ended, or `timeout` seconds."""
        self.check_thread(f"job {job.id} has not ended, and its result")
        return self.until(lambda: job.state >= FINISHED, timeout, lambda: f"job {job.id}")

    def check_thread(self, what: str) -> None:
        """A callback must not wait."""
        self._session.check_fork()
        if self._session.callbacks.inside():
            raise WouldDeadlock(
                f"{what} cannot be waited for in a callback: callbacks run one after another",
                hint="give the follow-up to another callback, or wait in the main program",
            )

    def ask_status(self) -> Status | None:
        """How the scheduler sees it; None if it does not answer in time."""
        session = self._session
        if session.unreachable:
            return None
        with session.lock:
            self._asked += 1
            number = self._asked

        def answered() -> bool:
            return session.connection.closed or (session.status is not None and session.status.number >= number)

        session.connection.send(AskStatus(number))
        session.connection.wait(answered, _now() + STATUS_S)
        status = session.status
        return status if status is not None and status.number >= number else None
