"""A channel that ends while it stands in line for the link leaves the line, and the others have their turn."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.config import limits
from lightwork.relay.service.uplink import Uplink
from lightwork.transport.channels import ChannelLink, Channels
from lightwork.wire.cutting import CONTROL
from lightwork.wire.dialogue import accept
from lightwork.wire.messages import PROTOCOL, Assign, ChannelClosed, ChannelOpened, Hello, JobOptions, Message, Ping
from lightwork.wire.passing import Passed
from lightwork.wire.turns import Packed, Turns
from tests.relay.world import SCHEDULER, Many
from tests.transport.links import run

WORK = Assign("s", "d" * 32, [1], [0], JobOptions())


class Full:
    """A link whose line takes nothing now."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.peer = Hello(PROTOCOL, "relay", "gate")
        self.address, self.local_address = "10.0.0.1:9700", "10.0.0.2:50000"
        self.turns = turns or Turns()
        self.sent: list[Message] = []

    def feed_by(self, turns: Turns) -> None:
        self.turns = turns

    def more(self) -> None:
        """Not now."""

    def send(self, message: Message, body: bytes = b"") -> None:
        self.sent.append(message)

    def next(self) -> Packed | None:
        """What leaves when it takes something again."""
        return self.turns.next(lambda: None)


def opened(channels: Channels, nodes: Many, number: int) -> ChannelLink:
    hello = Hello(PROTOCOL, "node", f"n{number}", f"identity {number}")
    assert channels.take(ChannelOpened(number, hello, "10.5.0.1"), b"")
    return nodes.named(hello.name)


@pytest.mark.parametrize("message", [WORK, Ping(1)])
@pytest.mark.parametrize("how", ["abort", "relay"])
def test_of_the_scheduler(message: Message, how: str) -> None:
    async def story() -> None:
        outer: Any = Full()
        nodes = Many()
        channels = Channels(outer, nodes, SCHEDULER, accept)
        one, two = opened(channels, nodes, 1), opened(channels, nodes, 2)
        one.send(message)
        two.send(message)
        if how == "abort":
            one.abort()
            assert outer.sent == [ChannelClosed(1)]
        else:
            channels.take(ChannelClosed(1, "its link is gone"), b"")
        assert one.best() is None  # else the next line would not come back
        packed, nothing = outer.next(), outer.next()
        assert packed is not None
        assert packed[0].channel == 2
        assert nothing is None

    run("asyncio", story)


def test_of_the_relay() -> None:
    class Node:
        def on_left(self, call: object) -> None:
            """Nothing is taken."""

        def hold(self, held: bool) -> None:
            """Nothing comes."""

    turns = Turns()
    outer, node = Full(turns), Node()
    one, two = Uplink(1, node), Uplink(2, node)  # type: ignore[arg-type]
    for uplink in (one, two):
        uplink.open(outer, turns)  # type: ignore[arg-type]
        uplink.passes(Passed(CONTROL, True), bytes(limits.CHANNEL_PIECE // 2))
    one.close()
    one.cut_off()
    assert one.best() is None
    packed = outer.next()
    assert packed is not None
    assert packed[0].channel == 2  # type: ignore[union-attr]
    assert outer.next() is None
