"""Who is connected, and whose channel is open.

    scheduler lost --> channels are no more; nodes are told nothing, their links stay up and their leases run
    scheduler back --> links of that time are ended: their nodes dial again at once, and go on where they were

Why not keep those links, too? What was under way when the scheduler's broke is lost. Nodes and schedulers know how to
go on after that, over a new link (transport/outbox.py); so there is one way to go on, whatever broke.
"""

from __future__ import annotations

from lightwork.config.timers import UNREACHABLE_AFTER_BEATS
from lightwork.relay.core import commands as do
from lightwork.relay.core.commands import Command

Commands = list[Command]


class Lines:
    """All links."""

    def __init__(self) -> None:
        self.up = False  # there is a scheduler
        self.nodes: dict[int, bool] = {}  # and whether its channel is open
        self._silent = 0  # beats

    def greeted(self) -> Commands:
        """The scheduler is there (again)."""
        self.up, self._silent = True, 0
        return [do.HangUp(node) for node in self.nodes]

    def lost(self) -> Commands:
        """It is not."""
        self.up = False
        for node in self.nodes:
            self.nodes[node] = False
        return []

    def node_greeted(self, node: int) -> Commands:
        """A node is there."""
        self.nodes[node] = self.up
        return [do.OpenChannel(node)] if self.up else []

    def node_gone(self, node: int) -> Commands:
        """It is not."""
        return [do.CloseChannel(node)] if self.nodes.pop(node, False) else []

    def ended(self, node: int) -> Commands:
        """The scheduler closed its channel."""
        if not self.nodes.get(node):
            return []
        self.nodes[node] = False
        return [do.HangUp(node, flush=True)]

    def beat(self, heard: bool, quiet: list[int]) -> Commands:
        """Time for signs of life, both ways."""
        commands: Commands = [do.Soothe(quiet)] if quiet else []
        if not self.up:
            return commands
        self._silent = 0 if heard else self._silent + 1
        return [*commands, do.GiveUp() if self._silent > UNREACHABLE_AFTER_BEATS else do.Ping()]
