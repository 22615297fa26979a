"""Who reads the line, and who writes it: the client's threads without an event loop.

    user's threads ── submit ──> owner.outgoing() ── flush ──> link        whoever submits writes, if the line is idle
          │                                                      │
          └───────── wait(done) ── the reader ── link.receive ───┘         whoever waits reads; further ones stand by
                                      ▲
    background thread ────────────────┘  flushes what was left within FLUSH_S; reads when nobody else does

There is one reader at a time. A thread that waits becomes it at once if the place is free, or stands by until the
reader has news or leaves; the background thread leaves after each piece of news if somebody waits. So the answer to a
single job wakes the one thread that wants it. The background thread keeps away for GRACE_S after a waiting thread was
reading: a loop of `submit` and `job()` is never disturbed.

Locks: `_turn` (who reads; never held over I/O) and `_writing` (order of what is sent). The owner has its own lock for
its state, below both. Ctrl-C strikes at safe points only.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from lightwork.client.core import Outgoing
from lightwork.client.interrupts import HeldBack
from lightwork.model.errors import LightworkError
from lightwork.transport.blocking import BlockingLink
from lightwork.wire.frames import Frame
from lightwork.wire.messages import Message

FLUSH_S = 0.0005  # so long may a submitted job wait for company
LOOK_S = 1.0  # a thread that waits looks this often whether something is to be sent
IDLE_LOOK_S = 5.0  # and the background thread this often
REST_S = 0.002  # so long it lets results come together while nobody waits for them
GRACE_S = 0.02  # so long the background thread leaves the line to threads that were just reading

_now = time.monotonic
_BACKGROUND = object()


def _nothing() -> None:
    """Writing never sleeps."""


class Waiter:
    """A thread that waits: for the socket, or for its gate."""

    __slots__ = ("_wakeup", "gate")

    def __init__(self, wakeup: Callable[[], None]) -> None:
        self._wakeup = wakeup
        self.gate: threading.Lock | None = None

    def wake(self) -> None:
        """Called in the middle of anything: no lock is taken."""
        self._wakeup()
        if self.gate is not None:
            _open(self.gate)


def _open(gate: threading.Lock) -> None:
    try:
        gate.release()
    except RuntimeError:  # it was opened already
        pass


class Owner(Protocol):
    """Whose connection it is: the session."""

    def receive(self, frames: list[Frame]) -> None:
        """Messages have come."""

    def unsent(self) -> bool:
        """Whether something urgent waits to be sent."""

    def outgoing(self, *, idle: bool) -> deque[Outgoing]:
        """What is to be sent now, to be taken away as it is sent; `idle`: the line has nothing better to do."""

    def unsendable(self, message: Message, error: Exception) -> None:
        """The first of the messages to be sent cannot be; it is taken away, and what hangs on it is over."""

    def attentive(self) -> bool:
        """Whether somebody is to hear of each piece of news at once."""

    def broken(self, error: BaseException) -> None:
        """The line is lost, or what came over it was nonsense."""


class Connection:
    """A link shared by all threads of the program."""

    def __init__(self, link: BlockingLink, owner: Owner) -> None:
        self.link = link
        self.flushed_at = 0.0
        self._owner = owner
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._reader: object | None = None
        self._waiting: set[Waiter] = set()
        self._gates: list[threading.Lock] = []  # of threads that stand by
        self._left_at = 0.0  # when a waiting thread last had the line
        self._doze: threading.Lock | None = None  # held shut while the background thread sleeps
        self._dozes_on = False  # until somebody wakes it
        self._nudged = False
        self._armed = False  # the background thread is about to flush
        self.closed = False  # the line is lost, or given back
        self._thread = threading.Thread(target=self._background, name="lightwork-line", daemon=True)

    def start(self) -> None:
        """From now on the line is looked after."""
        self.link.on_backlog = self.nudge
        self._thread.start()

    # --- writing ---

    def flush(self, *, idle: bool = False) -> None:
        """Send what waits to be sent."""
        with HeldBack(_nothing), self._writing:
            self._armed = False
            self.flushed_at = _now()
            messages = self._owner.outgoing(idle=idle)
            while messages:
                try:
                    self.link.send(*messages[0])
                except (ValueError, TypeError, OverflowError) as error:  # it has no form in bytes, and never will
                    self._owner.unsendable(messages[0][0], error)
                messages.popleft()

    def send(self, message: Message, body: bytes = b"") -> None:
        """Send one message behind everything that was submitted before."""
        self.flush()
        with HeldBack(_nothing), self._writing:
            self.link.send(message, body)

    def soon(self) -> None:
        """Something was left to be flushed: the background thread does it within FLUSH_S."""
        if not self._armed:
            self._armed = True
            self.nudge()

    def later(self) -> None:
        """Something may be told when the line is idle: the background thread does it after its next rest."""
        if self._reader is _BACKGROUND:
            self.soon()

    def nudge(self) -> None:
        """Let the background thread look around."""
        with self._turn:
            self._nudged = True
            if self._reader is _BACKGROUND:
                self.link.wakeup()
            elif self._doze is not None:
                self._doze.release()
                self._doze = None

    # --- reading ---

    def wait(self, done: Callable[[], bool], until: float | None = None) -> bool:
        """Read until `done()`, or `until` (monotonic) is over; whether it is done. Any thread, any number of them."""
        waiter = Waiter(self._wake_reader)
        with HeldBack(waiter.wake) as hold:
            if self._owner.unsent():
                self.flush()
            self._waiting.add(waiter)
            try:
                while not done():
                    hold.point()
                    left = LOOK_S if until is None else min(until - _now(), LOOK_S)
                    if self.closed or left <= 0:
                        return done()
                    if self._take_turn(waiter):
                        self._read(left)
                        if self._owner.unsent():
                            self.flush()
                    elif not done():
                        self._stand_by(waiter, left)
                return True
            finally:
                self._waiting.discard(waiter)
                self._leave(waiter)

    def _wake_reader(self) -> None:
        self.link.wakeup()

    def _take_turn(self, waiter: Waiter) -> bool:
        """Whether the place of the reader is ours. If not, our gate opens when there is news of it."""
        with self._turn:
            if self._reader is None or self._reader is waiter:
                self._reader = waiter
                return True
            self._wait_at_gate(waiter)
            return False

    def _wait_at_gate(self, waiter: Waiter) -> None:
        waiter.gate = threading.Lock()
        waiter.gate.acquire()
        self._gates.append(waiter.gate)

    def _stand_by(self, waiter: Waiter, left: float) -> None:
        gate = waiter.gate
        if gate is not None and not gate.acquire(timeout=left):
            with self._turn:
                if gate in self._gates:
                    self._gates.remove(gate)

    def _read(self, timeout_s: float | None) -> None:
        """One turn of reading. What is wrong with the line ends it for all."""
        try:
            frames = self.link.receive(timeout_s)
            if frames:
                self._owner.receive(frames)
        except LightworkError as error:
            self._owner.broken(error)
        except Exception as error:  # a fault of ours: nobody may wait for what was in these messages
            self._owner.broken(error)
            raise
        finally:
            if self._gates:
                self._open_gates()

    def _open_gates(self) -> None:
        with self._turn:
            gates, self._gates = self._gates, []
        for gate in gates:
            _open(gate)

    def _leave(self, waiter: Waiter) -> None:
        with self._turn:
            if self._reader is waiter:
                self._reader = None
            self._left_at = _now()
            wake = self._doze if self._dozes_on and not self._waiting else None
            if wake is not None:
                self._doze = None
        if wake is not None:
            wake.release()
        if self._gates:
            self._open_gates()

    def stir(self) -> None:
        """Something else happened that waiting threads may be waiting for: let them look."""
        with self._turn:
            if self._reader is not None and self._reader is not _BACKGROUND:
                self.link.wakeup()
        self._open_gates()

    # --- the background thread ---

    def _background(self) -> None:
        while not self.closed:
            with self._turn:
                self._nudged = self._armed = False
            if self._owner.unsent():
                time.sleep(FLUSH_S)
                self.flush()
            else:
                self._idle()

    def _idle(self) -> None:
        with self._turn:
            if self._nudged:
                return
            quiet = _now() - self._left_at
            away = quiet < GRACE_S and not self.link.wants_write
            if self._reader is not None or self._waiting or away:
                self._doze = doze = threading.Lock()
                doze.acquire()
                self._dozes_on = bool(self._waiting)
                pause = -1 if self._dozes_on else GRACE_S
            else:
                self._reader = _BACKGROUND
                doze = None
        if doze is not None:
            doze.acquire(timeout=pause)
            self._doze, self._dozes_on = None, False
            return
        try:
            self.flush(idle=True)
            self._read(IDLE_LOOK_S)
        finally:
            with self._turn:
                self._reader = None
            if self._gates:
                self._open_gates()
        if not self._waiting and not self._owner.attentive():
            time.sleep(REST_S)  # let more come together: each wake-up beside a busy program costs it dearly

    def close(self) -> None:
        """Let go of the line; waiting threads return."""
        self.closed = True
        self.nudge()
        self.stir()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self.link.close()

    def abandon(self) -> None:
        """In a forked child: the line is the parent's, and the link knows."""
        self.closed = True
