"""A connection whose link may break and be replaced, while the program goes on.

    whoever reads ── LightworkError ──> owner.broken ──> `cut`: nobody reads or writes any more
                                                            │
    background thread ── dials, with pauses of RELINK_S to RELINK_MAX_S ── owner.linked(link, frames) ──> as before

Only the background thread dials: a waiting thread stands by, so that its own time limit and Ctrl-C hold. While
somebody waits, it says every few seconds what for.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from lightwork.client.connection import Connection, Owner, Waiter
from lightwork.client.reaching import Way, first_words, waiting_for
from lightwork.client.waiting import say
from lightwork.config.timers import RELINK_MAX_S, RELINK_S, SAY_WAITING_S
from lightwork.kit.text import span
from lightwork.model.errors import LightworkError, SessionOver
from lightwork.transport.blocking import BlockingLink
from lightwork.wire.frames import Frame
from lightwork.wire.messages import Hello, Message

_STEADY_S = 2.0  # a link that lived so long was a good one

_now = time.monotonic


class LastingOwner(Owner, Protocol):
    """Whose connection it is: a durable session."""

    def hello(self) -> Hello:
        """How it greets over the next link."""

    def linked(self, link: BlockingLink, frames: list[Frame]) -> None:
        """There is another link, and these are the first words over it."""

    def relinked(self) -> None:
        """It is in use."""


class LastingConnection(Connection):
    """See the picture. `way` leads to the scheduler."""

    def __init__(self, link: BlockingLink, owner: LastingOwner, way: Way) -> None:
        super().__init__(link, owner)
        self.down_since: float | None = None  # monotonic
        self._lasting = owner
        self._way = way
        self._up_since = _now()
        self._pause = RELINK_S
        self._try_at = 0.0
        self._told_at = 0.0
        self._told = False
        self._over = threading.Event()

    @property
    def steady(self) -> bool:
        """Whether the link has lived for a while."""
        return _now() - self._up_since > _STEADY_S

    def cut(self) -> None:
        """The link is lost (for the owner)."""
        now = _now()
        if self.steady:
            self._pause = RELINK_S
        self._told_at, self._told = now, False
        self._try_at = now + self._pause
        self.down_since = now
        self.link.abort()
        self.nudge()
        self._open_gates()

    # --- meanwhile ---

    def flush(self, *, idle: bool = False) -> None:
        """As in the base; nothing is sent without a link."""
        if self.down_since is None:
            super().flush(idle=idle)

    def send(self, message: Message, body: bytes = b"") -> None:
        """As in the base. Without a link it is dropped: who needs it says it again once the owner is `linked`."""
        if self.down_since is None:
            super().send(message, body)

    def _take_turn(self, waiter: Waiter) -> bool:
        if self.down_since is None:
            return super()._take_turn(waiter)
        with self._turn:
            if self._reader is waiter:
                self._reader = None
            self._wait_at_gate(waiter)
        return False

    # --- the background thread ---

    def _idle(self) -> None:
        if self.down_since is None:
            super()._idle()
            return
        self._over.wait(max(0.0, self._try_at - _now()))
        if self.closed:
            return
        try:
            link = self._way.dial(self._lasting.hello())
            self._relink(link, first_words(link))
        except SessionOver as error:
            self._owner.broken(error)
        except LightworkError as error:
            self.link.abort()
            self._pause = min(2 * self._pause, RELINK_MAX_S)
            self._try_at = _now() + self._pause
            self._speak(error)
        except Exception as error:  # a fault of ours: nobody may wait for ever
            self._owner.broken(error)
            raise

    def _speak(self, error: LightworkError) -> None:
        now = _now()
        if self._waiting and self.down_since is not None and now - self._told_at >= SAY_WAITING_S:
            self._told_at, self._told = now, True
            say(waiting_for(self._way, error, now - self.down_since))

    def _relink(self, link: BlockingLink, frames: list[Frame]) -> None:
        since = self.down_since or _now()
        with self._writing:
            if self.closed:
                link.abort()
                return
            self.link = link
            link.on_backlog = self.nudge
        self._lasting.linked(link, frames)
        self._up_since = _now()
        self._pause = min(2 * self._pause, RELINK_MAX_S)
        self.down_since = None
        if self._told:
            say(f"{self._way.where} is back after {span(self._up_since - since)}")
        self.flush(idle=True)
        self._lasting.relinked()
        self.stir()

    def close(self) -> None:
        """As in the base."""
        self.closed = True
        self._over.set()
        super().close()
