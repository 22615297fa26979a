"""Files by content, for all nodes of the network: each crosses the link to the scheduler once.

    wanted --not here--> FetchBlob, once --> arrived --> ServeBlob to all who wait --> too many: one unused long goes
                                         --> failed  --> RefuseBlob; if it is only we who cannot keep it: PassFetch

What is being read stays, and so does what nobody wants any more while it comes: nodes whose links were ended come back.
What an earlier relay has left is looked into before the first node gets it: as long as that takes it comes, too.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.config.limits import RELAY_FILES_AWAITED, RELAY_FILES_COMING
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
        self._unproven: set[str] = set()  # of these: found, not looked into
        self._readers: dict[str, int] = {}
        self._coming: dict[str, list[_Asked]] = {}  # and who waits
        self._waiting = 0  # in all

    def __contains__(self, digest: str) -> bool:
        return digest in self._sizes

    def found(self, digest: str, size: int) -> Commands:
        """An earlier relay has left it."""
        self._unproven.add(digest)
        return self._keep(digest, size)

    def wanted(self, node: int, stream: int, digest: str, offset: int) -> Commands:
        """By a node."""
        asked = _Asked(node, stream, offset)
        if digest in self._sizes and digest not in self._unproven:
            self._sizes[digest] = self._sizes.pop(digest)
            return [self._serve(digest, asked)]
        waiting = self._coming.get(digest)
        if self._waiting >= RELAY_FILES_AWAITED or (waiting is None and len(self._coming) >= RELAY_FILES_COMING):
            return [do.PassFetch(node, stream, digest, offset)]
        self._waiting += 1
        if waiting is not None:
            waiting.append(asked)
            return []
        self._coming[digest] = [asked]
        return [do.FetchBlob(digest)]

    def arrived(self, digest: str, size: int) -> Commands:
        """It came, and is what it should be."""
        commands: Commands = [self._serve(digest, asked) for asked in self._no_longer_awaited(digest)]
        self._unproven.discard(digest)
        return commands + self._keep(digest, size)

    def failed(self, digest: str, reason: str, ours: bool) -> Commands:
        """It did not."""
        commands: Commands = []
        for one in self._no_longer_awaited(digest):
            passed = do.PassFetch(one.node, one.stream, digest, one.offset)
            commands.append(passed if ours else do.RefuseBlob(one.node, one.stream, reason))
        return commands + self._make_room(self.quota)

    def disk_filled(self) -> Commands:
        """Half of what is here makes room, for the next ones."""
        return self._make_room(self.total // 2)

    def vanished(self, digest: str) -> Commands:
        """It is not here any more."""
        self._unproven.discard(digest)
        self.total -= self._sizes.pop(digest, 0)
        return []

    def read(self, digest: str) -> Commands:
        """One fewer reads it."""
        left = self._readers.get(digest, 0) - 1
        if left > 0:
            self._readers[digest] = left
            return []
        self._readers.pop(digest, None)
        return self._make_room(self.quota)

    def node_gone(self, node: int) -> Commands:
        """It waits for nothing any more."""
        for waiting in self._coming.values():
            self._waiting -= len(waiting)
            waiting[:] = [one for one in waiting if one.node != node]
            self._waiting += len(waiting)
        return []

    def _no_longer_awaited(self, digest: str) -> list[_Asked]:
        waiting = self._coming.pop(digest, [])
        self._waiting -= len(waiting)
        return waiting

    def _serve(self, digest: str, asked: _Asked) -> Command:
        self._readers[digest] = self._readers.get(digest, 0) + 1
        return do.ServeBlob(asked.node, asked.stream, digest, asked.offset)

    def _keep(self, digest: str, size: int) -> Commands:
        self.total += size - self._sizes.pop(digest, 0)
        self._sizes[digest] = size
        return self._make_room(self.quota)

    def _make_room(self, most: int) -> Commands:
        gone: list[str] = []
        for digest in list(self._sizes) if self.total > most else ():
            if self.total <= most:
                break
            if digest not in self._readers and digest not in self._coming:
                gone.append(digest)
                self.vanished(digest)
        return [do.Evict(gone)] if gone else []
