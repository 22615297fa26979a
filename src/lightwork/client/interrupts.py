"""Ctrl-C at safe points only.

A KeyboardInterrupt strikes between any two bytecodes of the main thread: in the middle of a frame that is being read or
written, it would lose bytes or jobs, and what the program then waits for never comes. While the main thread is inside
of `HeldBack`, the signal is only noted, and the thread is woken if it sleeps; the program's own handler runs at the
next `point`, or at the end, as if the signal had come just then. Other threads never see it anyway.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_main = threading.main_thread().ident


class HeldBack:
    """A context manager; nested ones do nothing. `wake` must make the thread return from where it sleeps."""

    __slots__ = ("_caught", "_handler", "_wake")

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake
        self._caught = False
        self._handler: Callable[[int, FrameType | None], Any] | None = None

    def __enter__(self) -> Self:
        if threading.get_ident() == _main:
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler) and not isinstance(getattr(handler, "__self__", None), HeldBack):
                self._install(handler)
        return self

    def _install(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        try:
            signal.signal(signal.SIGINT, self._note)
        except ValueError:  # an interpreter that is not the main one: no signals reach it
            return
        self._handler = handler

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._caught = True
        self._wake()

    def point(self) -> None:
        """A moment at which everything is in order: the handler of the program may run, and raise."""
        if self._caught:
            self._caught = False
            handler = self._handler
            if handler is not None:
                signal.signal(signal.SIGINT, handler)
                handler(signal.SIGINT, sys._getframe(1))
                signal.signal(signal.SIGINT, self._note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
            if self._caught:
                handler(signal.SIGINT, sys._getframe(1))
