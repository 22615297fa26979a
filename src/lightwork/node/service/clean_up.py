"""`lightwork node --clean`: what earlier agents of a node left goes, processes first, then their files and the cache.

What is owed to durable schedulers stays (kept/), and so do `dest/` and the name by which schedulers know this node.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lightwork.config import paths
from lightwork.kit.text import count, size
from lightwork.model.errors import StartFailed
from lightwork.node.service.directories import KEPT, Directories, remove_tree
from lightwork.node.service.durable import harvest_all
from lightwork.node.service.era import Era
from lightwork.node.service.job_user import JobUser, acting_as
from lightwork.node.service.lock import LOCK_NAME as AGENT_LOCK, Lock
from lightwork.node.service.own_process import process_of
from lightwork.node.service.processes import start_of, sweep
from lightwork.node.service.station_home import LOCK_NAME

OURS, OF_JOBS = ("blobs", "workers"), ("computations", "jobs", "spool")


def clean_up(name: str, user: JobUser | None = None, base: Path | None = None) -> list[str]:
    """Do it; what was found, in lines for people. `user`: who its jobs run as; `base`: where its owner wanted it.
    StartFailed: such a node lives."""
    root = paths.node_directory(name, shared=user is not None, base=base)
    locks = [Lock(root / LOCK_NAME), Lock(root / AGENT_LOCK)]
    try:
        for lock in locks:
            _take(lock, name, base)
        return _clean(root, user)
    finally:
        for lock in locks:
            lock.release()


def _take(lock: Lock, name: str, base: Path | None) -> None:
    try:
        lock.take()
    except StartFailed:
        pid = process_of(name, base)
        hint = f"`kill {pid}` stops it; a second one at once" if pid else "stop it first"
        raise StartFailed(f"node {name} runs: it has left nothing yet", hint=hint) from None


def _clean(root: Path, user: JobUser | None) -> list[str]:
    directories = Directories(root, user=user)
    alive = [(pid, start) for pid, start in directories.noted_processes() if start and start_of(pid) == start]
    said = []
    if alive:
        asyncio.run(sweep(sys.executable, alive))
        said.append(f"{count(len(alive), 'process', 'processes')} of an earlier node ended")
    if (root / KEPT).exists():
        problems = harvest_all(root, None, user)
        if problems:  # as Agent.damaged
            Era(root / "era").renew()
        said += problems
    total = sum(_removed(root / part) for part in OURS)
    with acting_as(user):
        total += sum(_removed(root / part) for part in OF_JOBS)
    directories.forget_processes()
    return [*said, f"{size(total)} of files of an earlier node removed" if total else "no files of an earlier node"]


def _removed(path: Path) -> int:
    """How many bytes all that is in there had."""
    total = 0
    for child in path.glob("*"):
        total += _bytes(child)
        remove_tree(child)
    return total


def _bytes(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return os.lstat(path).st_size
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(path) for name in names)
