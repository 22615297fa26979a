"""What relay and scheduler say to each other: the links of many nodes over one.

    node a ──┐                     ┌── link of a     ChannelOpened: a node has greeted the relay
    node b ──┼── relay ═══════ scheduler ── link of b     ChannelFrames: its frames as they are, either way
    node c ──┘                     └── link of c     ChannelCredit: so many bytes more of them may come

A channel's number is the relay's, never used again within one link.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.link_messages import Hello


class ChannelOpened(Struct, array_like=True, tag=10):
    """A node has greeted the relay: this is its hello, and where it is."""

    channel: int
    hello: Hello
    address: str


class ChannelFrames(Struct, array_like=True, tag=11):
    """Frames of a channel; body: they, as on a link of its own."""

    channel: int


class ChannelCredit(Struct, array_like=True, tag=12):
    """The sender has room for so many further bytes of the channel."""

    channel: int
    size: int


class ChannelClosed(Struct, array_like=True, tag=13):
    """No more of this channel; `left`: in good order, the rest has been said before."""

    channel: int
    reason: str = ""
    left: bool = False
