"""The links of a relay with its nodes: what they carry is passed on unread (wire/passing.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from lightwork.transport.link import Receiver
from lightwork.transport.stream import StreamLink
from lightwork.wire.connection import Connection
from lightwork.wire.cutting import Cut
from lightwork.wire.messages import Hello
from lightwork.wire.passing import PassingConnection

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption


class PassingReceiver(Receiver):
    """What a relay does with them. Batches are of (Fetch, b"") and (Passed, bytes)."""

    def greeting(self) -> Hello:
        """What a node that dials us is told: the hello of the scheduler, as it is now."""
        raise NotImplementedError


class PassingLink(StreamLink):
    """One of them. `close` says no goodbye: that is the scheduler's, and is passed on. What waits still leaves."""

    talks: ClassVar[type[Connection]] = PassingConnection
    _talk: PassingConnection

    def __init__(
        self, connection: Connection, receiver: Receiver, address: str, encryption: Encryption | None = None
    ) -> None:
        super().__init__(connection, receiver, address, encryption)
        if isinstance(receiver, PassingReceiver):
            self._talk.greeting = receiver.greeting
        self._held = False

    @property
    def waiting_bytes(self) -> int:
        """What is passed on and has not left for the node."""
        return self._talk.lanes.size

    def on_left(self, told: Callable[[int], None]) -> None:
        """`told` hears how many bytes of what is passed on leave."""
        self._talk.on_left = told

    def pass_on(self, cuts: list[Cut]) -> None:
        """To the node."""
        for cut in cuts:
            self._talk.lanes.put(cut)
        self._kick()

    def disown(self, stream: int) -> None:
        """This Fetch was given to us, and is to be passed on after all."""
        self._talk.disown(stream)

    def hold(self, held: bool) -> None:
        """Read no more for now, or go on: the last resort against a node that says more than can be passed on."""
        if self._transport is None or held == self._held:
            return
        self._held = held
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
