"""Any order of records, checkpoints, compactions, crashes, torn writes and openings, held against a model: a ledger.

What was acknowledged is there; of what was not, a prefix of whole transactions; a compaction changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path
from tempfile import mkdtemp

import msgspec
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.compaction import compact, replay
from lightwork.store import journal_adoption
from lightwork.store.journal_adoption import Adoption
from lightwork.store.journal_generations import Current, Folder
from lightwork.store.journal_wal import FRAME, HEADER
from lightwork.store.journal_witness import Seen
from tests.scheduler.journal_life import Chance, told
from tests.store.journals import Writer, crash

pytestmark = pytest.mark.slow


class JournalMachine(RuleBasedStateMachine):
    """One folder, its writer, and a ledger that knows what must be there."""

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.top = Path(mkdtemp(prefix="journal-", dir=place))
        self.lives = 0
        self.folder = self.top / "0"
        self.ledger = Ledger()
        self.chance = Chance(seed, self.ledger)
        self.random = random.Random(seed)
        self.adoption: Adoption | None = None
        self.torn = False
        self.writer = Writer(self.folder)

    def teardown(self) -> None:
        if hasattr(self, "top"):
            with contextlib.suppress(OSError):  # closed already, when opening it again has failed
                self.writer.close()
            shutil.rmtree(self.top)

    def facts(self, count: int, ledger: Ledger) -> list[bytes]:
        self.chance.ledger = ledger
        found = []
        for _ in range(count):
            one: Fact = self.chance.fact()
            ledger.apply(one)
            found.append(msgspec.msgpack.encode(one))
        return found

    @rule(count=st.integers(1, 30))
    def record(self, count: int) -> None:
        """Written, synced, acknowledged."""
        self.writer.append(self.facts(count, self.ledger))

    @rule()
    def checkpoint(self) -> None:
        self.writer.file._logged = 1 << 30
        self.writer.file.tidy()

    @precondition(lambda self: self.adoption is None and self.writer.file.number)
    @rule(back=st.integers(0, 10))
    def compaction(self, back: int) -> None:
        """The child process has done its work, on all rows but the last few."""
        upto = max(self.writer.file.number - back, 1)
        folder = Folder(str(self.folder))
        name = os.path.basename(compact(folder, upto))
        self.adoption = Adoption(folder, self.writer.current.generation + 1, name, upto)

    @precondition(lambda self: self.adoption is not None)
    @rule()
    def adopt_some(self) -> None:
        assert self.adoption is not None
        self.adoption.copy(self.writer.file)

    @precondition(lambda self: self.adoption is not None)
    @rule()
    def adopt(self) -> None:
        """The pointer is swapped; the old generation goes, unless a crash comes first."""
        adoption, self.adoption = self.adoption, None
        assert adoption is not None
        old, generation = self.writer.file, self.writer.current.generation
        adoption.finish(old)
        self.writer.file, self.writer.current = adoption.file, Current(adoption.generation, adoption.left)
        self.writer.witness.write(Seen(adoption.generation, self.writer.file.number, self.writer.file.chain))
        old.close()
        if self.random.random() < 0.5:
            Folder(str(self.folder)).delete(generation)

    @rule(lost=st.integers(0, 3), garbage=st.integers(0, 5000), count=st.integers(0, 5))
    def crash(self, lost: int, garbage: int, count: int) -> None:
        """In the middle of a transaction, or when nothing was written; part of its frames may be missing."""
        log = Path(self.writer.file.path + "-wal")
        before = len(log.read_bytes()) if log.exists() else 0
        unacknowledged = Ledger()
        for one in self.ledger.facts():
            unacknowledged.apply(one)
        if count:
            self.writer.file.append(self.facts(count, unacknowledged))
        self.lives += 1
        dead, self.folder = self.folder, self.top / str(self.lives)
        crash(dead, self.folder)
        log = self.folder / log.name
        content = log.read_bytes() if log.exists() else b""
        if count and len(content) > before:  # the log has grown: what is behind is the new transaction
            content = content[: max(len(content) - lost * FRAME, before, HEADER.size)]
            log.write_bytes(content + (self.random.randbytes(garbage) if lost else b""))
        self._abandon()
        self.writer.close()
        shutil.rmtree(dead)
        self._reopen([told(self.ledger), told(unacknowledged)])
        if told(self.ledger) != told(self.found):
            self.ledger = unacknowledged

    @rule()
    def close(self) -> None:
        self._abandon()
        self.writer.close()
        self._reopen([told(self.ledger)])
        assert not self.writer.torn

    def _abandon(self) -> None:
        if self.adoption is not None:
            self.adoption.file.close()
            self.adoption = None

    def _reopen(self, possible: list[list[bytes]]) -> None:
        self.writer = Writer(self.folder)
        self.found = replay(self.writer.bodies)
        assert told(self.found) in possible
        self.writer.bodies.clear()


def test_any_order(monkeypatch):
    monkeypatch.setattr(journal_adoption, "SLICE_BYTES", 500)
    run = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    JournalMachine.TestCase.settings = run
    JournalMachine.TestCase().runTest()


@pytest.mark.soak
def test_any_order_for_long(monkeypatch):
    monkeypatch.setattr(journal_adoption, "SLICE_BYTES", 500)
    run = settings(max_examples=3000, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
    JournalMachine.TestCase.settings = run
    JournalMachine.TestCase().runTest()
