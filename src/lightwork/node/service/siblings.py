"""Directories of nodes that were killed, beside our own: sessions on this machine whose host can no longer clean up."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from lightwork.model.errors import StartFailed
from lightwork.node.service.directories import remove_tree
from lightwork.node.service.lock import LOCK_NAME, Lock

_PRIVATE = re.compile(r"(\d+)-[0-9A-Za-z]+")  # PID-RANDOM: of a session with a scheduler of its own


def remove_dead_siblings(own: Path) -> list[Path]:
    """Remove the directories of private sessions whose process is dead and whose lock is free; which. (On a thread.)"""
    removed: list[Path] = []
    if not _PRIVATE.fullmatch(own.name):
        return removed
    with contextlib.suppress(OSError):  # it is no work of ours: another will come by
        for path in own.parent.iterdir():
            name = _PRIVATE.fullmatch(path.name)
            if name and path.name != own.name and not path.is_symlink() and _dead(int(name[1])) and _remove(path):
                removed.append(path)
    return removed


def _remove(path: Path) -> bool:
    lock = Lock(path / LOCK_NAME)
    if not (path / LOCK_NAME).exists():
        return False  # it is being made, by a process that we cannot see
    try:
        lock.take()
    except (OSError, StartFailed):  # somebody lives or cleans there, or it has just gone
        return False
    try:
        if os.name == "nt":
            lock.release()  # there a file that is open cannot be removed
        remove_tree(path)
    except OSError:
        return False
    finally:
        lock.release()
    return not path.exists()


def _dead(pid: int) -> bool:
    import psutil

    return not psutil.pid_exists(pid)
