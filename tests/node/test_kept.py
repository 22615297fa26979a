"""What a node keeps on its disk: whatever happens to the files, it is a prefix of what was written, or that is told."""

from __future__ import annotations

import errno
import os
import random
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lightwork.config import limits
from lightwork.node.service import kept_records as records
from lightwork.node.service.custody import Custody
from lightwork.node.service.durable import in_hand
from lightwork.node.service.kept import Kept
from lightwork.node.service.kept_records import Damage
from lightwork.wire.messages import Assign, AttemptFile, Died, Ended, File, JobOptions

NO = JobOptions()


def assign(session: str, tokens: list[int], numbers: list[int]) -> Assign:
    return Assign(session, "f", tokens, [1] * len(tokens), NO, numbers=numbers)


def ended(tokens: list[int], size: int = 3) -> tuple[Ended, bytes]:
    count = len(tokens)
    body = b"".join(outcome(token, size) for token in tokens)
    files = [(count - 1, [File("a.txt", "", 1)])] if count > 1 else []
    return Ended(tokens, [0] * count, [100] * count, [50] * count, [size] * count, files), body


def outcome(token: int, size: int = 3) -> bytes:
    return (b"%d." % token * size)[:size]


def custody(directory: Path, now: int = 0) -> tuple[Custody, str]:
    directory.mkdir(exist_ok=True)
    made = Custody(directory, lambda: now, lambda text: None)
    return made, made.load()


def owed(one: Custody) -> list[tuple[str, list[int], bytes]]:
    """All that would be told: kind, tokens, body."""
    found = []
    for due in one.keeping.unsettled():
        told = one.again(due)
        assert told is not None
        message, body = told
        tokens = [message.token] if isinstance(message, AttemptFile) else list(message.tokens)  # type: ignore[union-attr]
        found.append((type(message).__name__, tokens, bytes(body)))
    return found


def restarted(directory: Path, now: int = 0) -> tuple[Custody, str]:
    one, damage = custody(directory, now)
    one.restarted()
    return one, damage


def test_all_that_is_owed_comes_back(tmp_path):
    one, damage = custody(tmp_path / "k")
    assert damage == ""
    one.assigned(assign("s", [1, 2, 3, 4], [10]))
    one.assigned(assign("t", [5, 6], [7, 70]))
    one.note(AttemptFile(5, "5/s1", File("x", "d", 9)), b"")
    one.note(*ended([1, 2]))
    one.note(Died([5], True, [9], [2]), b"no")
    assert one.settled([1]) == [1]
    one.close()
    two, damage = restarted(tmp_path / "k", now=40)
    assert damage == ""
    assert owed(two) == [("AttemptFile", [5], b""), ("Ended", [2], b"2.2"), ("Died", [5], b"no")]
    truth = two.keeping.truth({})
    assert [(truth.sessions[session], job) for session, job in zip(truth.session, truth.jobs, strict=True)] == [
        ("s", 11),
        ("t", 7),
    ]
    told = two.again(two.keeping.unsettled()[1])
    assert told is not None
    message = told[0]
    assert isinstance(message, Ended)
    assert message.ages_ns == [140]
    assert message.files == [(0, [File("a.txt", "", 1)])]
    assert two.settled([2, 5]) == [2, 5]
    assert two.empty
    two.close()
    three, _ = restarted(tmp_path / "k")
    assert owed(three) == []
    assert three.empty


def test_ends_of_which_nobody_knows_whose_they_are(tmp_path):
    one, _ = custody(tmp_path / "k")
    one.note(*ended([8]))
    one.close()
    two, _ = custody(tmp_path / "k")
    assert two.restarted() is False
    assert owed(two) == [("Ended", [8], b"8.8")]
    assert two.keeping.truth({}).sessions == [""]


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(limits, "KEPT_SEGMENT", 2000)
    monkeypatch.setattr(limits, "KEPT_SPARE", 6000)


def test_size_follows_what_is_owed_not_what_there_was(tmp_path, small_segments):
    one, _ = custody(tmp_path / "k")
    one.assigned(assign("long", [1], [1]))  # it runs for ever
    one.note(AttemptFile(1, "1/s1", File("x", "d", 9)), b"")
    one.assigned(assign("s", [2, 3], [2]))
    one.note(*ended([2, 3]))
    one.settled([2])
    most = 0
    for first in range(10, 6000, 3):
        tokens = [first, first + 1, first + 2]
        one.assigned(assign("s", tokens, [first]))
        one.note(*ended(tokens, 20))
        one.settled(tokens)
        most = max(most, sum(path.stat().st_size for path in (tmp_path / "k").iterdir()))
    assert most < 12_000
    assert owed(one) == [("AttemptFile", [1], b""), ("Ended", [3], b"3.3")]
    one.close()
    two, damage = custody(tmp_path / "k")
    assert damage == ""
    assert owed(two) == owed(one)
    assert two.keeping.knows(1)


# --- a full disk ---


class FullAt:
    """As os.writev on a disk with so much room."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, descriptor: int, parts: Any) -> int:
        data = b"".join(parts)
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.write(descriptor, data[: self.room])
        self.room -= taken
        return taken


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    troubles: list[str] = []
    directory = tmp_path / "k"
    directory.mkdir()
    one = Custody(directory, lambda: 0, troubles.append)
    one.load()
    one.assigned(assign("s", [1, 2, 3, 4], [1]))
    disk = FullAt(150)
    monkeypatch.setattr(os, "writev", disk)
    released: list[int] = []
    for token in (1, 2, 3):
        one.bonds.hold("ring", [token], lambda token=token: released.append(token))  # type: ignore[misc]
        one.note(*ended([token], 50))
        one.loosen()
    assert released == [1]
    assert one.unwritten == {2, 3}
    assert one.waits
    assert len(troubles) == 1
    assert [tokens for _, tokens, _ in owed(one)] == [[1], [2], [3]]  # it can be told all the same
    one.retry()
    assert one.waits
    assert one.settled([2]) == [2]
    one.loosen()
    assert released == [1, 2]
    later, damage = restarted(directory)  # whoever is killed now has it in its rings
    assert damage == ""
    assert [tokens for _, tokens, _ in owed(later)] == [[1]]
    disk.room = 10**6
    one.retry()
    one.loosen()
    assert released == [1, 2, 3]
    assert not one.waits
    later, damage = restarted(directory)
    assert [tokens for _, tokens, _ in owed(later)] == [[1], [3]]


def test_a_claim_does_not_end_while_ends_wait_for_room(tmp_path, monkeypatch):
    """Who comes next would find a worker that started and left no word."""
    one = Custody(tmp_path, lambda: 0, lambda text: None)
    one.load()
    one.assigned(assign("s", [1, 2], [1]))
    agent: Any = SimpleNamespace(core=SimpleNamespace(tokens=lambda: [2]), custody=one)
    assert in_hand(agent) == 1
    disk = FullAt(0)
    monkeypatch.setattr(os, "writev", disk)
    one.note(*ended([1], 50))
    assert in_hand(agent) == 2
    disk.room = 10**6
    one.retry()
    assert in_hand(agent) == 1
    agent.custody = None
    assert in_hand(agent) == 1


# --- what may happen to a file ---


def written(directory: Path, random: random.Random, count: int = 30) -> list[tuple[int, bytes, list[Any]]]:
    """A file with so many records: where each ends, and what is owed then."""
    one, _ = custody(directory)
    states: list[tuple[int, bytes, list[Any]]] = []
    open_: list[int] = []
    told: list[int] = []
    next_ = 1
    for _ in range(count):
        act = random.choice(("assign", "end", "end", "settle"))
        if act == "assign" or not open_:
            tokens = list(range(next_, next_ + random.randint(1, 5)))
            next_ = tokens[-1] + 1
            one.assigned(assign("s", tokens, [tokens[0]]))
            open_ += tokens
        elif act == "end":
            some = [open_.pop() for _ in range(min(len(open_), random.randint(1, 3)))]
            one.note(*ended(some, random.choice((0, 3, 30))))
            told += some
        elif told:
            one.settled([told.pop(random.randrange(len(told)))])
        else:
            continue
        (path,) = directory.glob("*.kept")
        states.append((path.stat().st_size, path.read_bytes(), owed(one)))
    one.close()
    return states


def after(path: Path, data: bytes) -> tuple[list[Any], str]:
    path.write_bytes(data)
    one, damage = custody(path.parent)
    one.restarted()
    found = owed(one)
    one.close()
    return found, damage


def test_a_file_that_was_cut_anywhere_is_what_it_was_then(tmp_path):
    states = written(tmp_path / "k", random.Random(1))
    (path,) = (tmp_path / "k").glob("*.kept")
    data = states[-1][1]
    for size in range(len(data)):
        whole = [state for end, _, state in states if end <= size]
        found, damage = after(path, data[:size])
        assert damage == ""
        assert found == (whole[-1] if whole else [])


def test_a_byte_that_was_changed_anywhere_is_found(tmp_path):
    states = written(tmp_path / "k", random.Random(2), 20)
    (path,) = (tmp_path / "k").glob("*.kept")
    data = states[-1][1]
    possible = [[], *(state for _, _, state in states)]
    for at in range(len(data)):
        found, damage = after(path, data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        assert damage, f"byte {at}"
        assert found in possible


def test_other_segments_count_if_one_is_damaged(tmp_path, small_segments):
    one, _ = custody(tmp_path / "k")
    for token in range(1, 60):
        one.assigned(assign("s", [token], [token]))
        one.note(*ended([token], 100))
    one.close()
    paths = sorted((tmp_path / "k").glob("*.kept"))
    assert len(paths) > 3
    data = bytearray(paths[1].read_bytes())
    data[len(data) // 2] ^= 1
    paths[1].write_bytes(data)
    two, damage = restarted(tmp_path / "k")
    assert paths[1].name in damage
    tokens = [tokens[0] for _, tokens, _ in owed(two)]
    assert 1 in tokens
    assert 59 in tokens
    assert 40 < len(tokens) < 59


def test_records_of_a_later_version_are_damage_not_a_crash(tmp_path):
    kept = Kept(tmp_path)
    kept.append(records.record(records.TOLD, [b"\0" * 8 + b"nonsense"]))
    kept.append(records.record(records.ASSIGNED, [b"\xc1"]))
    kept.append(records.record(77, [b"?"]))
    kept.close()
    one, damage = custody(tmp_path)
    assert damage
    assert one.empty


def test_what_cannot_be_read_any_more_is_told_as_lost(tmp_path):
    one, _ = custody(tmp_path / "k")
    one.assigned(assign("s", [1], [1]))
    one.note(*ended([1]))
    (path,) = (tmp_path / "k").glob("*.kept")
    os.truncate(path, 20)
    told = one.again(one.keeping.unsettled()[0])
    assert told is not None
    message, body = told
    assert isinstance(message, Died)
    assert (message.tokens, message.blame, message.lengths) == ([1], False, [len(body)])


def test_runs():
    assert records.runs([]) == []
    assert records.runs([7, 8, 9, 20, 3, 4]) == [(7, 3), (20, 1), (3, 2)]
    assert records.tokens_of(records.runs([7, 8, 9, 20, 3, 4])) == [7, 8, 9, 20, 3, 4]
    with pytest.raises(Damage):
        list(records.read(b"something else"))


class OnDisk(RuleBasedStateMachine):
    """A node that is killed and restarted at will, on a disk that is full at times."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.jobs: dict[int, int] = {}
        self.ends: dict[int, bytes] = {}
        self.next = 0
        self.full = False
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limits, "KEPT_SEGMENT", 500)
        self.patch.setattr(limits, "KEPT_SPARE", 1000)
        self._open()

    def _open(self) -> None:
        self.custody, damage = custody(self.home / "k")
        assert not damage

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.patch.undo()
            self.custody.close()
            shutil.rmtree(self.home)

    @rule(count=st.integers(1, 4))
    def assigned(self, count: int) -> None:
        tokens = list(range(self.next + 1, self.next + 1 + count))
        self.next += count
        if self.custody.assigned(assign("s", tokens, [tokens[0]])):
            self.jobs.update({token: token for token in tokens})

    @rule(data=st.data(), size=st.sampled_from([0, 5, 300]))
    def ended(self, data: st.DataObject, size: int) -> None:
        open_ = [token for token in self.jobs if token not in self.ends]
        tokens = data.draw(st.lists(st.sampled_from(open_), unique=True, max_size=4)) if open_ else []
        if tokens:
            self.custody.note(*ended(tokens, size))
            self.ends.update({token: outcome(token, size) for token in tokens})

    @rule(data=st.data())
    def settled(self, data: st.DataObject) -> None:
        tokens = data.draw(st.lists(st.integers(1, max(self.next, 1)), unique=True, max_size=6))
        self.custody.settled(tokens)
        for token in tokens:
            if token in self.ends:
                del self.ends[token], self.jobs[token]

    @rule(room=st.integers(0, 200))
    def fills_up(self, room: int) -> None:
        self.full = True
        self.patch.setattr(os, "writev", FullAt(room))

    @rule()
    def has_room(self) -> None:
        if self.full:
            self.full = False
            self.patch.undo()
            self.patch.setattr(limits, "KEPT_SEGMENT", 500)
            self.patch.setattr(limits, "KEPT_SPARE", 1000)
        self.custody.retry()
        assert not self.custody.waits

    @rule(room=st.booleans())
    def killed(self, room: bool) -> None:
        """What is not on the disk is in rings; here it is as if it had never been."""
        if room:
            self.has_room()
        self.custody.close()
        lost = self.custody.unwritten
        self.ends = {token: end for token, end in self.ends.items() if token not in lost}
        self.jobs = {token: job for token, job in self.jobs.items() if token in self.ends}
        self._open()
        self.custody.restarted()

    @invariant()
    def all_is_there(self) -> None:
        if not hasattr(self, "custody"):
            return
        found: dict[int, bytes] = {}
        for _, tokens, body in owed(self.custody):
            size = len(body) // len(tokens)
            for index, token in enumerate(tokens):
                assert token not in found
                found[token] = body[index * size : (index + 1) * size]
        # A note of a settlement may be missing after a kill on a full disk: then it is told once more.
        assert self.ends.items() <= found.items()
        for token in found.keys() - self.ends.keys():
            assert token not in self.jobs
            self.ends[token], self.jobs[token] = found[token], token


TestOnDisk = OnDisk.TestCase
TestOnDisk.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
