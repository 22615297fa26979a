"""A disk that is full: what was accepted is still written, from the reserve; later batches wait; nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightwork.config.limits import JOURNAL_RESERVE
from lightwork.config.timers import JOURNAL_FULL_S
from lightwork.store import journal_frames as frames
from lightwork.store.journal_room import Room
from tests.store.journal_client import Client, rows_in

SIZE = 24 << 20


class SmallDisk:
    """A file system of its own, that can be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def fill(self, leave: int) -> None:
        """Nearly all of it is taken."""
        with open(self.filler, "ab") as file:
            file.write(bytes(max(self.free() - leave, 0)))

    def free(self) -> int:
        """Bytes that are left."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def empty(self) -> None:
        """There is room again."""
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path) -> Iterator[SmallDisk]:
    if sys.platform != "linux" or os.geteuid():
        pytest.skip("only root may mount a small file system")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_the_reserve_is_really_taken(disk):
    room = Room(str(disk.path / "reserve"))
    before = disk.free()
    room.begin()
    assert not room.full
    assert before - disk.free() >= JOURNAL_RESERVE
    assert room.give_up()
    assert room.full
    assert not room.give_up()
    disk.fill(JOURNAL_RESERVE)
    room.look()
    assert room.full, "a reserve that leaves nothing beside it is none"
    assert list(disk.path.iterdir()) == [disk.filler]
    disk.empty()
    room.look()
    assert not room.full


def test_a_full_disk_and_its_end(disk):
    state = disk.path / "state"
    state.mkdir()
    client = Client(state).open()
    sent = [bytes([at]) * 50_000 for at in range(20)]
    client.send(1, sent[:1])
    client.until(lambda: client.durable == 1)

    disk.fill(leave=100_000)
    client.send(3, sent[1:3])
    client.send(7, sent[3:7])
    client.until(lambda: client.durable == 7 and client.full)
    assert not (state / "reserve").exists()

    disk.fill(leave=0)
    client.send(15, sent[7:15])
    for _ in range(15):  # it is tried again and again, and never answered
        client.listen(0.1)
    assert client.durable == 7
    assert client.process.poll() is None
    client.send(20, sent[15:])

    disk.empty()
    client.until(lambda: client.durable >= 20)
    last, rows = 20, [*sent]
    while client.full:  # that there is room again is noticed beside any load
        last += 1
        assert last < 10_000
        rows.append(b"%d" % last)
        client.send(last, rows[-1:])
        client.listen(0.01)
    assert (state / "reserve").stat().st_size == JOURNAL_RESERVE
    assert client.close() == 0
    assert rows_in(state) == rows
    assert client.said.count(frames.FULL) == client.said.count(frames.ROOM) == 1


def test_no_batch_waits_for_the_next_look_at_a_full_disk(disk):
    """While it is full, what finds room in the old reserve is written at once; so is the first one with room again."""
    state = disk.path / "state"
    state.mkdir()
    client = Client(state).open()
    disk.fill(leave=0)
    client.send(1, [bytes(50_000)])
    client.until(lambda: client.durable == 1 and client.full)
    began = time.monotonic()
    for last in range(2, 22):
        client.send(last, [b"%d" % last])
        client.until(lambda last=last: client.durable == last)
    assert time.monotonic() - began < 10 * JOURNAL_FULL_S
    disk.empty()
    client.until(lambda: not client.full)
    client.send(22, [b"22"])
    client.until(lambda: client.durable == 22, 10 * JOURNAL_FULL_S)
    assert client.close() == 0


def test_kill_9_while_it_is_full(disk):
    state = disk.path / "state"
    state.mkdir()
    client = Client(state).open()
    client.send(1, [b"a"])
    client.until(lambda: client.durable == 1)
    disk.fill(leave=0)
    (state / "reserve").unlink()
    disk.fill(leave=30_000)
    client.send(2, [bytes(200_000)])
    client.until(lambda: client.full)
    client.kill()
    disk.empty()
    again = Client(state).open()
    assert again.rows == [b"a"]
    assert again.close() == 0


def test_a_disk_that_is_full_before_it_is_opened(disk):
    state = disk.path / "state"
    state.mkdir()
    client = Client(state).open()
    client.send(1, [b"a"])
    assert client.close() == 0
    disk.fill(leave=0)
    again = Client(state).open()
    again.until(lambda: again.full)
    assert again.rows == [b"a"]
    again.send(1, [b"b"])
    again.until(lambda: again.durable == 1)
    assert again.close() == 0
    disk.fill(leave=0)
    nothing_left = Client(state)
    nothing_left.listen(10)
    if nothing_left.wait_end():  # refused, and said why
        assert "full" in nothing_left.failure
        assert "make room" in nothing_left.failure
    disk.empty()
    assert rows_in(state) == [b"a", b"b"]


def test_no_room_at_the_end(disk):
    """What waits for room when the input ends is lost, and that is said: it was never acknowledged."""
    state = disk.path / "state"
    state.mkdir()
    client = Client(state).open()
    (state / "reserve").unlink()
    disk.fill(leave=30_000)
    client.send(1, [bytes(300_000)])
    client.until(lambda: client.full)
    assert client.close() == 1
    assert client.durable == 0
    assert "full" in client.failure
    disk.empty()
    assert rows_in(state) == []
