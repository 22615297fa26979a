"""The reading of SQLite's log is held against SQLite's own: it must see the same transactions, whatever was damaged."""

from __future__ import annotations

import random
import sqlite3
import struct
from pathlib import Path

import pytest

from lightwork.store import journal_wal as wal
from lightwork.store.journal_wal import FRAME, FRAME_HEADER, HEADER, Found, examine
from tests.store.journals import LOG, MAIN, Files, Writer, bodies_of, crash, quick_folder

ROUNDS = 300


def sqlite_sees(content: Files, log: bytes, place: Path) -> int:
    """How many frames SQLite takes from a log."""
    content.lay(place, journal_1_sqlite_wal=log)
    connection = sqlite3.connect(place / MAIN)
    frames = int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
    connection.close()
    return frames


def big_endian(log: bytes) -> bytes:
    """The same log as a big-endian machine writes it."""
    data = bytearray(log)
    struct.pack_into(">I", data, 0, wal.MAGIC_BIG)
    before = wal.checksum(bytes(data[:24]), little=False)
    struct.pack_into(">2I", data, 24, *before)
    for at in range(HEADER.size, len(data) - FRAME + 1, FRAME):
        summed = bytes(data[at : at + 8]) + bytes(data[at + FRAME_HEADER.size : at + FRAME])
        before = wal.checksum(summed, little=False, start=before)
        struct.pack_into(">2I", data, at + 16, *before)
    return bytes(data)


@pytest.fixture(scope="module")
def logs() -> dict[str, Files]:
    """A fresh log; one that was begun anew above an older, longer one; one of a big-endian machine."""
    bodies = bodies_of(200)
    found = {}
    with quick_folder() as folder:
        for kind in ("fresh", "anew"):
            writer = Writer(folder / kind)
            for at in range(0, 100, 10):
                writer.append(bodies[at : at + 10])
            if kind == "anew":
                writer.file._logged = 1 << 30
                writer.file.tidy()
            for at in range(100, 130, 10):
                writer.append(bodies[at : at + 10])
            crash(folder / kind, folder / "copy")
            found[kind] = Files(folder / "copy")
            writer.close()
        found["big"] = Files(folder / "copy")
        found["big"].content = {**found["fresh"].content, LOG: big_endian(found["fresh"].content[LOG])}
    return found


@pytest.mark.parametrize("kind", ["fresh", "anew", "big"])
def test_an_undamaged_log(logs, kind, tmp_path):
    log = logs[kind].content[LOG]
    frames = (len(log) - HEADER.size) // FRAME
    found = examine(log)
    assert found == Found(committed=sqlite_sees(logs[kind], log, tmp_path))
    assert 0 < found.committed < frames if kind == "anew" else found.committed == frames


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fresh", "anew", "big"])
def test_damage_of_any_kind_leaves_what_sqlite_leaves(logs, kind):
    chance = random.Random(kind)
    log = logs[kind].content[LOG]
    with quick_folder() as place:
        for _ in range(ROUNDS):
            data = bytearray(log)
            at, size = chance.randrange(len(data)), chance.choice([1, 4, 8, 24, 512, FRAME, 3 * FRAME])
            kind_of_damage = chance.choice(["flip", "cut", "zeros", "noise"])
            if kind_of_damage == "flip":
                data[at] ^= 1 << chance.randrange(8)
            elif kind_of_damage == "cut":
                del data[at:]
            else:
                hit = len(data[at : at + size])
                data[at : at + size] = bytes(hit) if kind_of_damage == "zeros" else chance.randbytes(hit)
            found = examine(bytes(data))
            assert found.committed == sqlite_sees(logs[kind], bytes(data), place / "x"), (kind_of_damage, at, size)
            lost = examine(log).committed - found.committed
            assert not lost or found.dropped or kind_of_damage == "cut"  # a cut between transactions is no damage


def frames_of(log: bytes) -> list[tuple[int, ...]]:
    return [FRAME_HEADER.unpack_from(log, at) for at in range(HEADER.size, len(log) - FRAME + 1, FRAME)]


def test_a_transaction_is_one_run_of_ascending_pages(tmp_path):
    """However large it is: nothing spills in between. That tells two transactions apart."""
    writer = Writer(tmp_path)
    for count in (1, 30_000):
        before = len(frames_of((tmp_path / LOG).read_bytes()))
        writer.append([bytes(1000)] * count)
        frames = frames_of((tmp_path / LOG).read_bytes())[before:]
        assert [size != 0 for _, size, *_ in frames] == [False] * (len(frames) - 1) + [True]
        pages = [page for page, *_ in frames]
        assert pages == sorted(set(pages))
    assert len(frames) > 7000
    writer.close()


def flipped(log: bytes, at: int) -> bytes:
    data = bytearray(log)
    data[at] ^= 0x10
    return bytes(data)


@pytest.mark.parametrize("field", [0, 4, 8, 12, 16, 20, 24, 4000])
def test_each_field_of_each_frame(logs, field):
    """Torn only in the last transaction, damaged in all earlier ones; the last one is told apart by its pages."""
    log = logs["fresh"].content[LOG]
    ends = [number for number, (_, size, *_rest) in enumerate(frames_of(log), 1) if size]
    for number in range(1, ends[-1] + 1):
        found = examine(flipped(log, HEADER.size + (number - 1) * FRAME + field))
        assert found.committed == max((end for end in ends if end < number), default=0)
        assert found.dropped == (ends[-1] - found.committed) * FRAME
        if number == ends[-1]:
            assert not found.damaged, "the last frame of all: nothing is behind it"
        elif number > ends[-2]:
            assert found.last, f"frame {number} of {ends}"
            assert not found.damaged
        else:
            assert found.damaged, f"frame {number} of {ends}"
            assert found.bad == number


@pytest.mark.parametrize("at", range(32))
def test_a_bad_header_above_frames_is_damage(logs, at):
    for kind in ("fresh", "big"):
        assert examine(flipped(logs[kind].content[LOG], at)).damaged
        one = logs[kind].content[LOG][: HEADER.size + 3 * FRAME]
        assert examine(flipped(one, at)).damaged


def test_garbage_is_torn():
    chance = random.Random(3)
    for size in (1, 31, 32, 5000, 50_000):
        for content in (bytes(size), chance.randbytes(size)):
            assert examine(content) == Found(dropped=size)
    assert examine(b"") == Found()


def test_an_unfinished_transaction_is_dropped_and_said(logs):
    log = logs["fresh"].content[LOG]
    ends = [number for number, (_, size, *_rest) in enumerate(frames_of(log), 1) if size]
    cut = log[: HEADER.size + (ends[-1] - 1) * FRAME]
    assert examine(cut) == Found(committed=ends[-2], dropped=(ends[-1] - 1 - ends[-2]) * FRAME)
    assert examine(cut + bytes(FRAME)).dropped == (ends[-1] - ends[-2]) * FRAME
    assert examine(log + bytes(10)) == Found(committed=ends[-1], dropped=10)
