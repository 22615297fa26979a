"""Processes by number: when they started, whether they live, what the keeper left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Container, Iterable

from lightwork.node.service.keeper_spawn import BELOW, boot_path

SWEEP_S = 10.0


class Helpers(set[int]):
    """Children of ours in sessions of their own that are no jobs. `starting`: so many are born and not in it yet."""

    starting = 0


helpers = Helpers()


def start_of(pid: int) -> str:
    """When a process started (Linux: ticks since boot), which tells it from a later one with its number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def marked(marks: set[str]) -> list[tuple[int, str]]:
    """Processes with one of these marks in their environment, with their starts (Linux). Whoever was started below an
    agent has it, unless it took care not to: also if all that could have ended it died in the same moment."""
    if not marks or sys.platform != "linux":
        return []
    wanted = {f"{BELOW}={mark}".encode() for mark in marks}
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted.intersection(file.read().split(b"\0")):
                    found.append((int(name), start_of(int(name))))
        except OSError:  # no process, a dead one, or another user's
            continue
    return found


def strays(known: Container[int]) -> list[int]:
    """Children of ours that we did not start: orphans, that came to us from other sessions (Linux)."""
    if sys.platform != "linux":
        return []
    found: list[int] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found += [pid for pid in map(int, file.read().split()) if pid not in known and _is_foreign(pid)]
    except OSError:  # a kernel without that file, or a thread that has just ended
        pass
    return found


def _is_foreign(pid: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        return pid not in helpers and os.getsid(pid) != os.getsid(0)
    except OSError:
        return False


def become_subreaper() -> None:
    """Orphans below us come to us instead of going to init (Linux): so what a keeper leaves is found."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


async def sweep(python: str, trees: Iterable[tuple[int, str]], below: int = 0, spare: Iterable[int] = ()) -> None:
    """Kill these trees (pid, start), and all below process `below`; returns when that is done."""
    argv = [python, boot_path(), "sweep"]
    argv += ["--below", str(below)] if below else []
    for pid, start in trees:
        argv += ["--tree", f"{pid}:{start}" if start else str(pid)]
    for pid in spare:
        argv += ["--spare", str(pid)]
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await asyncio.wait_for(process.wait(), SWEEP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def reap(pid: int) -> bool:
    """Take note of the death of a child that nobody else waits for; whether it is dead."""
    if sys.platform == "win32":
        return True
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid  # noqa: TID251  # this one child, not any
    except ChildProcessError:
        return True  # not a child of ours, or reaped already


def be_nice(pid: int, nice: int) -> None:
    """Let a child of ours that was born just now, and all that it makes, wait for others."""
    if sys.platform == "win32" or not nice or not pid:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, pid, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    except (ProcessLookupError, PermissionError):
        return  # dead already


def kill_group(pid: int) -> None:
    """Kill a process group of ours."""
    if sys.platform == "win32" or not hasattr(os, "killpg"):
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # dead already
