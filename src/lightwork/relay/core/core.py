"""The relay's core: one handler per event, in the table that it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightwork.relay.core import events as on
from lightwork.relay.core.commands import Command
from lightwork.relay.core.lines import Lines
from lightwork.relay.core.shelf import Shelf


class Core:
    """The whole state of a relay."""

    def __init__(self, quota: int) -> None:
        self.lines = Lines()
        self.shelf = Shelf(quota)

    def handle(self, event: on.Event) -> list[Command]:
        """What is to be done now, in this order."""
        return _HANDLERS[type(event)](self, event)

    def _node_gone(self, event: on.NodeGone) -> list[Command]:
        return self.lines.node_gone(event.node) + self.shelf.node_gone(event.node)


_HANDLERS: dict[type, Callable[[Core, Any], list[Command]]] = {
    on.SchedulerGreeted: lambda core, e: core.lines.greeted(),
    on.SchedulerLost: lambda core, e: core.lines.lost(),
    on.NodeGreeted: lambda core, e: core.lines.node_greeted(e.node),
    on.NodeGone: Core._node_gone,
    on.ChannelEnded: lambda core, e: core.lines.ended(e.node),
    on.BeatDue: lambda core, e: core.lines.beat(e.heard, e.quiet),
    on.BlobFound: lambda core, e: core.shelf.found(e.digest, e.size),
    on.BlobWanted: lambda core, e: core.shelf.wanted(e.node, e.stream, e.digest, e.offset),
    on.BlobArrived: lambda core, e: core.shelf.arrived(e.digest, e.size),
    on.BlobFailed: lambda core, e: core.shelf.failed(e.digest, e.reason, e.ours),
    on.DiskFilled: lambda core, e: core.shelf.disk_filled(),
    on.BlobVanished: lambda core, e: core.shelf.vanished(e.digest),
    on.BlobRead: lambda core, e: core.shelf.read(e.digest),
}
