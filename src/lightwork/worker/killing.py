"""Kill a process and everything below it, whatever it does to get away.

    stop the root's group -> stop whatever a scan finds below the root, again and again until a scan finds nothing new
    and everything found has come to rest -> kill what was found -> kill the root

The root dies last: it is a subreaper, so orphans stay below it and are found. Stopped processes cannot fork. What
forks and calls setsid without end, faster than we scan, escapes: only a cgroup could hold it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Dict, Iterable, List, Set

_REST = "TtZX"  # stopped, traced, dead
_CALM_ROUNDS = 2
_REST_WAIT_S = 0.05  # a process in the kernel's hands (state D) may take its time to stop; do not wait longer for it


def kill_tree(root: int, spare: Iterable[int] = ()) -> int:
    """Kill `root` and all below it but the trees of `spare`; returns how many processes there were besides the root."""
    if sys.platform == "win32":
        return _taskkill(root)
    _signal_group(root, signal.SIGSTOP)
    _signal(root, signal.SIGSTOP)
    found = _stop_below(root, set(spare))
    for pid in found:
        _signal(pid, signal.SIGKILL)
    _signal(root, signal.SIGKILL)
    return len(found)


def kill_below(root: int, spare: Iterable[int] = ()) -> int:
    """Kill everything below `root` (mostly ourselves) but the trees of `spare`; returns how many processes."""
    if sys.platform == "win32":
        return sum(_taskkill(pid) + 1 for pid in children_of(root) if pid not in set(spare))
    found = _stop_below(root, set(spare))
    for pid in found:
        _signal(pid, signal.SIGKILL)
    return len(found)


def _stop_below(root: int, spare: Set[int]) -> List[int]:
    if sys.platform == "win32":
        return []
    found: Dict[int, None] = {}
    calm = 0
    deadline = time.monotonic() + _REST_WAIT_S
    while calm < _CALM_ROUNDS:
        fresh = [pid for pid in descendants(root, spare) if pid not in found and state_of(pid) not in "ZX"]
        for pid in fresh:
            found[pid] = None
            _signal(pid, signal.SIGSTOP)
        restless = any(state_of(pid) not in _REST for pid in found) and time.monotonic() < deadline
        calm = 0 if fresh or restless else calm + 1
        if not found:
            break
    return list(found)


def descendants(root: int, spare: Iterable[int] = ()) -> List[int]:
    """All processes below `root`, parents before children, without those of `spare` and what is below them."""
    found: List[int] = []
    waiting = [root]
    while waiting:
        for pid in children_of(waiting.pop()):
            if pid not in spare:
                found.append(pid)
                waiting.append(pid)
    return found


def children_of(pid: int) -> List[int]:
    """The processes whose parent is `pid`."""
    if sys.platform != "linux":
        return [child for child, parent in _parents().items() if parent == pid]
    children: List[int] = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as file:
                children += map(int, file.read().split())
    except FileNotFoundError:
        if os.path.exists("/proc/%d" % pid) and not os.path.exists("/proc/%d/task/%d/children" % (pid, pid)):
            return [child for child, parent in _parents().items() if parent == pid]  # a kernel without that file
    except OSError:
        pass  # it has just died: what was below it is found elsewhere
    return children


def state_of(pid: int) -> str:
    """The kernel's one letter for it (R, S, D, T, Z...); X if it is gone."""
    if sys.platform != "linux":
        return _ps_states().get(pid, "X")
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def start_of(pid: int) -> str:
    """When the process started (Linux: ticks since boot), to tell it from a later one with its number."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _parents() -> Dict[int, int]:
    """Parent of every process, by process."""
    if sys.platform == "win32":
        from lightwork.worker.windows import parents

        return parents()
    if os.path.exists("/proc/self/stat"):
        return {int(name): _parent_of(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    return {int(row[0]): int(row[1]) for row in _ps("pid=,ppid=")}


def _parent_of(pid: int) -> int:
    try:
        with open("/proc/%d/stat" % pid) as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _ps_states() -> Dict[int, str]:
    return {int(row[0]): row[1][0].replace("U", "D") for row in _ps("pid=,stat=")}


def _ps(columns: str) -> List[List[str]]:
    import subprocess  # slow to import, and mostly not needed

    done = subprocess.run(["ps", "-axo", columns], stdout=subprocess.PIPE, check=False)
    return [line.split() for line in done.stdout.decode().splitlines()]


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or not ours to kill


def _signal_group(pid: int, number: int) -> None:
    """Stop a whole group in one step: what forks in a circle inside it cannot run away from us."""
    if sys.platform == "win32":
        return
    try:
        if os.getpgid(pid) == pid and os.getpgrp() != pid:
            os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or not ours


def _taskkill(root: int) -> int:
    import subprocess

    done = subprocess.run(["taskkill", "/T", "/F", "/PID", str(root)], stdout=subprocess.PIPE, check=False)
    return max(0, done.stdout.count(b"PID") - 1)


def reap(patience_s: float = 1.0) -> bool:
    """Wait for all our children, which have been killed; False if some are still there."""
    if sys.platform == "win32":
        return True
    deadline = time.monotonic() + patience_s
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0005)


def sweep(options: Dict[str, List[str]]) -> int:
    """Kill what a dead keeper or agent left behind; returns how many processes. Options as in boot.py."""
    spare = {int(pid) for pid in options.get("spare", [])} | {os.getpid()}
    killed = 0
    for pid in options.get("below", []):
        killed += kill_below(int(pid), spare)
    for tree in options.get("tree", []):
        number, _, start = tree.partition(":")
        if state_of(int(number)) not in "ZX" and (not start or start_of(int(number)) == start):
            killed += kill_tree(int(number), spare) + 1
    return killed
