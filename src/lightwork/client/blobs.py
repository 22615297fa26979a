"""What nodes may fetch from us: contents by their digests.

Files of computations stay to the end: any node may need them at any time. Files of single jobs stay as long as
somebody holds them: a job that has not ended, by its plan; or its user, who may submit another one under that plan.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping

Blob = str | bytes  # a path here, or the content


class _Held:
    __slots__ = ("__weakref__", "blob")

    def __init__(self, blob: Blob) -> None:
        self.blob = blob


class Blobs:
    """Of one session."""

    def __init__(self) -> None:
        self._kept: dict[str, Blob] = {}
        self._held: weakref.WeakValueDictionary[str, _Held] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._kept) + len(self._held)

    def keep(self, blobs: Mapping[str, Blob]) -> None:
        """These are there from now on."""
        self._kept.update(blobs)

    def hold(self, blobs: Mapping[str, Blob]) -> object:
        """These are there as long as what is returned."""
        return [self._held.setdefault(digest, _Held(blob)) for digest, blob in blobs.items()]

    def find(self, digest: str) -> Blob | None:
        """What a node asks for, if it is there."""
        held = self._held.get(digest)
        return held.blob if held is not None else self._kept.get(digest)
