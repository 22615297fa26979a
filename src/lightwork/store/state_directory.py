"""The directory in which one durable scheduler keeps all that it must not lose.

lock  identity  reserve  journal/  blobs/  damaged-1/ (what salvage has put aside)
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from lightwork.config.paths import private
from lightwork.model.errors import StartFailed
from lightwork.store import durable, journal_process
from lightwork.store.filesystems import network_filesystem
from lightwork.store.journal_generations import Folder
from lightwork.store.journal_lock import Held, LockFile


class InUse(StartFailed):
    """Another scheduler works in the directory."""


IDENTITY = "identity"


class StateDirectory:
    """One that is ours alone until `close`. StartFailed: another scheduler has it, or nothing can be kept there."""

    def __init__(self, path: Path) -> None:
        self.path = private(Path(os.path.abspath(path)))
        kind = network_filesystem(str(self.path))
        if kind:
            raise StartFailed(
                f"{self.path} lies on a network file system ({kind}), where a journal can be neither locked nor synced",
                hint="name a directory on a disk of this machine",
            )
        self._lock = LockFile(str(self.path / "lock"))
        self._take()
        try:
            self.blobs = private(self.path / "blobs")
            self.journal = private(self.path / journal_process.FOLDER)
            self.identity = self._identify()
            self.reserve = self.path / journal_process.RESERVE
            durable.sync_folder(str(self.path))
        except StartFailed:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise StartFailed(f"cannot use the directory {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, *, remove: bool = False) -> None:
        """Another scheduler may have it. `remove`: nobody will want it; the empty directory goes."""
        self._lock.release(remove=remove)
        if remove:
            with contextlib.suppress(OSError):  # somebody has come already
                self.path.rmdir()

    def _take(self) -> None:
        try:
            self._lock.take(f"process {os.getpid()} on {platform.node()}")
        except Held as held:
            raise InUse(
                f"another scheduler works in {self.path}: {held.owner or 'it does not say which'}",
                hint="use that one, stop it, or give this one another directory",
            ) from None
        except OSError as error:
            raise StartFailed(f"cannot lock the directory {self.path}: {error.strerror or error}") from error

    def _identify(self) -> str:
        """Who the scheduler of this directory is, in all of its lives: kept twice, for it cannot be made again."""
        places = [self.path / IDENTITY, self.journal / IDENTITY]
        found = {place: _identity_in(place) for place in places}
        known = set(found.values()) - {""}
        if len(known) > 1 or (not known and Folder(str(self.journal)).generations()):
            what = "differ" if known else "are missing or damaged"
            raise StartFailed(
                f"{places[0]} and {places[1]} {what}, and there is a journal",
                hint="restore the one that belongs to this journal, or name an empty directory",
            )
        identity = known.pop() if known else secrets.token_hex(16)
        for place in places:
            if found[place] != identity:
                durable.write_file(str(place), _identity_line(identity))
        return identity


def _identity_line(identity: str) -> bytes:
    return f"{identity} {blake2b(identity.encode(), digest_size=4).hexdigest()}\n".encode()


def _identity_in(path: Path) -> str:
    """ "": there is none, or a damaged one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    identity = content.partition(b" ")[0].decode(errors="replace")
    return identity if content == _identity_line(identity) else ""
