"""The nodes of a session, as the scheduler last told of them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lightwork.client.allocation import is_path, split_host
from lightwork.model.errors import UserError
from lightwork.model.states import ClusterEvent
from lightwork.wire.messages import NodeStatus


class Nodes:
    """Those that are gone are remembered too: jobs ran there."""

    def __init__(self) -> None:
        self._known: dict[str, NodeStatus] = {}
        self._gone: set[str] = set()
        self.changes = 0  # how often one came or went

    def told(self, event: int, node: NodeStatus) -> None:
        """A node came, went or reported its load."""
        self._known[node.name] = node
        self.changes += event != ClusterEvent.NODE_LOAD
        if event == ClusterEvent.NODE_CLOSED:
            self._gone.add(node.name)
        else:
            self._gone.discard(node.name)

    def all_told(self, nodes: Iterable[NodeStatus]) -> None:
        """These are there, and no others."""
        there = {node.name: node for node in nodes}
        gone = {*self._known, *there} - set(there)
        self.changes += gone != self._gone or any(name not in self._known for name in there)
        self._known.update(there)
        self._gone = gone

    def get(self, name: str) -> NodeStatus | None:
        """What is known of a node, also of one that is gone."""
        return self._known.get(name)

    def present(self) -> list[NodeStatus]:
        """Those that are there."""
        gone = self._gone
        return [node for node in list(self._known.values()) if node.name not in gone]

    @property
    def slots(self) -> int:
        """How many jobs can run at once, as far as it is known."""
        return sum(node.slots for node in self.present()) or os.cpu_count() or 1

    def address_of(self, name: str) -> str:
        """A node's address without its port, as far as it is known."""
        node = self._known.get(name)
        return host_of(node.address) or name if node is not None else name

    def named(self, node: object) -> list[str]:
        """Names of those that are there and are meant: by their name, address, or a NodeStatus."""
        if isinstance(node, NodeStatus):
            node = node.name
        if not isinstance(node, str):
            raise UserError(f"{node!r} is no node.", hint="its name, its address, or one of cluster.nodes")
        there = self.present()
        return [one.name for one in there if one.name == node] or [
            one.name for one in there if one.address and node in (one.address, host_of(one.address))
        ]


def host_of(address: str) -> str:
    """A node's address without its port."""
    try:
        return address if is_path(address) else split_host(address)[0]
    except UserError:  # whatever the node is called over there, this is what we know
        return address
