"""What relay and scheduler say to each other: the links of many nodes over one.

    node a ──┐                     ┌── link of a     ChannelOpened: a node has greeted the relay
    node b ──┼── relay ═══════ scheduler ── link of b     ChannelFrames: the next bytes of its link, either way
    node c ──┘                     └── link of c     ChannelCredit: so many bytes more of them may come

The relay greets nodes for the scheduler, with its hello; all else that a node and the scheduler say to each other goes
through as it is. Bytes from the scheduler need credit, for what a slow node does not take waits in the relay: at first
there is limits.CHANNEL_CREDIT. Those to the scheduler need none: it takes them at once, and the link bounds them.

A channel's number is the relay's, never used again within one link.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lightwork.config.limits import RELAY_LEASE_MS_MAX
from lightwork.wire.link_messages import Hello
from lightwork.wire.nouns import Name


class ChannelOpened(Struct, array_like=True, tag=10):
    """A node has greeted the relay: this is its hello, and where it is. `lease_ms`: told to it in place of the
    scheduler's own."""

    channel: int
    hello: Hello
    address: Name
    lease_ms: Annotated[int, Meta(ge=0, le=RELAY_LEASE_MS_MAX)] = 0


class ChannelFrames(Struct, array_like=True, tag=11):
    """Bytes of a channel; body: they, as on a link of its own. A frame may end in the next ones."""

    channel: int


class ChannelCredit(Struct, array_like=True, tag=12):
    """The relay has room for so many further bytes of the channel."""

    channel: int
    size: int


class ChannelClosed(Struct, array_like=True, tag=13):
    """No more of this channel: what came before was the last."""

    channel: int
    reason: str = ""
