"""Compaction, a process of its own: `python -P -m lightwork.scheduler.service.compaction DIRECTORY UPTO`.

    journal-3.sqlite --rows up to UPTO--> Ledger --facts--> compacting-PID.sqlite --read again--> Ledger: the same?

It prints the name of a file that is complete and synced, and the journal process adopts it; or what is wrong. It only
reads what others write, so it may die at any moment; it does so when its scheduler does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from hashlib import blake2b

import msgspec

from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.store import durable, journal_file
from lightwork.store.journal_chain import Damaged
from lightwork.store.journal_generations import Folder
from lightwork.store.journal_pipe import Input
from lightwork.store.journal_process import FOLDER

ROWS = 1000  # in one transaction
BYTES = 1 << 20
NICE = 10


class Alone(Exception):
    """Nobody waits for this any more."""


def compact(folder: Folder, upto: int, parent: Input | None = None) -> str:
    """The path of a new file that says what rows up to `upto` say. Damaged: the old one is not right."""
    generation = folder.current().generation
    path = os.path.join(folder.path, f"compacting-{os.getpid()}.sqlite")
    _sweep(folder)
    bodies = (body for number, body, _ in journal_file.read(folder.file(generation), upto) if number)
    ledger = replay(_watched(bodies, parent))
    file = journal_file.File.create(path, generation + 1, lasting=False)
    try:
        said = _write(file, _watched(map(msgspec.msgpack.encode, ledger.facts()), parent))
        file.fold()
    finally:
        file.close()
    durable.sync_file(path)
    durable.sync_folder(folder.path)
    del ledger
    _check(path, said, parent)
    for end in (journal_file.WAL, journal_file.SHM):  # empty; it has only been read
        durable.remove(path + end)
    return path


def _sweep(folder: Folder) -> None:
    """There is one compaction at a time: whatever another one has left is of no use."""
    for name in os.listdir(folder.path):
        if name.startswith("compacting-"):
            durable.remove(os.path.join(folder.path, name))


def replay(bodies: Iterable[bytes]) -> Ledger:
    """What rows make of an empty ledger."""
    ledger, decode = Ledger(), msgspec.msgpack.Decoder(Fact).decode
    for body in bodies:
        ledger.apply(decode(body))
    return ledger


def _write(file: journal_file.File, bodies: Iterable[bytes]) -> bytes:
    """A digest of what was written."""
    state, batch, size = blake2b(), [], 0
    for body in bodies:
        state.update(body)
        batch.append(body)
        size += len(body)
        if len(batch) >= ROWS or size >= BYTES:
            file.append(batch)
            file.tidy()
            batch, size = [], 0
    if batch:
        file.append(batch)
    return state.digest()


def _check(path: str, said: bytes, parent: Input | None) -> None:
    """Before the old file goes: does the new one say the same?"""
    journal_file.check_header(path)
    ledger = replay(_watched((body for number, body, _ in journal_file.read(path) if number), parent))
    state = blake2b()
    for fact in ledger.facts():
        state.update(msgspec.msgpack.encode(fact))
    if state.digest() != said:
        raise Damaged(0, f"{path} does not say what it should")


def _watched(bodies: Iterable[bytes], parent: Input | None) -> Iterator[bytes]:
    """The same. Alone: the scheduler has gone meanwhile."""
    for count, body in enumerate(bodies):
        if parent is not None and count % ROWS == 0 and parent.ready(0.0):
            raise Alone
        yield body


def main(directory: str, upto: str) -> int:
    """The process."""
    if sys.platform != "win32":
        os.nice(NICE)
    folder = Folder(os.path.join(directory, FOLDER))
    try:
        path = compact(folder, int(upto), Input(sys.stdin.fileno()))
    except Alone:
        return 1
    except (Damaged, OSError, journal_file.DatabaseError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    sys.stdout.write(os.path.basename(path) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
