"""The directory of a relay: found by its name, or named by its owner; kept by a lock.

<directory>/relay.lock
            identity    random, made once: by it a scheduler knows the relay again, whose old link it may still have
            blobs/      store.py
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from lightwork.config import paths
from lightwork.model.errors import StartFailed
from lightwork.store.journal_lock import Held, LockFile

SEVERAL_MAX = 1000
_IDENTITY = re.compile(r"[0-9a-f]{32}")


class Home:
    """A directory that is ours as long as this process lives."""

    def __init__(self, name: str, directory: Path, lock: LockFile) -> None:
        self.name = name
        self.blobs = directory / "blobs"
        self.identity = _identity(directory / "identity")
        self._lock = lock

    def leave(self) -> None:
        """Another may have it."""
        self._lock.release()


def take(name: str, given: Path | None) -> Home:
    """The directory `given`, or that of the relay `name`, or of NAME-2... if there are such already. StartFailed."""
    name = name or paths.node_name()
    if given is not None:
        home = _try(name, paths.private(given))
        if home is None:
            raise StartFailed(f"another relay keeps its files in {given}", hint="give each its own --store")
        return home
    for number in range(1, SEVERAL_MAX):
        called = paths.further_name(name, number)
        home = _try(called, paths.relay_directory(called))
        if home is not None:
            return home
    raise StartFailed(f"there are {SEVERAL_MAX:,} relays called {name} on this machine")


def _try(name: str, directory: Path) -> Home | None:
    lock = LockFile(str(directory / "relay.lock"))
    try:
        lock.take(name)
    except Held:
        return None
    except OSError as error:
        raise StartFailed(f"cannot lock {directory}: {error.strerror or error}") from error
    try:
        return Home(name, directory, lock)
    except OSError as error:
        raise StartFailed(f"cannot write into {directory}: {error.strerror or error}") from error


def _identity(path: Path) -> str:
    found = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
    if not _IDENTITY.fullmatch(found):
        found = secrets.token_hex(16)
        path.write_text(found + "\n", encoding="ascii")
    return found
