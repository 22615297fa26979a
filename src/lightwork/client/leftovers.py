"""Directories of sessions whose programs were killed: removed when the next one starts.

PID-RANDOM/ scheduler.sock, scheduler.log, ...     the program lives, or a scheduler still listens: not ours to touch
PID-RANDOM/ scheduler.log                          left on purpose after a bad end: for people, and for some weeks
PID-RANDOM/ ...                                    everything else is nobody's any more
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

LOG = "scheduler.log"
LOG_DAYS = 30


def remove(parent: Path) -> None:
    """Remove those below `parent`. Several programs may do this at once."""
    try:
        entries = list(parent.iterdir())
    except OSError:  # there is nothing to tidy up
        return
    for directory in entries:
        try:
            if _is_left(directory):
                shutil.rmtree(directory, ignore_errors=True)
        except OSError:  # another program was faster
            continue


def _is_left(directory: Path) -> bool:
    pid, dash, _ = directory.name.partition("-")
    if not dash or not pid.isdecimal() or _lives(int(pid)):
        return False
    names = os.listdir(directory)
    if names == [LOG] and (directory / LOG).stat().st_size:
        # Only what people see and files' ages are wall times; nothing but tidiness depends on it.
        return time.time() - directory.lstat().st_mtime > LOG_DAYS * 86400  # noqa: TID251
    from lightwork.transport.unix import answers

    # A scheduler that listens has a program, though it may be one that we cannot see: in another container.
    return not any(answers(str(directory / name)) for name in names if name.endswith(".sock"))


def _lives(pid: int) -> bool:
    if sys.platform == "win32":
        import psutil  # there, signal 0 would end it

        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True
