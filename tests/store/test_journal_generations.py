"""A compacted file takes the journal's place: a crash at any moment leaves one that opens, with all that was
acknowledged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightwork.store import durable, journal_adoption, journal_generations
from lightwork.store.journal_adoption import Adoption
from lightwork.store.journal_chain import Damaged
from lightwork.store.journal_file import File
from lightwork.store.journal_generations import Folder
from lightwork.store.journal_opening import Opening
from lightwork.store.journal_witness import Seen
from tests.store.journals import Writer, bodies_of, crash

BODIES = bodies_of(60)
COMPACTED = [b"all of it", b"in two rows"]
LATER = [b"later %d" % number for number in range(20)]


def compacted(folder: Path, generation: int, name: str = "compacting-1.sqlite") -> str:
    """What a compaction makes of BODIES."""
    file = File.create(str(folder / name), generation, lasting=False)
    file.append(COMPACTED)
    file.fold()
    file.close()
    return name


def adopt(writer: Writer, folder: Path) -> None:
    """As the journal process does it, with commits in between."""
    name = compacted(folder, 2)
    adoption = Adoption(Folder(str(folder)), 2, name, len(BODIES))
    writer.append(LATER[:10])
    assert adoption.copy(writer.file)
    writer.append(LATER[10:])
    adoption.finish(writer.file)
    old, writer.file, writer.current = writer.file, adoption.file, journal_generations.Current(2, adoption.left)
    writer.witness.write(Seen(2, writer.file.number, writer.file.chain))
    old.close()
    Folder(str(folder)).delete(1)


class Crashes:
    """Copies of a folder before and after each thing that changes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, copies: Path) -> None:
        self.folder, self.copies = folder, copies
        self.taken: list[tuple[Path, int]] = []
        self.now: Callable[[], int] = lambda: 0
        for owner, name in (
            (os, "replace"),
            (os, "unlink"),
            (durable, "sync_folder"),
            (File, "append"),
            (File, "fold"),
            (File, "close"),
        ):
            monkeypatch.setattr(owner, name, self.watched(getattr(owner, name), name))

    def watched(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.take(f"before {name}")
            try:
                return function(*args, **kwargs)
            finally:
                self.take(f"after {name}")

        return call

    def take(self, what: str) -> None:
        copy = self.copies / f"{len(self.taken)} {what}"
        copy.mkdir(parents=True)
        for path in self.folder.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        self.taken.append((copy, self.now()))


def test_a_crash_at_each_step_of_an_adoption(monkeypatch, tmp_path):
    folder = tmp_path / "journal"
    writer = Writer(folder)
    writer.append(BODIES)
    with monkeypatch.context() as patch:
        crashes = Crashes(patch, folder, tmp_path / "copies")
        crashes.now = lambda: len(writer.bodies) - len(BODIES)
        adopt(writer, folder)
        crashes.take("in the end")
    assert len(crashes.taken) > 30
    generations = []
    for copy, acknowledged in crashes.taken:
        again = Writer(copy)
        generations.append(again.current.generation)
        before = BODIES if again.current.generation == 1 else COMPACTED
        assert again.bodies[: len(before)] == before, copy
        assert again.bodies[len(before) :] == LATER[: len(again.bodies) - len(before)], copy
        assert len(again.bodies) >= len(before) + acknowledged, copy
        assert not again.torn, copy
        again.close()
        assert sorted(path.name for path in copy.iterdir()) == [
            "CURRENT",
            "SEEN",
            f"journal-{again.current.generation}.sqlite",
        ]
    assert generations == sorted(generations)
    assert set(generations) == {1, 2}
    writer.close()


def test_a_crash_at_each_step_of_the_first_opening(monkeypatch, tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir()
    with monkeypatch.context() as patch:
        crashes = Crashes(patch, folder, tmp_path / "copies")
        Writer(folder).close()
    for copy, _ in crashes.taken:
        again = Writer(copy)
        assert again.bodies == []
        again.append(BODIES)
        again.close()
        assert Writer(copy).bodies == BODIES


def test_what_cannot_be_adopted_changes_nothing(tmp_path):
    writer = Writer(tmp_path)
    writer.append(BODIES)
    folder = Folder(str(tmp_path))
    with pytest.raises(Damaged, match="no compacted file"):
        Adoption(folder, 2, "../compacting-1.sqlite", 3)
    with pytest.raises(FileNotFoundError):
        Adoption(folder, 2, "compacting-5.sqlite", 3)
    with pytest.raises(Damaged, match="generation 2"):
        Adoption(folder, 2, compacted(tmp_path, 7), 3)
    assert folder.generations() == [1]
    with pytest.raises((Damaged, sqlite3.Error)):
        (tmp_path / "compacting-3.sqlite").write_bytes(b"")
        Adoption(folder, 2, "compacting-3.sqlite", 3)
    writer.close()
    again = Writer(tmp_path)
    assert again.bodies == BODIES
    again.close()


def test_many_rows_that_come_meanwhile_are_copied_in_parts(monkeypatch, tmp_path):
    monkeypatch.setattr(journal_adoption, "SLICE_BYTES", 2000)
    writer = Writer(tmp_path)
    writer.append(BODIES)
    adoption = Adoption(Folder(str(tmp_path)), 2, compacted(tmp_path, 2), len(BODIES))
    rows, turns = [b"%d" % number + bytes(40) for number in range(4000)], 0
    writer.append(rows)
    while not adoption.copy(writer.file):
        rows.append(b"row %d" % turns)
        writer.append(rows[-1:])
        turns += 1
    assert 50 < turns < 1000
    adoption.finish(writer.file)
    adoption.file.close()
    writer.close()
    again = Writer(tmp_path)
    assert again.bodies == COMPACTED + rows
    again.close()


def test_a_journal_without_its_pointer_is_no_new_one(tmp_path):
    writer = Writer(tmp_path)
    writer.append(BODIES)
    writer.close()
    (tmp_path / "CURRENT").unlink()
    with pytest.raises(Damaged, match="CURRENT is missing"):
        Opening(Folder(str(tmp_path)))
    (tmp_path / "journal-1.sqlite").unlink()
    with pytest.raises(Damaged, match="CURRENT is missing"):
        Opening(Folder(str(tmp_path)))


def test_a_pointer_that_went_back(tmp_path):
    folder, copy = tmp_path / "journal", tmp_path / "copy"
    writer = Writer(folder)
    writer.append(BODIES)
    crash(folder, copy)
    adopt(writer, folder)
    writer.close()
    for name in ("CURRENT", "journal-1.sqlite"):
        (folder / name).write_bytes((copy / name).read_bytes())
        with pytest.raises(Damaged):
            Opening(Folder(str(folder)))


def test_a_file_of_another_generation_or_journal(tmp_path):
    writers = [Writer(tmp_path / name) for name in "ab"]
    for writer in writers:
        writer.append(BODIES)
        writer.close()
    ours, theirs = tmp_path / "a" / "journal-1.sqlite", tmp_path / "b" / "journal-1.sqlite"
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(Damaged, match="another one was acknowledged"):
        Writer(tmp_path / "a")
    (tmp_path / "a" / "SEEN").unlink()
    assert "cannot be told" in Writer(tmp_path / "a").torn


def test_rows_that_the_head_does_not_know(tmp_path):
    """The last leaf as it was before the last transaction: valid in itself, and the chain ends a little earlier."""
    writer = Writer(tmp_path)
    writer.append(BODIES)
    writer.close()
    with sqlite3.connect(tmp_path / "journal-1.sqlite") as connection:
        connection.execute("DELETE FROM rows WHERE number = ?", (len(BODIES),))
    connection.close()
    with pytest.raises(Damaged, match=r"record 60 .*only 59 are there"):
        Writer(tmp_path)


def test_structure_that_is_not_ours(tmp_path):
    for line in ("CREATE TABLE other (x)", "PRAGMA user_version=3", "DROP TABLE head", "PRAGMA journal_mode=DELETE"):
        folder = tmp_path / str(abs(hash(line)))
        writer = Writer(folder)
        writer.append(BODIES)
        writer.close()
        connection = sqlite3.connect(folder / "journal-1.sqlite", isolation_level=None)
        connection.execute(line).fetchall()
        connection.close()
        with pytest.raises(Damaged):
            Writer(folder)


def test_the_cost_of_a_row(tmp_path):
    writer = Writer(tmp_path)
    writer.append([bytes(60)] * 10_000)
    writer.close()
    size = os.path.getsize(tmp_path / "journal-1.sqlite")
    assert size < 10_000 * 100
