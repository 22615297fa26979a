"""Processes by number: when they started, whether they live, what the keeper left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable

from lightwork.node.service.keeper_spawn import boot_path

SWEEP_S = 10.0


def start_of(pid: int) -> str:
    """When a process started (Linux: ticks since boot), which tells it from a later one with its number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


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
