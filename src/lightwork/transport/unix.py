"""Unix sockets: the directory says who may connect, so there is no credential."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

from lightwork.model.errors import StartFailed
from lightwork.transport.address import BACKLOG

PATH_MAX_BYTES = 100


def open_listener(path: str) -> socket.socket:
    """A listening socket at `path`; what a dead listener left there is removed, a living one is not."""
    if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
        raise StartFailed("there are no unix sockets here")
    if len(os.fsencode(path)) > PATH_MAX_BYTES:
        raise StartFailed(f"{path} is too long for a unix socket", hint="set XDG_RUNTIME_DIR to a shorter directory")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartFailed(f"cannot listen on {path}: {error}") from error
    except StartFailed:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _remove_dead(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StartFailed(f"{path} exists and is no socket")
    except FileNotFoundError:
        return
    if answers(path):
        raise StartFailed(f"another program listens on {path}")
    Path(path).unlink(missing_ok=True)


def answers(path: str) -> bool:
    """Whether somebody listens at `path`; in doubt: yes."""
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # a full backlog or the like: somebody is there
            pass
    return True


class Trace:
    """A path that we made and remove again, unless it has become somebody else's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = self._look()

    def remove(self) -> None:
        """Leave nothing behind."""
        if self._identity is not None and self._look() == self._identity:
            Path(self._path).unlink(missing_ok=True)
        self._identity = None

    def _look(self) -> tuple[int, int] | None:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino
