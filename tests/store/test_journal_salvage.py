"""`doctor --recover`: of any damaged journal, the longest part that can be proven; the rest is put aside, not lost."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from lightwork.model.errors import StartFailed, UserError
from lightwork.store import salvage as room
from lightwork.store.journal_chain import Damaged
from lightwork.store.journal_file import File, read
from lightwork.store.journal_lock import LockFile
from lightwork.store.journal_pages import Images
from lightwork.store.salvage import Report, salvage
from tests.store.journals import CURRENT, LOG, MAIN, SEEN, Files, Writer, bodies_of, crash, quick_folder

BODIES = bodies_of(400)


@pytest.fixture(scope="module")
def journals() -> dict[str, Files]:
    found = {}
    with quick_folder() as folder:
        writer = Writer(folder / "a")
        writer.append(BODIES[:250])
        writer.file.fold()
        for at in range(250, 400, 10):
            writer.append(BODIES[at : at + 10])
        crash(folder / "a", folder / "copy")
        found["logged"] = Files(folder / "copy")
        writer.close()
        found["folded"] = Files(folder / "a")
    return found


def recovered(state: Path) -> tuple[Report, list[bytes]]:
    """What salvage says, and what the journal then holds; it can be used on, and has nothing to be salvaged."""
    report = salvage(state)
    writer = Writer(state / "journal")
    bodies = list(writer.bodies)
    assert not writer.torn
    assert bodies == BODIES[: len(bodies)]
    assert len(bodies) == report.kept
    writer.append([b"life goes on"])
    writer.close()
    assert salvage(state) == Report(report.kept + 1, 0)
    return report, bodies


def test_a_damaged_row(journals, tmp_path):
    content = journals["folded"].content[MAIN]
    at = content.index(BODIES[300][:30])
    damaged = content[:at] + b"?" + content[at + 1 :]
    journals["folded"].lay(tmp_path / "journal", journal_1_sqlite=damaged)
    with pytest.raises(Damaged, match="record 301"):
        Writer(tmp_path / "journal")
    report, _ = recovered(tmp_path)
    assert (report.kept, report.lost, report.first_bad) == (300, 100, 301)
    assert "record 301" in report.reason
    assert report.aside == tmp_path / "damaged-1"
    assert (tmp_path / "damaged-1" / MAIN).read_bytes() == damaged
    assert [path.name for path in (tmp_path / "journal").glob("*.sqlite")] == ["journal-2.sqlite"]


@pytest.mark.parametrize("name", [MAIN, CURRENT])
@pytest.mark.parametrize("at", range(0, 36, 5))
def test_a_damaged_header_or_pointer_costs_nothing(journals, tmp_path, name, at):
    content = bytearray(journals["folded"].content[name])
    content[at] ^= 0x55
    journals["folded"].lay(tmp_path / "journal", **{name.replace("-", "_").replace(".", "_"): bytes(content)})
    report, bodies = recovered(tmp_path)
    assert bodies == BODIES
    assert report.lost == 0


def test_a_damaged_row_0_costs_nothing(journals, tmp_path):
    content = journals["folded"].content[MAIN]
    damaged = content.replace(b"lightwork journal 1", b"lightwork journal 7")
    journals["folded"].lay(tmp_path / "journal", journal_1_sqlite=damaged)
    report, bodies = recovered(tmp_path)
    assert (bodies, report.lost) == (BODIES, 0)


def test_a_damaged_log(journals, tmp_path):
    """What SQLite would drop behind a bad frame is still proven by the chain, unless the frame held a row alone."""
    content = bytearray(journals["logged"].content[LOG])
    content[32 + 4120 + 16] ^= 1  # a checksum of the second frame
    journals["logged"].lay(tmp_path / "journal", journal_1_sqlite_wal=bytes(content))
    with pytest.raises(Damaged):
        Writer(tmp_path / "journal")
    report, bodies = recovered(tmp_path)
    assert (bodies, report.lost) == (BODIES, 0)
    assert report.aside is not None
    assert (report.aside / LOG).read_bytes() == bytes(content)


@pytest.mark.slow
def test_any_damage(journals):
    chance = random.Random(9)
    kept = []
    for _ in range(60):
        kind = chance.choice(["folded", "logged"])
        name = chance.choice([MAIN, LOG] if kind == "logged" else [MAIN])
        content = bytearray(journals[kind].content[name])
        for _ in range(chance.choice([1, 1, 5])):
            at = chance.randrange(len(content))
            size = chance.choice([1, 100, 512, 4096])
            content[at : at + size] = chance.randbytes(len(content[at : at + size]))
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        with quick_folder() as folder:
            key = name.replace("-", "_").replace(".", "_")
            journals[kind].lay(folder / "journal", **{key: bytes(content)})
            try:
                Writer(folder / "journal").close()
            except Damaged:
                kept.append(recovered(folder)[0].kept)
    assert len(kept) > 30
    assert max(kept) > 300


def test_a_journal_that_is_whole_is_left_alone(journals, tmp_path):
    journals["logged"].lay(tmp_path / "journal")
    before = {path.name: path.read_bytes() for path in (tmp_path / "journal").iterdir() if "shm" not in path.name}
    assert salvage(tmp_path) == Report(400, 0)
    after = {path.name: path.read_bytes() for path in (tmp_path / "journal").iterdir() if "shm" not in path.name}
    assert after == before
    assert not (tmp_path / "damaged-1").exists()


def test_a_scheduler_that_works_there(journals, tmp_path):
    journals["folded"].lay(tmp_path / "journal")
    lock = LockFile(str(tmp_path / "lock"))
    lock.take("process 5 on lab1")
    with pytest.raises(StartFailed, match="process 5 on lab1"):
        salvage(tmp_path)
    lock.release()
    assert salvage(tmp_path).kept == 400


def test_no_journal(tmp_path):
    with pytest.raises(UserError, match="there is no journal"):
        salvage(tmp_path)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / SEEN).write_bytes(b"")
    with pytest.raises(UserError, match="no journal left"):
        salvage(tmp_path)


def test_a_crash_in_the_middle_of_it(journals, tmp_path, monkeypatch):
    """At each step either the damaged journal is there, which is refused, or the new one."""
    content = bytearray(journals["folded"].content[MAIN])
    content[len(content) // 2] ^= 1
    steps = ["_put_aside", "Witness", "_batches", "read"]
    for step in steps:
        state = tmp_path / step
        state.mkdir()
        journals["folded"].lay(state / "journal", journal_1_sqlite=bytes(content))
        with monkeypatch.context() as patch:
            patch.setattr(room, step, _crash)
            with pytest.raises(KeyboardInterrupt):
                salvage(state)
        try:
            Writer(state / "journal").close()
        except Damaged:
            recovered(state)
        else:
            assert step == "Witness"


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_two_journals_one_after_the_other(journals, tmp_path):
    """A second damage is put aside beside the first."""
    for number in (1, 2):
        content = bytearray(journals["folded"].content[MAIN])
        content[len(content) // 2] ^= 1
        journals["folded"].lay(tmp_path / "journal", journal_1_sqlite=bytes(content))
        assert salvage(tmp_path).aside == tmp_path / f"damaged-{number}"


@pytest.mark.parametrize("size", [0, 1, 4018, 4019, 4020, 4033, 4034, 4050, 4061, 4100, 8190, 70_000])
def test_rows_of_all_sizes_are_read_from_raw_pages(tmp_path, size):
    path = str(tmp_path / "x.sqlite")
    file = File.create(path, 1)
    bodies = [bytes([at]) * (size + at) for at in range(5)]
    file.append(bodies)
    file.append([b"end"])
    images = Images(Path(path).read_bytes(), Path(path + "-wal").read_bytes())
    assert list(images.rows()) == list(read(path))
    file.fold()
    assert list(Images(Path(path).read_bytes(), b"").rows()) == list(read(path))
    file.close()


def test_it_reads_what_sqlite_refuses(tmp_path):
    path = tmp_path / "x.sqlite"
    file = File.create(str(path), 1)
    file.append(BODIES)
    file.fold()
    file.close()
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM rows")
    assert [body for number, body, _ in Images(path.read_bytes(), b"").rows() if number] == BODIES
