"""Which file of the folder is the journal: CURRENT names it, and is changed by one rename.

    CURRENT -> journal-3.sqlite      compacting-814.sqlite   (being written; becomes journal-4.sqlite)
               journal-3.sqlite-wal  SEEN (what was acknowledged)

A new generation is complete and synced before CURRENT names it, and the old one is deleted only then, its file before
its log. So whatever CURRENT names is complete at every moment, and so is the lowest generation that is there.
Generation 0 is none: the folder has just been made.
"""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from typing import NamedTuple

from lightwork.store import durable, journal_file
from lightwork.store.journal_chain import Damaged

CURRENT, SEEN = "CURRENT", "SEEN"
_GENERATION = re.compile(r"journal-(\d+)\.sqlite")
_LEFTOVER = re.compile(r"(?:journal-\d+|compacting-\d+)\.sqlite(?:-wal|-shm|-journal)?|CURRENT\.new")


class Current(NamedTuple):
    """What the pointer says. `left`: the size of the file when it was new, which is what compaction left."""

    generation: int
    left: int


class Folder:
    """Where generations lie."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.seen = os.path.join(path, SEEN)

    def file(self, generation: int) -> str:
        """The path of one."""
        return os.path.join(self.path, f"journal-{generation}.sqlite")

    def generations(self) -> list[int]:
        """All that lie here, complete or not."""
        return sorted(int(match[1]) for name in os.listdir(self.path) if (match := _GENERATION.fullmatch(name)))

    def current(self) -> Current:
        """What CURRENT names. Damaged: it says nothing, and there is a journal."""
        try:
            with open(os.path.join(self.path, CURRENT), "rb") as file:
                content = file.read(4096)
        except FileNotFoundError:
            if self.generations() or os.path.exists(self.seen):
                raise Damaged(0, f"the file {CURRENT} is missing in {self.path}") from None
            return Current(0, 0)
        words = content.split()
        if len(words) != 3 or content != _pointer(words[0], words[1]):
            raise Damaged(0, f"the file {CURRENT} in {self.path} is not what was written")
        match = _GENERATION.fullmatch(words[0].decode())
        return Current(int(match[1]) if match else 0, int(words[1]))

    def point_to(self, generation: int, left: int) -> None:
        """From now on this generation is the journal; OSError: nobody knows, the pointer must be read again."""
        content = _pointer(f"journal-{generation}.sqlite".encode(), str(left).encode())
        durable.write_file(os.path.join(self.path, CURRENT), content)

    def delete(self, generation: int) -> None:
        """A generation that CURRENT does not name any more."""
        for end in ("", journal_file.WAL, journal_file.SHM):
            durable.remove(self.file(generation) + end)

    def sweep(self, keep: int) -> None:
        """Remove what an earlier life left half done."""
        kept = {os.path.basename(self.file(keep)) + end for end in ("", journal_file.WAL, journal_file.SHM)}
        names = [name for name in os.listdir(self.path) if _LEFTOVER.fullmatch(name) and name not in kept]
        for name in sorted(names, key=len):  # files before their logs
            durable.remove(os.path.join(self.path, name))


def _pointer(name: bytes, left: bytes) -> bytes:
    return b"%s %s %s\n" % (name, left, blake2b(name + b" " + left, digest_size=8).hexdigest().encode())
