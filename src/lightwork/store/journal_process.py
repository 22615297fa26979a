"""The process that owns the journal: `python -P -m lightwork.store.journal_process DIRECTORY`.

    read all batches that are there --> one transaction, synced --> witness --> answer the last number --> read ...

Nothing else happens here, for it must be fast beside any load: one thread, next to no imports. Whatever waits on the
pipes while the disk works goes into the next transaction (group commit). It ends at the end of its input, when all that
was in the pipe is on disk: signals do not end it, nor does the death of its parent before that.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time

from lightwork.config import timers
from lightwork.store import journal_frames as frames
from lightwork.store.journal_adoption import Adoption
from lightwork.store.journal_chain import HINT, Damaged
from lightwork.store.journal_file import Busy, File
from lightwork.store.journal_frames import NUMBERS
from lightwork.store.journal_generations import Current, Folder
from lightwork.store.journal_lock import Held, LockFile
from lightwork.store.journal_opening import Opening
from lightwork.store.journal_pipe import Input, Output
from lightwork.store.journal_room import Room, is_full
from lightwork.store.journal_witness import Seen, Witness

FOLDER, RESERVE, LOCK = "journal", "reserve", "journal.lock"
ROWS_BYTES = 1 << 20  # in one frame at the opening


class Failed(Exception):
    """The journal can take no more."""


class Keeper:
    """The journal, its pipes, and what waits to be written."""

    def __init__(self, directory: str, source: Input, sink: Output) -> None:
        self._directory = directory
        self._source = source
        self._sink = sink
        self._room = Room(os.path.join(directory, RESERVE))
        self._told_full = False
        self._folder = Folder(os.path.join(directory, FOLDER))
        self._waiting: list[bytes] = []
        self._again = 0.0  # monotonic time before which what could not be written is not tried again
        self._look_again = 0.0  # and before which a new reserve is not; what the old one left room for is written
        self._last = 0  # what DURABLE will say
        self._adoption: Adoption | None = None
        self._file: File
        self._witness: Witness
        self._current: Current

    # --- opening ---

    def open(self) -> None:
        """Read and tell all of it. Damaged, sqlite3.Error, OSError: it is not opened."""
        os.makedirs(self._folder.path, mode=0o700, exist_ok=True)
        self._room.begin()
        opening = Opening(self._folder)
        bodies: list[bytes] = []
        size = 0
        for body in opening.bodies():
            bodies.append(body)
            size += len(body)
            if size >= ROWS_BYTES:
                self._sink.say(frames.batch(frames.ROWS, 0, bodies))
                bodies, size = [], 0
        if bodies:
            self._sink.say(frames.batch(frames.ROWS, 0, bodies))
        self._file, self._witness, self._current = opening.finish()
        told = NUMBERS.pack(self._file.number, self._file.size, self._current.left)
        self._sink.say(frames.frame(frames.OPENED, told + opening.torn.encode()))
        self._look_for_room()

    # --- the loop ---

    def run(self) -> None:
        """Until the input ends. Failed, sqlite3.Error, OSError: the disk does not do what it should."""
        while not self._source.ended:
            self._read()
            self._write()
            if self._adoption is not None:
                self._adopt_some(self._adoption)
            if not self._waiting:
                self._tidy()
            self._look_for_room()
        self._again = 0.0
        self._write()
        if self._waiting:
            raise Failed("the disk is full; what was not acknowledged is lost with this process")
        if self._adoption is not None:
            self._adoption.undo()
        self._file.close()
        self._witness.close()

    def _read(self) -> None:
        """All that is there; wait for it if there is nothing else to do."""
        if not self._source.ready(0.0 if self._adoption else timers.JOURNAL_FULL_S if self._room.full else None):
            return
        for kind, content in self._source.read():
            if kind == frames.BATCH:
                self._last, bodies = frames.unpack_batch(content)
                self._waiting += bodies
            elif kind == frames.ADOPT:
                self._adopt(content)

    def _write(self) -> None:
        """All that waits, in one transaction; answered when it is on disk."""
        if not self._waiting or time.monotonic() < self._again:
            return
        try:
            self._file.append(self._waiting)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            if self._room.give_up():
                self._write()
            else:
                self._again = time.monotonic() + timers.JOURNAL_FULL_S
            return
        self._waiting.clear()
        self._witness.write(Seen(self._current.generation, self._file.number, self._file.chain))
        numbers = NUMBERS.pack(self._last, self._file.number, self._file.size)
        self._sink.say(frames.frame(frames.DURABLE, numbers))

    def _tidy(self) -> None:
        try:
            self._file.tidy()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            self._room.give_up()  # the log grows instead, and is tried again later

    def _look_for_room(self) -> None:
        """For a new reserve, once all that waited is written; what has changed is told."""
        if self._room.full and not self._waiting and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + timers.JOURNAL_FULL_S
            self._room.look()
        if self._room.full != self._told_full:
            self._told_full = self._room.full
            self._sink.say(frames.frame(frames.FULL if self._told_full else frames.ROOM))

    # --- compaction ---

    def _adopt(self, content: bytes) -> None:
        upto, _, _ = NUMBERS.unpack_from(content)
        name = content[NUMBERS.size :].decode()
        try:
            if self._adoption is not None or upto > self._file.number:
                raise Damaged(upto, "this compacted file comes at the wrong time")
            self._adoption = Adoption(self._folder, self._current.generation + 1, name, upto)
        except (Damaged, OSError, sqlite3.Error) as error:  # nothing depends on a file that is only going to be ours
            self._sink.say(frames.frame(frames.ABANDONED, str(error).encode()))

    def _adopt_some(self, adoption: Adoption) -> None:
        """A part of it; commits come between the parts."""
        try:
            if not adoption.copy(self._file):
                return
            adoption.finish(self._file)
        except (OSError, sqlite3.Error) as error:
            harmless = is_full(error) or isinstance(error, Busy)
            if not harmless or self._folder.current() != self._current:
                raise
            adoption.undo()
            self._adoption = None
            self._sink.say(frames.frame(frames.ABANDONED, str(error).encode()))
            return
        old, generation = self._file, self._current.generation
        self._adoption, self._file, self._current = None, adoption.file, Current(adoption.generation, adoption.left)
        self._witness.write(Seen(adoption.generation, self._file.number, self._file.chain))
        old.close()
        self._folder.delete(generation)
        numbers = NUMBERS.pack(self._file.number, self._file.size, adoption.left)
        self._sink.say(frames.frame(frames.ADOPTED, numbers))


def main(directory: str) -> int:
    """The process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sink = Output(sys.stdout.fileno())
    lock = LockFile(os.path.join(directory, LOCK))
    try:
        lock.take(str(os.getpid()), timers.JOURNAL_PREDECESSOR_S)
        keeper = Keeper(directory, Input(sys.stdin.fileno()), sink)
        keeper.open()
        keeper.run()
    except Damaged as error:
        return _fail(sink, str(error), f"{HINT} {directory}")
    except Held as error:
        return _fail(sink, f"process {error.owner} of an earlier scheduler still writes the journal in {directory}", "")
    except (OSError, sqlite3.Error, Failed) as error:
        hint = "make room on its disk" if is_full(error) else "look at its disk; what was acknowledged is safe"
        return _fail(sink, f"the journal in {directory} failed: {error}", hint)
    return 0


def _fail(sink: Output, message: str, hint: str) -> int:
    sink.say(frames.frame(frames.FAILED, f"{message}\0{hint}".encode()))
    return 1


if __name__ == "__main__":
    os._exit(main(sys.argv[1]))  # without closing: what failed to sync is not tried again on the way out
