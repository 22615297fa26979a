"""What a killed agent left, taken up by one that is killed as well, at any step: all of it is there in the end."""

from __future__ import annotations

import asyncio
import mmap
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lightwork.config import limits, paths
from lightwork.node.service.agent import Agent, AgentOptions
from lightwork.node.service.clean_up import clean_up
from lightwork.node.service.custody import Custody
from lightwork.node.service.directories import Directories
from lightwork.node.service.durable import harvest_all, open_custody
from lightwork.node.service.era import Era
from lightwork.node.service.kept import Kept
from lightwork.node.service.ring import Ring
from lightwork.wire.messages import Assign, AttemptFile, Died, Ended, JobOptions
from lightwork.wire.outcome import APART, DIED, ENVELOPE, EXITED, RETURNED, REVOKED, Outcome, encode_outcome
from lightwork.wire.shared_file import STARTED, STARTED_NS, RingWriter


class Killed(BaseException):
    pass


def writer(path: Path) -> RingWriter:
    """A worker's end of a new ring; it is unmapped with it."""
    Ring(path, lasting=True).close()
    with open(path, "r+b") as file:
        return RingWriter(memoryview(mmap.mmap(file.fileno(), 0)))


def leave(root: Path) -> None:
    """As an agent that was killed."""
    directories = Directories(root)
    directories.make()
    one = Custody(directories.enter("d1"), lambda: 0, lambda text: None)
    one.load()
    one.assigned(Assign("s", "f", list(range(1, 12)), [0] * 11, JobOptions(), numbers=[101]))
    one.note(Ended([1], [0], [5], [5], [1]), b"1")
    one.close()
    ring = writer(directories.workers / "77-1.ring")
    put = ring.put
    put(1, 1, 1, RETURNED, b"1")  # kept already: killed before its room was free
    put(2, 1, 1, RETURNED, b"two")
    put(3, 1, 1, REVOKED, b"")
    put(4, 1, 1, RETURNED | APART, b"")
    spool(directories, 4, "value", b"large")
    put(5, 1, 1, RETURNED | APART | ENVELOPE, encode_outcome(Outcome(b"")))
    note(directories, 5, ("*.txt", "sub/*"))
    for name in ("a.txt", "sub/b"):
        path = directories.job(5) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    spool(directories, 5, "value", b"five")
    spool(directories, 5, "new1", b"sent first")
    spool(directories, 5, "new1.name", b"one.dat")
    spool(directories, 5, "new2", b"sent second")
    spool(directories, 5, "new2.name", b"two.dat")
    ring.words[STARTED_NS], ring.words[STARTED] = 1, 6  # it ran when its agent died
    spool(directories, 6, "value", b"half a val")
    died_program(directories, "77-2.ring", 7, b"9")
    died_program(directories, "77-3.ring", 8, b"11")
    half = directories.workers / "77-4.ring"
    half.write_bytes(b"half made")
    spool(directories, 9, "new1", b"of one that has not ended")


def died_program(directories: Directories, name: str, token: int, signal: bytes) -> None:
    ring = writer(directories.workers / name)
    ring.words[STARTED_NS], ring.words[STARTED] = 1, token
    failure = {"signal": signal, "type": b"ProgramError", "message": b"?", "peak_memory": b"7"}
    ring.put(token, 1, 1, DIED | ENVELOPE, encode_outcome(Outcome(b"", failure=failure)))


def spool(directories: Directories, token: int, name: str, data: bytes) -> None:
    path = directories.spool / str(token) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def note(directories: Directories, token: int, outputs: tuple[str, ...]) -> None:
    (directories.jobs / f"{token}.note").write_bytes(msgspec.msgpack.encode((outputs, ())))


def told(root: Path) -> dict[str, Any]:
    """All that the scheduler would hear, and what lies in the spool."""
    directories = Directories(root)
    one, problems = open_custody(directories, "d1", lambda text: None)
    assert not problems
    found: dict[str, Any] = {}
    for due in one.keeping.unsettled():
        told = one.again(due)
        assert told is not None
        message, body = told
        if isinstance(message, AttemptFile):
            found[message.name] = message.file.path
            continue
        assert isinstance(message, Ended | Died)
        files = dict(message.files) if isinstance(message, Ended) else {}
        at = 0
        for index, (token, length) in enumerate(zip(message.tokens, message.lengths, strict=True)):
            status = message.statuses[index] if isinstance(message, Ended) else "died" if message.blame else "lost"
            assert str(token) not in found
            value = bytes(body[at : at + length]) if status == RETURNED else b""
            found[str(token)] = status, value, [(file.path, file.size) for file in files.get(index, [])]
            at += length
    found["spool"] = {
        str(path.relative_to(directories.spool)): path.read_bytes()
        for path in sorted(directories.spool.glob("*/*"))
        if path.name != "names"
    }
    truth = one.keeping.truth({})
    found["jobs"] = dict(zip(truth.tokens, truth.jobs, strict=True))
    one.close()
    return found


EXPECTED = {
    "1": (RETURNED, b"1", []),
    "2": (RETURNED, b"two", []),
    "4": (RETURNED | APART, b"", [("", 5)]),
    "5": (RETURNED | APART | ENVELOPE, b"", [("a.txt", 5), ("sub/b", 5), ("", 4)]),
    "5/s1": "one.dat",
    "5/s2": "two.dat",
    "6": ("lost", b"", []),
    "7": ("lost", b"", []),
    "8": (EXITED | ENVELOPE, b"", []),
    "jobs": {token: 100 + token for token in (1, 2, 4, 5, 6, 7, 8)},
    "spool": {
        "4/0": b"large",
        "5/0": b"a.txt",
        "5/1": b"sub/b",
        "5/2": b"five",
        "5/new1.name": b"one.dat",
        "5/new2.name": b"two.dat",
        "5/s1": b"sent first",
        "5/s2": b"sent second",
        "6/value": b"half a val",
    },
}


def test_all_that_lies_there_is_kept(tmp_path):
    leave(tmp_path)
    assert harvest_all(tmp_path, None) == []
    assert told(tmp_path) == EXPECTED
    assert not list((tmp_path / "kept" / "d1" / "workers").iterdir())
    assert not list((tmp_path / "kept" / "d1" / "jobs").iterdir())


class Steps:
    """Counts what is done to the disk, and dies at one step, before or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, after: bool) -> None:
        self.count, self.at, self.after = 0, at, after
        for owner, name in ((os, "replace"), (Path, "unlink"), (Kept, "append"), (Path, "write_bytes")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        for module in ("directories", "harvest", "spool", "durable"):
            target = f"lightwork.node.service.{module}.remove_tree"
            monkeypatch.setattr(target, self._wrapped(_remove_tree))

    def _wrapped(self, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.at and not self.after:
                raise Killed
            result = real(*args, **kwargs)
            if self.count == self.at:
                raise Killed
            return result

        return call


def _remove_tree(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else os.unlink(path)


@pytest.mark.parametrize("after", [False, True])
def test_whoever_is_killed_there_leaves_it_to_the_next(tmp_path, after):
    for at in range(1, 200):
        root = tmp_path / str(at)
        root.mkdir()
        leave(root)
        with pytest.MonkeyPatch.context() as patch:
            steps = Steps(patch, at, after)
            try:
                harvest_all(root, None)
                break
            except Killed:
                pass
        assert harvest_all(root, None) == []
        assert told(root) == EXPECTED, f"killed at step {at}"
    assert steps.count > 15


def test_a_disk_that_is_full_leaves_the_rings(tmp_path, monkeypatch):
    leave(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kept, "append", lambda *args, **kwargs: (_ for _ in ()).throw(OSError(28, "full")))
        harvest_all(tmp_path, None)
        assert len(list((tmp_path / "kept" / "d1" / "workers").glob("*.ring"))) == 3
    assert harvest_all(tmp_path, None) == []
    assert told(tmp_path) == EXPECTED


def test_what_is_owed_to_nobody_goes(tmp_path):
    directories = Directories(tmp_path)
    directories.make()
    home = directories.enter("d2")
    one = Custody(home, lambda: 0, lambda text: None)
    one.load()
    one.assigned(Assign("s", "f", [1], [0], JobOptions(), numbers=[1]))
    one.close()
    writer(directories.workers / "77-1.ring")
    assert harvest_all(tmp_path, None) == []
    assert not home.exists()


def test_damage_is_a_problem(tmp_path):
    leave(tmp_path)
    (path,) = (tmp_path / "kept" / "d1").glob("*.kept")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    problems = harvest_all(tmp_path, None)
    assert any("is not what was written" in problem or "no record" in problem for problem in problems)


def owe(directories: Directories, scheduler: str) -> Path:
    """It has been given something, and an end of that is kept."""
    home = directories.enter(scheduler)
    one = Custody(home, lambda: 0, lambda text: None)
    one.load()
    one.assigned(Assign("s", "f", [1, 2], [0, 0], JobOptions(), numbers=[1]))
    one.note(Ended([1], [0], [5], [5], [1]), b"1")
    one.close()
    return home


def leave_too_many(root: Path) -> list[str]:
    """For one scheduler more than a node keeps something for, the oldest first; what is to be said of that."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    directories = Directories(root)
    directories.make()
    for number in range(limits.KEPT_SCHEDULERS + 1):
        home = owe(directories, f"d{number}")
        os.utime(home, (number, number))
    return ["what was kept for the scheduler d0 is given up: it has not come back"]


def test_what_is_given_up_is_a_problem(tmp_path):
    said = leave_too_many(tmp_path)
    assert harvest_all(tmp_path, None) == said
    left = {home.name for home in (tmp_path / "kept").iterdir()}
    assert left == {f"d{number}" for number in range(1, limits.KEPT_SCHEDULERS + 1)}
    assert harvest_all(tmp_path, None) == []


def test_where_nothing_was_kept_nothing_is_given_up(tmp_path):
    leave_too_many(tmp_path)
    for path in (tmp_path / "kept" / "d0").glob("*.kept"):
        path.unlink()
    os.utime(tmp_path / "kept" / "d0", (0, 0))
    assert harvest_all(tmp_path, None) == []
    assert not (tmp_path / "kept" / "d0").exists()


def test_who_gives_something_up_begins_another_era(tmp_path):
    leave_too_many(tmp_path)
    era = Era(tmp_path / "era")
    before = era.name

    async def start() -> None:
        agent = Agent(AgentOptions("n", 1, tmp_path, era=era))
        await agent.start()
        await agent.stop()

    asyncio.run(start())
    assert era.name == Era(tmp_path / "era").name != before
    now = era.name
    asyncio.run(start())
    assert era.name == now


def test_so_does_who_cleans_up(tmp_path):
    root = paths.node_directory("n", base=tmp_path)
    said = leave_too_many(root)
    before = Era(root / "era").name
    assert clean_up("n", base=tmp_path)[:1] == said
    now = Era(root / "era").name
    assert now != before
    clean_up("n", base=tmp_path)
    assert Era(root / "era").name == now
