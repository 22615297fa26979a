"""One node behind the relay, and what its link and its channel carry.

    node --PassingLink--> Lanes --Turns--> ChannelFrames --> scheduler      more than CHANNEL_QUEUE_MAX: it is not read
    node <--PassingLink-- FrameCutter <--- ChannelFrames <-- scheduler      what has left is credit: ChannelCredit

While there is no scheduler what the node says is dropped: it keeps what matters, and says it again on its next link.
"""

from __future__ import annotations

from lightwork.config.limits import CHANNEL_CREDIT, CHANNEL_PIECE, CHANNEL_QUEUE_MAX
from lightwork.model.errors import PeerError
from lightwork.transport.link import Link
from lightwork.transport.passing import PassingLink
from lightwork.wire.cutting import CONTROL, URGENT, Cut, FrameCutter, Lanes
from lightwork.wire.frames import Buffer, encode_frame
from lightwork.wire.messages import ChannelClosed, ChannelCredit, ChannelFrames, Fetch
from lightwork.wire.passing import Passed
from lightwork.wire.turns import Packed, Turns

_CREDIT_STEP = CHANNEL_CREDIT // 8


class Uplink:
    """See the picture. Its place in line for the way to the scheduler is `Turns`'."""

    def __init__(self, number: int, link: PassingLink) -> None:
        self.number = number
        self.link = link
        self.quiet = True  # nothing has gone to the node for a beat
        self.turn: tuple[int, int] | None = None
        self._lanes = Lanes()
        self._cutter = FrameCutter(greeted=True)
        self._outer: Link | None = None  # while the channel is open
        self._turns = Turns()
        self._closing = False
        self._unpaid = 0
        link.on_left(self._left)

    @property
    def waiting_bytes(self) -> int:
        """On their way to the scheduler."""
        return self._lanes.size

    # --- the channel ---

    def open(self, outer: Link, turns: Turns) -> None:
        """From now on there is one."""
        self._outer, self._turns = outer, turns

    def close(self) -> None:
        """The node is gone: the scheduler hears it behind all that it said before."""
        self._closing = True
        self._get_in_line()

    def cut_short(self) -> None:
        """The scheduler hears of the end at once."""
        self._lanes.clear()
        self._get_in_line()

    def cut_off(self) -> None:
        """There is no channel any more."""
        self._outer = None
        self._lanes.clear()
        self.link.hold(False)

    # --- from the node ---

    def passes(self, passed: Passed, data: Buffer) -> None:
        """For the scheduler."""
        if self._outer is None:
            return
        self._lanes.put(Cut(passed.lane, data, ends=passed.ends))
        if self._lanes.size > CHANNEL_QUEUE_MAX:
            self.link.hold(True)
        self._get_in_line()

    def passes_fetch(self, fetch: Fetch) -> None:
        """A question that was ours to answer, and is not. A frame of the node may have begun: it goes beside that."""
        self.link.disown(fetch.stream)
        self.passes(Passed(URGENT, True), b"".join(encode_frame(fetch)))

    def _get_in_line(self) -> None:
        self._turns.ready(self)
        if self._outer is not None:
            self._outer.more()

    def best(self) -> int | None:
        """The lane of what goes next."""
        if self._outer is None:
            return None
        lane = self._lanes.best()
        return CONTROL if lane is None and self._closing else lane

    def next(self) -> Packed | None:
        """It, in pieces that leave others their turn."""
        lanes = self._lanes
        lane = lanes.best()
        if self._outer is None:
            return None
        if lane is None:
            if not self._closing:
                return None
            self._closing, self._outer = False, None
            return ChannelClosed(self.number, "its link is gone"), b""
        pieces: list[Buffer] = []
        size = 0
        while size < CHANNEL_PIECE and lanes.best() == lane:
            pieces.append(lanes.take())
            size += len(pieces[-1])
        if lanes.size < CHANNEL_QUEUE_MAX // 2:
            self.link.hold(False)
        return ChannelFrames(self.number), pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # --- to the node ---

    def hears(self, data: bytes) -> None:
        """What the scheduler says. PeerError: it makes no sense."""
        self.quiet = False
        self.link.pass_on(self._cutter.cut(data))
        if self._cutter.error is not None:
            raise PeerError(f"what the scheduler says to a node makes no sense: {self._cutter.error}")

    def _left(self, size: int) -> None:
        self._unpaid += size
        if self._unpaid >= _CREDIT_STEP and self._outer is not None:
            self._outer.send(ChannelCredit(self.number, self._unpaid))
            self._unpaid = 0
