"""Shared memory of a node that has none in common with the clients: its own, between agent and workers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lightwork.node.service.keeper_spawn import NO_ARENAS, Arenas
from lightwork.store.arena import Arena, default_capacity


class OwnArenas:
    """Both arenas, or none where there is no room for them: then large payloads go through frames and files."""

    def __init__(self, directory: Path, *, portable: bool = False, capacity: int = 0) -> None:
        where = str(directory) if portable else ""
        capacity = capacity or default_capacity() // 2  # together: as much as the one of a client
        self.arguments: Arena | None = None
        self.results: Arena | None = None
        try:
            if where:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                for left in directory.glob("arena-*"):  # by one who was killed; the directory is ours alone
                    left.unlink()
            self.arguments = Arena.create(capacity, directory=where)
            self.results = Arena.create(capacity, directory=where)
        except OSError:
            self.close()

    @property
    def places(self) -> Arenas:
        """How keepers and workers open them."""
        if self.arguments is None or self.results is None:
            return NO_ARENAS
        return Arenas(_place(self.arguments), _place(self.results))

    def close(self) -> None:
        """Agent and workers are gone."""
        for arena in (self.arguments, self.results):
            if arena is not None:
                arena.close()
                if arena.path:
                    with contextlib.suppress(OSError):  # somebody still has it open, where that matters
                        os.unlink(arena.path)
        self.arguments = self.results = None


def _place(arena: Arena) -> str:
    return arena.path or f"fd:{arena.descriptor}"
