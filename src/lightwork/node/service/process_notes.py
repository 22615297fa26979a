"""The `processes` file: pid and start of every process we have, for a successor that must end them.

A line is appended for each birth; when the dead outnumber the living in it, it is written anew. The first line says
by what mark those are known that are in no other line.
"""

from __future__ import annotations

import os
from pathlib import Path

from lightwork.node.service.keeper_spawn import mark

ROOM = 256  # lines that are never too many
MARK = "below"


class ProcessNotes:
    """Writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alive: dict[int, str] = {}  # number of the worker -> its line
        self._lines = 0
        self._descriptor = -1

    def born(self, number: int, pid: int, start: str) -> None:
        """A worker or program has a process. OSError: no room on the disk."""
        line = self._alive[number] = f"{pid} {start}\n"
        self._lines += 1
        if self._lines > ROOM + 2 * len(self._alive):
            self._rewrite()
            return
        if self._descriptor < 0:
            self._open(self._path)
        os.write(self._descriptor, line.encode())

    def dead(self, number: int) -> None:
        """It has none any more."""
        self._alive.pop(number, None)

    def close(self) -> None:
        """No more is written."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _rewrite(self) -> None:
        self.close()
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        self._open(draft)
        os.write(self._descriptor, "".join(self._alive.values()).encode())
        if os.name == "nt":
            self.close()  # there an open file cannot be renamed; the next birth opens it
        os.replace(draft, self._path)
        self._lines = len(self._alive)

    def _open(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(path, flags, 0o600)
        os.write(self._descriptor, f"{MARK} {mark()}\n".encode())
