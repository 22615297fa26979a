"""Files by content, for all nodes of the network: each crosses the link to the scheduler once.

    wanted --not here--> FetchBlob, once --> arrived --> ServeBlob to all who wait --> too many: one unused long goes
                                         --> failed  --> RefuseBlob; if it is only we who cannot keep it: PassFetch

What is being read stays, and so does what nobody wants any more while it comes: nodes whose links were ended come back.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.relay.core import commands as do
from lightwork.relay.core.commands import Command

Commands = list[Command]


class _Asked(Struct):
    node: int
    stream: int
    offset: int


class Shelf:
    """All of them. `quota`: bytes."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.total = 0
        self._sizes: dict[str, int] = {}  # used last at the end
        self._readers: dict[str, int] = {}
        self._coming: dict[str, list[_Asked]] = {}  # and who waits

    def __contains__(self, digest: str) -> bool:
        return digest in self._sizes

    def found(self, digest: str, size: int) -> Commands:
        """It is here."""
        self.vanished(digest)
        self._sizes[digest] = size
        self.total += size
        return self._make_room()

    def wanted(self, node: int, stream: int, digest: str, offset: int) -> Commands:
        """By a node."""
        if digest in self._sizes:
            self._sizes[digest] = self._sizes.pop(digest)
            return [self._serve(digest, _Asked(node, stream, offset))]
        waiting = self._coming.get(digest)
        if waiting is not None:
            waiting.append(_Asked(node, stream, offset))
            return []
        self._coming[digest] = [_Asked(node, stream, offset)]
        return [do.FetchBlob(digest)]

    def arrived(self, digest: str, size: int) -> Commands:
        """It came."""
        waiting = self._coming.pop(digest, [])
        commands: Commands = [self._serve(digest, asked) for asked in waiting]
        return commands + self.found(digest, size)

    def failed(self, digest: str, reason: str, ours: bool) -> Commands:
        """It did not."""
        waiting = self._coming.pop(digest, [])
        if ours:
            return [do.PassFetch(one.node, one.stream, digest, one.offset) for one in waiting]
        return [do.RefuseBlob(one.node, one.stream, reason) for one in waiting]

    def vanished(self, digest: str) -> Commands:
        """It is not here any more."""
        self.total -= self._sizes.pop(digest, 0)
        return []

    def read(self, digest: str) -> Commands:
        """One fewer reads it."""
        left = self._readers.get(digest, 0) - 1
        if left > 0:
            self._readers[digest] = left
            return []
        self._readers.pop(digest, None)
        return self._make_room()

    def node_gone(self, node: int) -> Commands:
        """It waits for nothing any more."""
        for waiting in self._coming.values():
            waiting[:] = [one for one in waiting if one.node != node]
        return []

    def _serve(self, digest: str, asked: _Asked) -> Command:
        self._readers[digest] = self._readers.get(digest, 0) + 1
        return do.ServeBlob(asked.node, asked.stream, digest, asked.offset)

    def _make_room(self) -> Commands:
        gone: list[str] = []
        for digest, size in list(self._sizes.items()):
            if self.total <= self.quota:
                break
            if digest not in self._readers:
                gone.append(digest)
                del self._sizes[digest]
                self.total -= size
        return [do.Evict(gone)] if gone else []
