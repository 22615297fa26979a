"""Many channels over one link: whose turn it is. The feeder of that link (wire/dialogue.py).

urgent   a, c      all that is urgent first
control  b, a      then a piece of each channel in turn
bulk     c         then bulk of the channels, and a piece of the link's own streams, in turn
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from lightwork.wire.cutting import BULK, CONTROL, URGENT
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Message

Packed = tuple[Message, Buffer]


class Waiting(Protocol):
    """A channel that may have something."""

    turn: tuple[int, int] | None  # the lane in which it stands in line here, and its ticket; ours to change

    def best(self) -> int | None:
        """The lane of what it has next; None: nothing, or nothing that may leave now."""

    def next(self) -> Packed | None:
        """That, as a message. Take it: it is not kept."""


_Line = deque[tuple[int, Waiting]]


class Turns:
    """All channels of one link."""

    def __init__(self) -> None:
        self._lines: tuple[_Line, _Line, _Line] = (deque(), deque(), deque())
        self._tickets = 0
        self._chunk_next = False

    def ready(self, channel: Waiting) -> None:
        """It has something, or something better than before."""
        lane = channel.best()
        if lane is not None and (channel.turn is None or lane < channel.turn[0]):
            self._tickets += 1
            channel.turn = lane, self._tickets
            self._lines[lane].append((self._tickets, channel))

    @property
    def waiting(self) -> bool:
        """Whether anybody stands in line."""
        return any(self._lines)

    def next(self, chunk: Callable[[], Packed | None]) -> Packed | None:
        """The next piece of what there is."""
        for lane in (URGENT, CONTROL):
            found = self._next_of(lane)
            if found is not None:
                return found
        self._chunk_next = not self._chunk_next
        if self._chunk_next:
            return chunk() or self._next_of(BULK)
        return self._next_of(BULK) or chunk()

    def _next_of(self, lane: int) -> Packed | None:
        line = self._lines[lane]
        while line:
            ticket, channel = line.popleft()
            if channel.turn != (lane, ticket):  # it stands in a better line, or stood
                continue
            channel.turn = None
            found = channel.next()
            self.ready(channel)
            if found is not None:
                return found
        return None
