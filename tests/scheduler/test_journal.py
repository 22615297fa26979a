"""A scheduler's journal with its real processes: what is durable, who notices what, and compaction beside it all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from lightwork.config import limits
from lightwork.kit.loop import run_loop
from lightwork.model.errors import StartFailed
from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.store import journal_frames as frames
from lightwork.store.state_directory import StateDirectory
from lightwork.wire.messages import JobOptions
from tests.scheduler.journal_life import Chance, Life, ledger_in, told

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def run(work: Coroutine[Any, Any, None], *, uvloop: bool | None = None) -> None:
    """On the loop that a scheduler uses: uvloop, where it is installed."""
    run_loop(work, uvloop=uvloop)


@pytest.fixture(params=[None, False], ids=["uvloop", "asyncio"])
def uvloop(request) -> bool | None:
    """Both kinds of loops."""
    found: bool | None = request.param
    return found


def child_of(life: Life) -> int:
    """The journal process."""
    pid = life.journal._transport.get_pid()
    assert isinstance(pid, int)
    return pid


def test_facts_of_all_kinds_are_there_in_the_next_life(tmp_path, uvloop):
    async def main() -> None:
        expected: list[bytes] = []
        for seed in range(3):
            async with Life(tmp_path) as life:
                assert told(life.ledger) == expected
                chance = Chance(seed, life.ledger)
                for _ in range(300):
                    life.record(chance.fact())
                await life.settled()
                expected = told(life.ledger)
        assert await ledger_in(tmp_path) == expected

    run(main(), uvloop=uvloop)


def test_close_makes_all_of_it_durable(tmp_path, uvloop):
    async def main() -> None:
        async with Life(tmp_path) as life:
            for number in range(5000):
                life.record(fact.NodeKnown(f"n{number}", "i", "e"))
        assert life.durable == 5000
        assert not life.failures
        assert len(await ledger_in(tmp_path)) == 5000

    run(main(), uvloop=uvloop)


def test_one_turn_of_the_loop_is_one_write(tmp_path):
    async def main() -> None:
        async with Life(tmp_path) as life:
            writes: list[bytes] = []
            life.journal._pipe = cast(asyncio.WriteTransport, Pipe(life.journal._pipe, writes))
            for number in range(100):
                life.record(fact.NodeGone(str(number)))
            assert writes == []
            await life.settled()
            assert len(writes) == 1

    run(main())


class Pipe:
    """Counts what is written."""

    def __init__(self, pipe: asyncio.WriteTransport, writes: list[bytes]) -> None:
        self.is_closing, self.close = pipe.is_closing, pipe.close
        self._pipe, self._writes = pipe, writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._pipe.write(data)


def test_two_schedulers_in_one_directory(tmp_path):
    async def main() -> None:
        async with Life(tmp_path):
            with pytest.raises(StartFailed, match=f"process {os.getpid()} on "):
                StateDirectory(tmp_path)

    run(main())


@posix
def test_a_dead_journal_process_is_told(tmp_path, uvloop):
    async def main() -> None:
        async with Life(tmp_path) as life:
            life.record(fact.NodeGone("a"))
            await life.settled()
            os.kill(child_of(life), signal.SIGKILL)
            await life.until(lambda: bool(life.failures))
            assert "journal process ended" in life.failures[0]
            life.record(fact.NodeGone("b"))  # nobody is there to hear it
            await asyncio.sleep(0.05)
            assert life.durable == 1

    run(main(), uvloop=uvloop)


def test_a_full_disk_is_told(tmp_path):
    async def main() -> None:
        async with Life(tmp_path) as life:
            for kind in (frames.FULL, frames.ROOM):
                life.journal.heard(kind, b"")
            assert life.full == [True, False]

    run(main())


def test_a_damaged_journal_is_refused(tmp_path, uvloop):
    async def main() -> None:
        async with Life(tmp_path) as life:
            for number in range(100):
                life.record(fact.NodeKnown(f"node-{number:03}", "i" * 20, "e"))
        path = tmp_path / "journal" / "journal-1.sqlite"
        content = path.read_bytes()
        path.write_bytes(content.replace(b"node-041", b"node-014"))
        with pytest.raises(StartFailed, match="record 42 of the journal is damaged") as caught:
            async with Life(tmp_path):
                pass
        assert caught.value.hint == f"lightwork doctor --recover {tmp_path}"
        with pytest.raises(StartFailed):  # again, and the lock is free
            async with Life(tmp_path):
                pass

    run(main(), uvloop=uvloop)


def test_a_torn_write_is_told_once(tmp_path):
    async def main() -> None:
        async with Life(tmp_path) as life:
            assert life.journal.torn == ""
            life.record(fact.NodeGone("a"))
            await life.settled()
            os.kill(child_of(life), signal.SIGKILL)
            await life.until(lambda: bool(life.failures))
        log = tmp_path / "journal" / "journal-1.sqlite-wal"
        with open(log, "ab") as file:
            file.write(os.urandom(700))
        async with Life(tmp_path) as life:
            assert "700 bytes behind record 1 are dropped" in life.journal.torn
        async with Life(tmp_path) as life:
            assert life.journal.torn == ""

    run(main())


def test_a_fact_of_a_later_version(tmp_path):
    async def main() -> None:
        async with Life(tmp_path) as life:
            life.record(fact.NodeGone("a"))
            life.journal._bodies.append(b"\x92\xcd\x03\xe7\x01")  # kind 999
        with pytest.raises(StartFailed, match=r"record 2 of the journal"):
            await ledger_in(tmp_path)

    run(main())


def test_a_later_version_may_append_fields():
    import msgspec

    encoded = msgspec.msgpack.encode([3, "node", "a field that we do not know"])
    assert msgspec.msgpack.decode(encoded, type=fact.Fact) == fact.NodeGone("node")


# --- compaction ---


def test_it_is_compacted_while_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JOURNAL_COMPACTED_FROM", 300_000)

    async def main() -> None:
        async with Life(tmp_path) as life:
            chance = Chance("compact", life.ledger)
            generations = set()
            for _ in range(120):
                for _ in range(100):
                    life.record(chance.fact())
                await life.settled()
                generations |= {path.name for path in (tmp_path / "journal").glob("journal-*.sqlite")}
            await life.until(lambda: not life.journal._compacting._busy)
            expected = told(life.ledger)
            assert len(generations) > 2, generations
        assert await ledger_in(tmp_path) == expected
        left = [path.name for path in (tmp_path / "journal").iterdir()]
        assert len([name for name in left if name.startswith(("journal-", "compacting"))]) == 1, left

    run(main())


def test_its_size_follows_work_in_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JOURNAL_COMPACTED_FROM", 200_000)

    async def main() -> None:
        async with Life(tmp_path) as life:
            largest = 0
            for turn in range(200):
                for number in range(100):
                    life.record(fact.NodeKnown(f"node{number}", "identity" * 3, f"era {turn}"))
                await life.settled()
                largest = max(largest, size_of(tmp_path))
            await life.until(lambda: not life.journal._compacting._busy)
            assert largest < 8_000_000
        assert size_of(tmp_path) < 1_500_000
        assert len(await ledger_in(tmp_path)) == 100

    run(main())


def size_of(path: Path) -> int:
    return sum(found.stat().st_size for found in (path / "journal").glob("*.sqlite"))


@posix
@pytest.mark.parametrize("victim", ["compaction", "journal"])
def test_a_killed_compaction_loses_nothing(tmp_path, monkeypatch, victim):
    monkeypatch.setattr(limits, "JOURNAL_COMPACTED_FROM", 100_000)

    async def main() -> None:
        async with Life(tmp_path) as life:
            for number in range(20_000):
                life.record(fact.NodeKnown(f"node{number}", "identity" * 3, "era"))
            async with asyncio.timeout(30):
                while not list((tmp_path / "journal").glob("compacting-*")):
                    await asyncio.sleep(0.001)
            [name] = {path.name.split(".")[0] for path in (tmp_path / "journal").glob("compacting-*")}
            os.kill(int(name.partition("-")[2]) if victim == "compaction" else child_of(life), signal.SIGKILL)
            if victim == "compaction":
                await life.settled()
                life.record(fact.NodeGone("node7"))
                await life.settled()
            else:
                await life.until(lambda: bool(life.failures))
        async with Life(tmp_path) as again:
            assert len(again.ledger.nodes) >= min(life.durable, 19_999)
            assert not list((tmp_path / "journal").glob("compacting-*"))

    run(main())


def test_a_compaction_that_would_change_something_is_abandoned(tmp_path, monkeypatch):
    """Damage in the live file: the compaction process finds it, and the journal stays as it is, to be refused later."""
    monkeypatch.setattr(limits, "JOURNAL_COMPACTED_FROM", 100_000)

    async def main() -> None:
        async with Life(tmp_path) as life:
            for number in range(1000):
                life.record(fact.NodeKnown(f"node-{number:04}", "i" * 20, "e"))
            await life.settled()
        path = tmp_path / "journal" / "journal-1.sqlite"
        async with Life(tmp_path) as life:
            content = path.read_bytes()
            path.write_bytes(content.replace(b"node-0041", b"node-0014"))
            life.record(fact.NodeGone("x"))
            await life.settled()
            await life.until(lambda: not life.journal._compacting._busy)
        assert path.exists()
        with pytest.raises(StartFailed, match="record 42 of the journal is damaged"):
            await ledger_in(tmp_path)

    run(main())


# --- speed ---


@pytest.mark.slow
def test_100_000_jobs_load_in_seconds(tmp_path):
    async def main() -> None:
        async with Life(tmp_path) as life:
            life.record(fact.SessionOpened("s", 1, True))
            for first in range(0, 100_000, 100):
                numbers = list(range(first, first + 100))
                life.record(fact.Submitted("s", "cd" * 16, CHEAP, numbers, [b"x" * 100] * 100))
            await life.settled()
        began = time.perf_counter()
        async with Life(tmp_path) as life:
            took = time.perf_counter() - began
            assert len(life.ledger.sessions["s"].entries) == 100_000
        assert took < 15, f"{took:.1f} s"

    run(main())


CHEAP = JobOptions()


def test_chance_makes_facts_of_all_kinds():
    ledger = Ledger()
    chance = Chance(1, ledger)
    kinds = set()
    for turn in range(3000):
        one = chance.fact()
        kinds.add(type(one))
        ledger.apply(one)
        if turn % 100 == 0:
            again = Ledger()
            for other in ledger.facts():
                again.apply(other)
            assert told(again) == told(ledger)
    assert len(kinds) == len(get_args(fact.Fact))
