"""Being sure that processes are dead, before anybody is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lightwork.node.service.processes import kill_group, reap
from lightwork.node.service.sweeping import Sweeper

PATIENCE_S = 5.0


async def bury(workers: Iterable[int], others: Iterable[int], sweeper: Sweeper) -> None:
    """These workers die, with all below them; the others are dead."""
    workers = list(workers)
    for pid in workers:
        kill_group(pid)
    await sweeper.sweep([(pid, "") for pid in workers])
    for pid in (*others, *workers):
        reap(pid)


async def gone(pid: int) -> None:
    """Wait for a child's end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not reap(pid):
        if loop.time() > deadline:
            kill_group(pid)
        await asyncio.sleep(0.005)
