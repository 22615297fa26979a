"""How much memory a process and all below it have to themselves."""

from __future__ import annotations

import sys


def tree_bytes(root: int, limit: int = 0) -> int:
    """Private memory of a process tree: pages shared with a template, and the arenas, do not count.

    What is shared costs time to find out: an upper bound is returned if that is within `limit`.
    """
    if sys.platform != "linux":
        return _tree_resident(root)
    pids = _tree(root)
    most = sum(_anonymous_bytes(pid) for pid in pids)
    return most if most <= limit else sum(_private_bytes(pid) for pid in pids)


def _tree(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                waiting += map(int, file.read().split())
        except OSError:
            continue  # it has just died
    return found


def _anonymous_bytes(pid: int) -> int:
    return _fields(f"/proc/{pid}/status", ("RssAnon:", "VmSwap:"))


def _private_bytes(pid: int) -> int:
    """Anonymous memory without what is shared by fork."""
    anonymous = _anonymous_bytes(pid)
    private = _fields(f"/proc/{pid}/smaps_rollup", ("Private_Clean:", "Private_Dirty:", "SwapPss:"))
    return min(anonymous, private) if private else anonymous


def _fields(path: str, names: tuple[str, ...]) -> int:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith(names))
    except (OSError, ValueError, IndexError):
        return 0  # it has just died, or this kernel does not tell


def _tree_resident(root: int) -> int:
    import psutil

    total = 0
    try:
        process = psutil.Process(root)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        return total  # some of it has just died
    return total
