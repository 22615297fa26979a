"""A full disk: a reserve is given up so that what has been accepted can still be written.

all is well --no room--> the reserve is deleted, FULL --there is room again--> a new reserve, ROOM
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys

from lightwork.config import limits
from lightwork.store import durable

OPENING_BYTES = 1 << 20
_FULL = 13  # SQLite's number
_IOERR_SHMSIZE = 4874  # its index of the log could not grow: always for lack of room


def is_full(error: Exception) -> bool:
    """Whether it failed for lack of room only."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) in {_FULL, _IOERR_SHMSIZE}
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Room:
    """The reserve, and whether there is one."""

    def __init__(self, path: str) -> None:
        self.full = False
        self._path = path

    def begin(self) -> None:
        """Before anything else is written: opening needs some room, too."""
        self.look()
        if not self.full and _free(os.path.dirname(self._path)) < OPENING_BYTES:
            self.give_up()

    def give_up(self) -> bool:
        """There is no room: the reserve goes. False: it has gone already."""
        self.full = True
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return False
        return True

    def look(self) -> None:
        """Have a reserve, if there is room for it; `full` tells."""
        try:
            if os.path.getsize(self._path) == limits.JOURNAL_RESERVE:
                self.full = False
                return
        except FileNotFoundError:  # it is made now
            pass
        self.full = (
            _free(os.path.dirname(self._path)) < limits.JOURNAL_RESERVE + limits.JOURNAL_SPARE or not self._make()
        )

    def _make(self) -> bool:
        draft = self._path + durable.NEW
        try:
            _allocate(draft)
            os.replace(draft, self._path)
        except OSError as error:
            durable.remove(draft)
            if not is_full(error):
                raise
            return False
        return True


def _allocate(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        if sys.platform == "linux":
            os.posix_fallocate(descriptor, 0, limits.JOURNAL_RESERVE)
        else:
            block = os.urandom(1 << 20)  # a file system that compresses would make nothing of zeros
            for _ in range(limits.JOURNAL_RESERVE // len(block)):
                os.write(descriptor, block)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(path: str) -> int:
    """Bytes that this user may still write there."""
    if sys.platform == "win32":
        import shutil

        return shutil.disk_usage(path).free
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
