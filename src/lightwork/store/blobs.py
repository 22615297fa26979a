"""Files by content, kept as long as the journal speaks of them. Who records a digest has its blob on disk first.

    writer(digest) --write, write, ...--> .draft --store: right content? sync--> DIGEST, its folder synced --> record it

`store` waits for the disk: a service calls it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Container
from pathlib import Path

from lightwork.store import durable

DIGEST_SIZE = 16
_DRAFT = "."  # begins the name of a file that is not whole


class Blobs:
    """A folder of them; one process uses it at a time."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._drafts = 0
        for path in directory.glob(_DRAFT + "*"):  # of an earlier life, whose writers are gone
            path.unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Where a blob lies, or would; ValueError: that is no digest."""
        if len(digest) != 2 * DIGEST_SIZE or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"{digest!r} is no digest")
        return self._directory / digest

    def has(self, digest: str) -> bool:
        """Whether it is here, whole and on disk."""
        return self.path(digest).exists()

    def writer(self, digest: str = "") -> Writer:
        """For one that comes in pieces; "": whatever digest it turns out to have. OSError: it cannot be begun."""
        self._drafts += 1
        return Writer(self, self._directory / f"{_DRAFT}{os.getpid()}-{self._drafts}", digest)

    def remove_except(self, digests: Container[str]) -> int:
        """All others go, but those that are being written; how many these were."""
        removed = 0
        for path in self._directory.iterdir():
            if not path.name.startswith(_DRAFT) and path.name not in digests:
                with contextlib.suppress(OSError):  # it is tried again the next time
                    path.unlink()
                    removed += 1
        return removed


class Writer:
    """One blob that is being written. Ends with `store` or `discard`."""

    def __init__(self, blobs: Blobs, draft: Path, digest: str) -> None:
        if digest:
            blobs.path(digest)
        self._blobs = blobs
        self._draft = draft
        self._digest = digest
        self._hash = hashlib.blake2b(digest_size=DIGEST_SIZE)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(draft, flags, 0o600)

    def write(self, piece: bytes | memoryview) -> None:
        """The next bytes. OSError: there is no room, or a worse fault; `discard` follows."""
        self._hash.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def store(self) -> str:
        """Its digest, when file and name are on disk. ValueError: the content is not what was announced. Waits."""
        digest = self._hash.hexdigest()
        try:
            if self._digest and digest != self._digest:
                raise ValueError("its content is not what was announced (did the file change meanwhile?)")
            os.fsync(self._descriptor)
            self._close()
            path = self._blobs.path(digest)
            os.replace(self._draft, path)
            durable.sync_folder(str(path.parent))
        except BaseException:
            self.discard()
            raise
        return digest

    def discard(self) -> None:
        """It is not wanted any more; nothing of it stays."""
        self._close()
        with contextlib.suppress(OSError):  # the next life removes it
            self._draft.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
