"""Opening the journal: all of it is verified, and the outcome is the state that was, a prefix and a sentence that says
so, or a refusal (Damaged).

    CURRENT ok? -- log's frames ok? -- rows, head, structure ok? -- all that was acknowledged there? -- header ok?
                      | torn: a sentence                               | no: a sentence, or damage
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from lightwork.store import journal_file, journal_wal, journal_witness
from lightwork.store.journal_chain import Damaged, generation_of
from lightwork.store.journal_file import WAL, File
from lightwork.store.journal_generations import Current, Folder
from lightwork.store.journal_witness import Seen, Witness


class Opening:
    """Read `bodies` to the end, then `finish`. Until then nothing has been changed."""

    def __init__(self, folder: Folder) -> None:
        self.current = folder.current()
        self.torn = ""
        self._folder = folder
        self._path = folder.file(self.current.generation)
        self._number = 0
        self._log = journal_wal.Found()
        self._seen: Seen | None = None
        self._doubt = ""
        if self.current.generation:
            self._look()

    def _look(self) -> None:
        """At everything but the rows."""
        try:
            journal_file.check_start(self._path)
            self._log = journal_wal.examine(_content(self._path + WAL))
            if not self._log.committed:
                journal_file.check_header(self._path)  # else it is in the log, and checked once that is folded in
        except OSError as error:
            raise Damaged(0, f"{self._path} cannot be read: {error.strerror or error}") from error
        try:
            self._seen = journal_witness.read(self._folder.seen)
        except (ValueError, OSError) as error:
            self._doubt = f"whether all that was acknowledged is there cannot be told: {error}"
        if self._seen is not None and self._seen.generation > self.current.generation:
            raise Damaged(0, f"a later generation was in use than {os.path.basename(self._path)}")

    def bodies(self) -> Iterator[bytes]:
        """All that was recorded, in order. Damaged: none of it may be used."""
        if not self.current.generation:
            return
        seen = self._seen if self._seen is not None and self._seen.generation == self.current.generation else None
        acknowledged = seen.number if seen is not None else 0
        for number, body, chain in journal_file.read(self._path):
            self._number = number
            if seen is not None and number == acknowledged and chain != seen.chain:
                raise Damaged(number, "another one was acknowledged")
            if number:
                yield body
            elif generation_of(body) != self.current.generation:
                raise Damaged(0, f"{self._path} holds another generation")
        self._judge(acknowledged)

    def _judge(self, acknowledged: int) -> None:
        """What the log lost, if anything."""
        log, number = self._log, self._number
        if log.damaged or (log.last and acknowledged > number):
            where = f"frame {log.bad:,} of" if log.bad else "the header of"
            raise Damaged(number + 1, f"{where} {self._path}{WAL} is bad, and what was written later is there")
        parts = []
        if log.dropped:
            parts.append(f"its last write was not finished, {log.dropped:,} bytes behind record {number:,} are dropped")
        if acknowledged > number:
            parts.append(f"records {number + 1:,} to {acknowledged:,} had been acknowledged and are LOST")
        parts += [self._doubt] if self._doubt else []
        self.torn = f"the journal in {self._folder.path}: {'; '.join(parts)}" if parts else ""

    def finish(self) -> tuple[File, Witness, Current]:
        """The journal, open for writing, its log empty."""
        if self.current.generation:
            file = File(self._path)
            file.fold()
            journal_file.check_header(self._path)
            self._folder.sweep(self.current.generation)
        else:
            file = self._begin()
        witness = Witness(self._folder.seen)
        witness.write(Seen(self.current.generation, file.number, file.chain))
        witness.sync()
        return file, witness, self.current

    def _begin(self) -> File:
        """The first generation of all; CURRENT says that there is none until it is complete."""
        self._folder.point_to(0, 0)
        self._folder.sweep(0)
        file = File.create(self._folder.file(1), 1)
        file.fold()
        self._folder.point_to(1, 0)
        self.current = Current(1, 0)
        return file


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
