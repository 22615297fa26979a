"""Other processes by number: which life of the number is meant, and whether it goes on.

Numbers are used again. A number with its start names one process for good.
"""

from __future__ import annotations

import sys


def start_of(pid: int) -> str:
    """When it began, in words that no later process of this number has; "": there is none (or it is a zombie)."""
    if sys.platform == "linux":
        return _start_by_proc(pid)
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except (psutil.Error, OSError, ValueError):
        return ""


def lives(pid: int, start: str) -> bool:
    """Whether the process that began then is still there; one that is stopped is."""
    return bool(start) and start_of(pid) == start


def _start_by_proc(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read(8)
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{fields[19]}-{boot}"
