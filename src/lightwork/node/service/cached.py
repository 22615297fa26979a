"""Which blobs lie in a node's cache, who uses them, and which go when there are too many: the one unused longest first.

    used by a session's computations, or by single jobs of it --session over--> unused --too many--> gone
                                                               --only jobs used it--> gone at once

Bookkeeping only; whoever asks deletes the files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from lightwork.wire.messages import File


class Cached:
    """Of one node. `quota`: bytes, of used and unused ones together; those that are used stay all the same."""

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._sizes: OrderedDict[str, int] = OrderedDict()  # the one touched longest ago in front
        self._total = 0
        self._users: dict[str, set[str]] = {}  # sessions, by digest
        self._lasting: set[str] = set()  # of computations: the next session may want them again

    def note(self, files: Iterable[File], session: str, lasting: bool) -> None:
        """This session wants these: `lasting`: for its computations, else for single jobs."""
        for file in files:
            self._users.setdefault(file.digest, set()).add(session)
            if lasting:
                self._lasting.add(file.digest)

    def arrived(self, digest: str, size: int) -> list[str]:
        """It is here, or used again; which are to go now."""
        self._total += size - self._sizes.pop(digest, 0)
        self._sizes[digest] = size
        return self.too_many()

    def release(self, session: str) -> list[str]:
        """The session is over: which are to go now."""
        gone = []
        for digest, users in list(self._users.items()):
            users.discard(session)
            if not users:
                del self._users[digest]
                if digest not in self._lasting:
                    gone.append(digest)
                    self._forget(digest)
        return gone + self.too_many()

    def too_many(self) -> list[str]:
        """Unused ones beyond the quota: they are forgotten, and to go."""
        gone: list[str] = []
        if self._total > self._quota:
            left = self._total
            for digest, size in self._sizes.items():
                if left <= self._quota:
                    break
                if digest not in self._users:
                    gone.append(digest)
                    left -= size
            for digest in gone:
                self._forget(digest)
        return gone

    def _forget(self, digest: str) -> None:
        self._total -= self._sizes.pop(digest, 0)
        self._lasting.discard(digest)
