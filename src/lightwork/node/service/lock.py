"""One agent to a directory: what a living one has there must not be cleaned up by a second."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lightwork.model.errors import StartFailed

LOCK_NAME = "agent.lock"


class Lock:
    """A lock file, held as long as the process lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> None:
        """StartFailed: another agent has it."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock()
        except OSError:
            os.close(self._descriptor)
            self._descriptor = -1
            raise StartFailed(
                f"another node agent works in {self._path.parent}", hint="give this one another name or directory"
            ) from None

    def release(self) -> None:
        """Others may have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lock(self) -> None:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
