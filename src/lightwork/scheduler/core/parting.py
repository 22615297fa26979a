"""Nodes that somebody removed: when nothing of anybody is there any more, they get a goodbye and are forgotten."""

from __future__ import annotations

from lightwork.model.states import ClusterEvent
from lightwork.scheduler.core import commands as do
from lightwork.scheduler.core.host_rules import why_removed
from lightwork.scheduler.core.hosts import shut
from lightwork.scheduler.core.machines import forget
from lightwork.scheduler.core.nodes import HERE, Node
from lightwork.scheduler.core.state import Commands, State


def part(state: State) -> Commands:
    """At the end of each turn."""
    commands: Commands = []
    for name in sorted(state.parting):
        node = state.nodes.get(name)
        if node is None:
            state.parting.discard(name)
        elif not node.bound:
            state.parting.discard(name)
            commands += _go(state, node)
    return commands


def _go(state: State, node: Node) -> Commands:
    told = state.tell_all(ClusterEvent.NODE_CLOSED, node) if node.standing in HERE else []
    shut(state, node)
    state.turned_away[node.name] = node
    sentence, hint = why_removed(node.name, node.removed_by)
    gone = forget(state, node, sentence)
    return [*told, *gone, do.HangUp(node.name, f"{sentence}; {hint}")]
