"""Killing what dead keepers left.

A sweep of all that is below us ends whatever it does not know: so it must know every living keeper, and there is one
sweep at a time, for each would end the other; and no keeper is started meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from lightwork.node.service.processes import start_of, sweep


class Sweeper:
    """One for all keepers of an agent. `sole`: the process has no other children, so whatever is below it is ours."""

    def __init__(self, python: str, sole: bool) -> None:
        self.python = python
        self.living: set[int] = set()  # keepers
        self._sole = sole
        self.quiet = asyncio.Lock()  # held by a sweep, and by who starts a keeper

    async def sweep(self, trees: Iterable[tuple[int, str]] = ()) -> None:
        """Kill these trees (pid, start), and all below us that no living keeper has."""
        trees = [tree for tree in trees if start_of(tree[0])]
        async with self.quiet:
            if trees or self._sole:
                await sweep(self.python, trees, os.getpid() if self._sole else 0, self.living)

    async def close(self) -> None:
        """The last sweep of all: whatever is below us later is another agent's, and a late one must not end it."""
        await self.sweep()
        self._sole = False
