"""The core says when it wants to be fed next: nothing that is due waits for the look at the clock each second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> object:
        """It does not come."""


Later: TypeAlias = Callable[[float, Callable[[], None]], Timer | None]  # so many seconds from now, call that


def on_loop(delay_s: float, call: Callable[[], None]) -> Timer | None:
    """By the loop that runs; where none does, somebody else looks after the time."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop.call_later(delay_s, call)


class Alarm:
    """Calls `ring` at the time that it was set to last, never early."""

    def __init__(self, clock: Callable[[], int], ring: Callable[[], None], later: Later = on_loop) -> None:
        self._clock = clock
        self._ring = ring
        self._later = later
        self._timer: Timer | None = None

    def set(self, at_ns: int) -> None:
        """By our clock."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._later(max(0, at_ns - self._clock()) / 1e9, lambda: self._due(at_ns))

    def _due(self, at_ns: int) -> None:
        self._timer = None
        if self._clock() < at_ns:  # loops count in milliseconds, and may have a clock of their own
            self.set(at_ns)
        else:
            self._ring()
