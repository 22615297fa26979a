"""Journals to be damaged, and what opening makes of them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lightwork.store.journal_chain import Damaged
from lightwork.store.journal_file import SHM, File
from lightwork.store.journal_generations import Folder
from lightwork.store.journal_opening import Opening
from lightwork.store.journal_witness import Seen, Witness

MAIN, LOG, CURRENT, SEEN = "journal-1.sqlite", "journal-1.sqlite-wal", "CURRENT", "SEEN"


@contextmanager
def quick_folder() -> Iterator[Path]:
    """In memory, where there is such a place: thousands of openings sync thousands of times."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(prefix="journal-", dir=place) as path:
        yield Path(path)


def bodies_of(count: int, seed: int = 1) -> list[bytes]:
    """Rows of many sizes; some do not fit into a page."""
    chance = random.Random(seed)
    return [chance.randbytes(chance.choice([0, 5, 40, 60, 80, 100])) for _ in range(count - 4)] + [
        chance.randbytes(size) for size in (4000, 5000, 9000, 15)
    ]


class Writer:
    """A journal that is written in this process, as the journal process does it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        opening = Opening(Folder(str(folder)))
        self.bodies = list(opening.bodies())
        self.torn = opening.torn
        self.file: File
        self.witness: Witness
        self.file, self.witness, self.current = opening.finish()

    def append(self, bodies: list[bytes]) -> None:
        """One transaction, acknowledged."""
        self.file.append(bodies)
        self.witness.write(Seen(self.current.generation, self.file.number, self.file.chain))
        self.bodies += bodies

    def close(self) -> None:
        """As at a regular end."""
        self.file.close()
        self.witness.close()


def crash(folder: Path, copy: Path) -> None:
    """What is on disk at this moment, as kill -9 would leave it."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in folder.iterdir():
        if not path.name.endswith(SHM):
            shutil.copyfile(path, copy / path.name)


class Files:
    """The content of a journal's folder, to be laid down again and again with a damage."""

    def __init__(self, folder: Path) -> None:
        self.content = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(SHM)}

    def lay(self, folder: Path, **changed: bytes) -> None:
        """All files, some of them changed (by name, with _ for dot and dash)."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in self.content.items():
            (folder / name).write_bytes(changed.get(name.replace("-", "_").replace(".", "_"), content))


class Outcome(NamedTuple):
    """What opening made of it."""

    kind: str  # same, prefix, refused
    rows: int
    text: str


def outcome(folder: Path, expected: list[bytes]) -> Outcome:
    """Open, use and close it. AssertionError: a wrong state, or a shorter one without a word."""
    try:
        writer = Writer(folder)
    except Damaged as error:
        assert error.record >= 0
        return Outcome("refused", 0, str(error))
    found, torn = list(writer.bodies), writer.torn
    assert found == expected[: len(found)], f"another state: {len(found)} rows"
    assert torn or len(found) == len(expected), f"{len(found)} of {len(expected)} rows, without a word"
    writer.append([b"one more", bytes(5000)])
    writer.close()
    again = Writer(folder)
    again.close()
    assert again.bodies == [*found, b"one more", bytes(5000)], "what came later is lost"
    assert not again.torn, f"said twice: {again.torn}"
    return Outcome("same" if len(found) == len(expected) else "prefix", len(found), torn)
