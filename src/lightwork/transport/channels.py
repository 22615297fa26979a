"""Many links within one: a scheduler's side of a relay. To everybody above, each channel is a link like any other.

    scheduler --send, fetch, serve--> ChannelLink a --+            the relay's link                 relay
    scheduler --send, fetch, serve--> ChannelLink b --+--Turns--> ChannelFrames, 64 KB each ----->    --> node a
                                                      ^                                               --> node b
                                                      +--- ChannelCredit: node a has taken so much ---

What a node does not take waits here, in its own link: at most limits.CHANNEL_CREDIT of it is under way or in the relay.
Of that the last part is not for bulk, so that a file for a slow node does not stand in the way of its jobs; signs of
life wait for no credit, unless there are very many (of a node that asks and does not read).
"""

from __future__ import annotations

import asyncio

from lightwork.config.limits import CHANNEL_CREDIT, CHANNEL_PIECE, CHANNEL_RESERVE, CHANNEL_STREAMS, CHANNELS_MAX
from lightwork.config.timers import LINK_CLOSE_S
from lightwork.model.errors import LightworkError, ProtocolError
from lightwork.transport.address import host_of
from lightwork.transport.link import Link, Receiver, broken
from lightwork.wire.connection import Connection
from lightwork.wire.cutting import BULK, CONTROL, URGENT
from lightwork.wire.dialogue import Check
from lightwork.wire.frames import Buffer, encode_frame
from lightwork.wire.messages import (
    ChannelClosed,
    ChannelCredit,
    ChannelFrames,
    ChannelOpened,
    Hello,
    Message,
)
from lightwork.wire.streams import Asker
from lightwork.wire.turns import Packed, Turns


class _Within(Connection):
    """The dialogue of a channel: the relay has said our hello for us."""

    def __init__(self, hello: Hello, check: Check) -> None:
        super().__init__(hello, listening=True, check=check)
        self._asker = Asker(CHANNEL_STREAMS)

    def _put(self, message: Message, body: Buffer = b"") -> None:
        if type(message) is not Hello:
            super()._put(message, body)


class ChannelLink(Link):
    """The link of one node behind a relay."""

    _talk: _Within

    def __init__(self, owner: Channels, opened: ChannelOpened, check: Check) -> None:
        super().__init__(_Within(owner.hello, check))
        outer = owner.outer
        self.number = opened.channel
        self.address = opened.address
        self.local_address = outer.local_address or outer.address
        self.relay = outer.peer.name
        self.lease_ms = opened.lease_ms
        self.turn: tuple[int, int] | None = None
        self._owner = owner
        self._credit = CHANNEL_CREDIT
        self._announced = self._over = False
        self._error: LightworkError | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- what comes ---

    def arrived(self, data: bytes) -> None:
        """The next bytes of it."""
        talk, self.heard = self._talk, True
        if talk.closing or self._over:
            return
        batch = self._route(talk.feed(data))
        if not self._announced and talk.peer is not None:
            self._announced = True
            self._owner.receiver.link_up(self)
        if batch and not talk.closing and not self._over:
            self._owner.receiver.received(self, batch)
        if talk.error is not None:
            self._finish(talk.error)
        self._kick()

    def granted(self, size: int) -> None:
        """The relay has room for more. ProtocolError: so much cannot have come from there."""
        if size < 0 or self._credit + size > CHANNEL_CREDIT:
            raise ProtocolError(f"ChannelCredit: {size} more bytes for channel {self.number} is not possible")
        self._credit += size
        self._kick()

    def ended(self, error: LightworkError | None) -> None:
        """The relay says that there is no more of it, or is gone itself."""
        if self._error is None and not self._talk.left and not self._talk.closing:
            self._error = error
        self._end()

    # --- what goes (wire/turns.py) ---

    def best(self) -> int | None:
        """The lane of what may leave next. What an end has left behind may not: nobody would take it out of line."""
        if self._over:
            return None
        talk = self._talk
        if talk.has_urgent and self._credit > -CHANNEL_PIECE:
            return URGENT
        if talk.has_control:
            return CONTROL if self._credit > 0 else None
        return BULK if talk.has_output and self._credit > CHANNEL_RESERVE else None

    def next(self) -> Packed | None:
        """It, for the relay."""
        talk, lane = self._talk, self.best()
        if lane is None or self._over:
            return None
        data = talk.urgent_to_send() if lane == URGENT else talk.data_to_send(min(CHANNEL_PIECE, self._credit))
        body = data[0] if len(data) == 1 else b"".join(data)
        self._credit -= len(body)
        if self._owes_drained and self._has_drained():
            self._owner.receiver.link_drained(self)
        if talk.closing or talk.error is not None:
            self._hang_up()
        return (ChannelFrames(self.number), body) if len(body) else None

    def _kick(self) -> None:
        if self._over:
            return
        if self._talk.closing or self._talk.error is not None:
            self._hang_up()
        self._owner.ready(self)

    # --- the end ---

    def close(self, reason: str = "") -> None:
        """Say goodbye, send what is queued, close."""
        if not self._over and not self._talk.closing:
            self._talk.close(reason)
            self._finish(None)
            self._kick()

    def abort(self) -> None:
        """Close at once."""
        if not self._over:
            self._talk.lost()
            self._leave()

    def _finish(self, error: LightworkError | None) -> None:
        """Only what waits still goes out, and not for long."""
        if self._timer is None and not self._over:
            self._error = error
            self._timer = asyncio.get_running_loop().call_later(LINK_CLOSE_S, self._leave)

    def _hang_up(self) -> None:
        if not self._talk.has_control:
            asyncio.get_running_loop().call_soon(self._leave)  # behind what is being taken just now

    def _leave(self) -> None:
        if not self._over:
            self._owner.send(ChannelClosed(self.number))
            self._end()

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._owner.forget(self)
        self._talk.lost()
        asyncio.get_running_loop().call_soon(self._tell_end)

    def _tell_end(self) -> None:
        self._fail_sinks(str(self._error or "the connection was closed"))
        if self._announced:
            self._owner.receiver.link_lost(self, self._error)
        elif self._error is not None:
            self._owner.receiver.link_refused(self.address, self._error)


class Channels:
    """All channels of one relay, over one link of it."""

    def __init__(self, outer: Link, receiver: Receiver, hello: Hello, check: Check) -> None:
        self.outer = outer
        self.receiver = receiver
        self.hello = hello
        self._check = check
        self._last = 0
        self._closing = ""
        self._open: dict[int, ChannelLink] = {}
        self._turns = Turns()
        outer.feed_by(self._turns)

    def take(self, message: Message, body: bytes) -> bool:
        """Something came over the link; whether it was about channels. PeerError: the relay talks nonsense."""
        if isinstance(message, ChannelFrames):
            channel = self._open.get(message.channel)
            if channel is not None:  # else it has just been closed by us
                channel.arrived(body)
        elif isinstance(message, ChannelCredit):
            if (channel := self._open.get(message.channel)) is not None:
                channel.granted(message.size)
        elif isinstance(message, ChannelOpened):
            self._opened(message)
        elif isinstance(message, ChannelClosed):
            if (channel := self._open.get(message.channel)) is not None:
                channel.ended(broken(message.reason or "the relay closed it"))
        else:
            return False
        return True

    def _opened(self, opened: ChannelOpened) -> None:
        if opened.channel <= self._last:
            raise ProtocolError(f"ChannelOpened: {opened.channel} was used already")
        self._last = opened.channel
        if len(self._open) >= CHANNELS_MAX:  # the relay has told the node why; others must not suffer for it
            self.send(ChannelClosed(opened.channel))
            return
        channel = self._open[opened.channel] = ChannelLink(self, opened, self._check)
        channel.arrived(b"".join(encode_frame(opened.hello)))

    def ready(self, channel: ChannelLink) -> None:
        """It may have something for its node."""
        self._turns.ready(channel)
        if self._turns.waiting:
            self.outer.more()

    def send(self, message: Message) -> None:
        """To the relay itself."""
        self.outer.send(message)

    def forget(self, channel: ChannelLink) -> None:
        """It has ended."""
        self._open.pop(channel.number, None)
        if self._closing and not self._open:
            self.outer.close(self._closing)

    def close(self, reason: str) -> None:
        """The relay's link is to end when its channels have: each of them is being closed by its owner."""
        self._closing = reason
        if not self._open:
            self.outer.close(reason)

    def lost(self, error: LightworkError | None) -> None:
        """The relay's link is gone, and with it all of them: none has left."""
        why = error.args[0] if error is not None and error.args else "it has left"
        where = host_of(self.outer.address) or self.outer.address
        for channel in list(self._open.values()):
            channel.ended(broken(f"relay {channel.relay} at {where}: {why}"))
