"""A lock file, held as long as the process lives; it says who holds it."""

from __future__ import annotations

import contextlib
import os
import sys
import time

_FAR = 1 << 20  # where Windows locks a byte: what is locked cannot be read there
_LOOK_S = 0.02


class Held(Exception):
    """Another process has it. `owner`: what it wrote there."""

    def __init__(self, owner: str) -> None:
        super().__init__(f"held by {owner or 'another process'}")
        self.owner = owner


class LockFile:
    """One such file; not taken yet."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def take(self, owner: str, wait_s: float = 0.0) -> None:
        """Held: another process has had it for all of this time."""
        until = time.monotonic() + wait_s
        while self._descriptor < 0:
            self._descriptor = self._try(owner, until)

    def _try(self, owner: str, until: float) -> int:
        """Its descriptor; -1: the file was removed by who had it, and there may be a new one."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            while not _lock(descriptor):
                if time.monotonic() >= until:
                    os.lseek(descriptor, 0, os.SEEK_SET)
                    raise Held(os.read(descriptor, 256).decode(errors="replace").strip())
                time.sleep(_LOOK_S)
            if not self._names(descriptor):
                os.close(descriptor)
                return -1
            with contextlib.suppress(OSError):  # the disk is full: then it does not say who has it
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, owner.encode())
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _names(self, descriptor: int) -> bool:
        """Whether the path still means this file."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def release(self, *, remove: bool = False) -> None:
        """Others may have it. `remove`: nobody will want it any more, as far as we know."""
        if self._descriptor >= 0:
            if remove and sys.platform != "win32":  # there an open file stays
                os.unlink(self._path)
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
