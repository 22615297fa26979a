"""The directory of a node program: found by its name, kept by a lock, known by its identity.

<node directory>/identity   random, made once: by it a scheduler knows the node again after a restart
                 claim      the session of the scheduler that has us; gone when the claim is over
                 dest/      where relative `dest_path`s are, beyond claims
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

from lightwork.config import paths
from lightwork.model.errors import StartFailed
from lightwork.node.service.lock import Lock

LOCK_NAME = "node.lock"
SEVERAL_MAX = 1000
_IDENTITY = re.compile(r"[0-9a-f]{32}")


class Home:
    """A directory that is ours as long as this process lives."""

    def __init__(self, name: str, directory: Path, lock: Lock) -> None:
        self.name = name
        self.directory = directory
        self._lock = lock
        self._claim = directory / "claim"
        self.identity = self._make_identity()
        self.last_session = self._read(self._claim)  # of a predecessor that was killed within a claim
        self.lasting = directory / "dest"

    def claimed(self, session: str) -> None:
        """A scheduler has us."""
        with contextlib.suppress(OSError):  # no room: then nobody is told what was left, if we are killed
            _write(self._claim, session)

    def freed(self) -> None:
        """Nobody has."""
        self.last_session = ""
        with contextlib.suppress(OSError):  # as above
            self._claim.unlink(missing_ok=True)

    def leave(self) -> None:
        """Another may have the directory."""
        self._lock.release()

    def _make_identity(self) -> str:
        path = self.directory / "identity"
        found = self._read(path)
        if not _IDENTITY.fullmatch(found):
            found = secrets.token_hex(16)
            _write(path, found)
        return found

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""


def take_home(name: str = "") -> Home:
    """The directory of the node `name`, or of NAME-2, NAME-3... if there are such nodes here already. StartFailed."""
    name = name or paths.node_name()
    for number in range(1, SEVERAL_MAX):
        called = paths.further_name(name, number)
        directory = paths.node_directory(called)
        lock = Lock(directory / LOCK_NAME)
        try:
            lock.take()
        except StartFailed:
            continue
        return Home(called, directory, lock)
    raise StartFailed(f"there are {SEVERAL_MAX:,} nodes called {name} on this machine")


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text + "\n", encoding="utf-8")
    os.chmod(draft, 0o600)
    os.replace(draft, path)
