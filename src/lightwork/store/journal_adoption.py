"""A compacted file becomes the journal, while commits go on.

old  |= = = = = = = = = UPTO = = = = = = =>      rows go on being committed here
new  |= = compacted = =| - - - - - - - - ->      those behind UPTO are copied, some at each turn of the loop
                                         ^ the last of them in one synced transaction; then CURRENT names the new one
"""

from __future__ import annotations

import os
import re

from lightwork.store.journal_chain import Damaged
from lightwork.store.journal_file import File, check_header
from lightwork.store.journal_generations import Folder

COMPACTED = re.compile(r"compacting-\d+\.sqlite")
SLICE_BYTES = 1 << 20
FINAL_BYTES = 64 << 20
NEARLY = 1000  # rows


class Adoption:
    """One of them. Its methods raise what SQLite and the system raise; then `undo` and all is as before."""

    def __init__(self, folder: Folder, generation: int, name: str, upto: int) -> None:
        if not COMPACTED.fullmatch(name):
            raise Damaged(0, f"{name!r} is no compacted file")
        self.generation = generation
        self._folder = folder
        self._upto = upto  # row of the old file; all up to it are in the new one
        self._known = 0  # how many rows the old file had when we last looked
        self._path = folder.file(generation)
        os.replace(os.path.join(folder.path, name), self._path)
        try:
            check_header(self._path)
            self.file = File(self._path)
            if self.file.generation != generation:
                self.file.close()
                raise Damaged(0, f"{name} is not generation {generation}")
        except BaseException:
            folder.delete(generation)
            raise
        self.file.lasting(False)
        self.left = self.file.size

    def copy(self, old: File) -> bool:
        """Some more rows, at least twice as many as have come meanwhile; True: nearly all are there."""
        new, self._known = old.number - (self._known or old.number), old.number
        self._take(old, SLICE_BYTES, 2 * new)
        return old.number - self._upto <= NEARLY

    def finish(self, old: File) -> None:
        """The rest, and all of it on disk; then CURRENT."""
        self.file.lasting(True)
        while self._upto < old.number:
            self._take(old, FINAL_BYTES, 0)
        self.file.fold()
        self._folder.point_to(self.generation, self.left)

    def undo(self) -> None:
        """The old one stays the journal."""
        self.file.close()
        self._folder.delete(self.generation)

    def _take(self, old: File, size: int, rows: int) -> None:
        bodies = old.bodies(self._upto, size, rows)
        if bodies:
            self.file.append(bodies)
            self._upto += len(bodies)
