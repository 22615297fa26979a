"""A link inside one process: messages change hands as objects, once in each turn of the loop.

Everything else is as over a socket: hello, refusal, streams with credit, goodbye. So a scheduler cannot tell an agent
in its own process from one elsewhere, and tests can take the sockets out.
"""

from __future__ import annotations

import asyncio

from lightwork.model.errors import LightworkError
from lightwork.transport.link import Batch, Link, Receiver, broken
from lightwork.wire.dialogue import Check, Dialogue, accept
from lightwork.wire.messages import Hello

_CHUNKS_A_TURN = 8


class MemoryLink(Link):
    """One end of a pair."""

    def __init__(self, dialogue: Dialogue, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(dialogue)
        self.address = "memory"
        self._receiver = receiver
        self._loop = loop
        self._twin: MemoryLink | None = None  # None: gone
        self._flushing = False
        self._announced = False  # link_up was called

    def _kick(self) -> None:
        if not self._flushing and self._twin is not None and self._talk.has_output:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Hand over what this turn produced."""
        self._flushing = False
        twin = self._twin
        if twin is None:
            return
        frames = self._talk.frames_to_send(_CHUNKS_A_TURN)
        if frames:
            try:
                twin._arrive(frames)
            except Exception:  # as over a socket: a receiver that fails loses its link, and the loop tells of it
                self._part(broken("the receiver failed"))
                raise
        if self._owes_drained and self._has_drained():
            self._receiver.link_drained(self)
        self._part_or_go_on()

    def _arrive(self, frames: Batch) -> None:
        talk = self._talk
        if talk.closing:
            return
        batch = self._route(talk.take(frames))
        if talk.peer is not None and not self._announced:
            self._announced = True
            self._receiver.link_up(self)
        if batch and not talk.closing:
            self._receiver.received(self, batch)
        self._part_or_go_on()

    def _part_or_go_on(self) -> None:
        talk = self._talk
        if talk.has_output:
            self._kick()
        elif talk.closing or talk.error is not None:
            self._part()

    def close(self, reason: str = "") -> None:
        """Say goodbye, then part."""
        if self._twin is not None:
            self._talk.close(reason)
            self._flushing = True
            self._loop.call_soon(self._flush)

    def abort(self) -> None:
        """Part without a word."""
        self._talk.lost()
        self._part()

    def _part(self, error: LightworkError | None = None) -> None:
        """Both ends learn of the end, each in a later turn."""
        twin, self._twin = self._twin, None
        if twin is not None:
            twin._twin = None
            for end in (self, twin):
                talk = end._talk
                cause = error or talk.error
                if cause is None and not talk.closing and not talk.left:
                    cause = broken("the other side closed it")
                self._loop.call_soon(end._lost, cause)

    def _lost(self, error: LightworkError | None) -> None:
        self._talk.lost()
        self._fail_sinks(str(error) if error else "the connection was closed")
        if self._announced:
            self._receiver.link_lost(self, error)
        elif error is not None:
            self._receiver.link_refused(self.address, error)


def memory_pair(
    dialler: tuple[Receiver, Hello], listener: tuple[Receiver, Hello], check: Check = accept
) -> tuple[MemoryLink, MemoryLink]:
    """Two ends of a link on the running loop; they come up in its next turns. `check` is the listener's."""
    loop = asyncio.get_running_loop()
    first = MemoryLink(Dialogue(dialler[1], listening=False), dialler[0], loop)
    second = MemoryLink(Dialogue(listener[1], listening=True, check=check), listener[0], loop)
    first._twin, second._twin = second, first
    first._kick()
    return first, second
