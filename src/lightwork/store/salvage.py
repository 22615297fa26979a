"""`lightwork doctor --recover DIRECTORY`: a new journal of all that can still be proven, the damaged files put aside.

    damaged journal --rows from the first on, as far as their chain goes--> a new generation --> CURRENT
                    \\-- all of its files --> damaged-1/

At every moment either the damaged journal is there, which is refused, or the new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lightwork.model.errors import StartFailed, UserError
from lightwork.store import durable, journal_witness
from lightwork.store.journal_chain import Damaged
from lightwork.store.journal_file import WAL, File, read
from lightwork.store.journal_generations import CURRENT, SEEN, Current, Folder
from lightwork.store.journal_lock import Held, LockFile
from lightwork.store.journal_opening import Opening
from lightwork.store.journal_pages import Images
from lightwork.store.journal_process import FOLDER, LOCK
from lightwork.store.journal_witness import Seen, Witness

ROWS = 1000  # in one transaction


class Report(NamedTuple):
    """What could be saved. `first_bad`: the record at which it ended; 0: nothing was damaged, nothing was done."""

    kept: int
    lost: int  # behind the first bad one, as far as they can be counted
    first_bad: int = 0
    reason: str = ""
    aside: Path | None = None


def salvage(directory: Path) -> Report:
    """StartFailed: a scheduler works there. UserError: there is no journal. OSError: the disk does not let us."""
    folder = Folder(str(directory / FOLDER))
    if not os.path.isdir(folder.path):
        raise UserError(f"there is no journal in {directory}", hint="name the scheduler's state directory")
    with _locked(directory):
        reason, kept = _doubt(folder)
        if not reason:
            return Report(kept, 0)
        return _salvage(directory, folder, reason)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    locks = [LockFile(str(directory / name)) for name in ("lock", LOCK)]
    try:
        for lock in locks:
            lock.take(f"process {os.getpid()}, which recovers the journal")
        yield
    except Held as held:
        raise StartFailed(f"a scheduler works in {directory}: {held.owner}", hint="stop it first") from None
    finally:
        for lock in locks:
            lock.release()


def _doubt(folder: Folder) -> tuple[str, int]:
    """Why a scheduler would refuse it ("": it would not), and how many rows there are."""
    try:
        opening = Opening(folder)
        return "", sum(1 for _ in opening.bodies())
    except Damaged as error:
        return str(error), 0


def _salvage(directory: Path, folder: Folder, reason: str) -> Report:
    source = _source(folder)
    images = Images(_content(folder.file(source)), _content(folder.file(source) + WAL))
    known = max((number for number in images.cells if number < 1 << 40), default=0)
    generation = max([source, *folder.generations()]) + 1
    path = os.path.join(folder.path, f"compacting-{os.getpid()}.sqlite")
    durable.remove(path)
    file = File.create(path, generation, lasting=False)
    for bodies in _batches(images):
        file.append(bodies)
    file.fold()
    last, chain, size = file.number, file.chain, file.size
    file.close()
    durable.sync_file(path)
    kept = sum(1 for _ in read(path)) - 1
    known = max(known, _acknowledged(folder, source))
    aside = _put_aside(directory, folder)
    old = folder.generations()
    os.replace(path, folder.file(generation))
    durable.remove(folder.seen)
    folder.point_to(generation, size)
    witness = Witness(folder.seen)
    witness.write(Seen(generation, last, chain))
    witness.sync()
    witness.close()
    for number in old:
        folder.delete(number)
    folder.sweep(generation)
    return Report(kept, max(known - kept, 0), kept + 1, reason, aside)


def _source(folder: Folder) -> int:
    """The generation that was in use: what CURRENT says, else the lowest, which is complete whenever it is there."""
    there = folder.generations()
    if not there:
        raise UserError(f"there is no journal left in {folder.path}", hint="restore it from a backup")
    try:
        current = folder.current()
    except Damaged:
        current = Current(0, 0)
    return current.generation if current.generation in there else there[0]


def _batches(images: Images) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for number, body, _ in images.rows():
        if number:
            batch.append(body)
        if len(batch) >= ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _acknowledged(folder: Folder, generation: int) -> int:
    """How many rows were, as far as the witness knows."""
    try:
        seen = journal_witness.read(folder.seen)
    except (OSError, ValueError):  # damaged as well: then it counts nothing
        return 0
    return seen.number if seen.generation == generation else 0


def _put_aside(directory: Path, folder: Folder) -> Path:
    """All of the journal's files as they are, once more, in a folder of their own."""
    number = 1
    while (aside := directory / f"damaged-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for name in sorted(os.listdir(folder.path)):
        if name in {CURRENT, SEEN} or name.startswith("journal-"):
            _keep(os.path.join(folder.path, name), str(aside / name), copy=name == SEEN)
    durable.sync_folder(str(aside))
    durable.sync_folder(str(directory))
    return aside


def _keep(source: str, target: str, *, copy: bool) -> None:
    link: Callable[[str, str], object] = shutil.copy2 if copy else os.link
    try:
        link(source, target)
    except OSError:  # no hard links on this file system
        shutil.copy2(source, target)
    durable.sync_file(target)


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:  # no log
        return b""
