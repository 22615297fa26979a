"""The journal: durable records, their latency beside a busy loop, their size, and how fast a restart reads them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from benchmarks.ways import WAYS, measured, median, row
from lightwork.kit.loop import run_loop
from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.journal import Journal
from lightwork.store.state_directory import StateDirectory
from lightwork.wire.messages import JobOptions

PLAIN = 1_000
RECORDS = 200_000
TURN = 1_000  # records in one turn of the loop
SINGLES = 500
JOBS = 100_000
BUSY_S = 0.002  # one turn of a saturated loop


class Bench:
    """A journal in a directory of its own, and what is durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = self.durable = 0
        self.reached = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.state = StateDirectory(self.path)
        self.journal = await Journal.open(
            self.state, on_durable=self._on_durable, on_full=lambda full: None, on_failed=sys.exit
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.close()
        self.state.close()

    def record(self, one: Fact) -> None:
        self.number += 1
        self.journal.record(self.number, one)

    async def settled(self) -> None:
        while self.durable < self.number:
            self.reached.clear()
            await self.reached.wait()

    def _on_durable(self, number: int) -> None:
        self.durable = number
        self.reached.set()


def some_fact(number: int) -> Fact:
    """About as long as what a small job leaves."""
    return fact.NodeKnown(f"node{number}", "0123456789abcdef" * 2, "0123456789abcdef" * 2)


def plain(path: Path) -> list[float]:
    """Commits of one row each, one after the other, in this process; a second."""
    connection = sqlite3.connect(path / "plain.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB)")
    began = time.perf_counter()
    for number in range(PLAIN):
        connection.execute("INSERT INTO rows VALUES (?, ?)", (number, bytes(80)))
    took = time.perf_counter() - began
    connection.close()
    return [PLAIN / took]


async def many(path: Path) -> list[float]:
    """Durable records a second; bytes of the file for each."""
    async with Bench(path) as bench:
        began = time.perf_counter()
        for number in range(RECORDS):
            bench.record(some_fact(number))
            if number % TURN == 0:
                await asyncio.sleep(0)
        await bench.settled()
        took = time.perf_counter() - began
    size = sum(found.stat().st_size for found in (path / "journal").glob("journal-*"))
    return [RECORDS / took, size / RECORDS]


async def single(path: Path, busy: bool) -> list[float]:
    """One record at a time: p50 and p99 in microseconds."""
    async with Bench(path) as bench:
        burden = asyncio.ensure_future(_saturate()) if busy else None
        times = []
        for number in range(SINGLES):
            began = time.perf_counter()
            bench.record(some_fact(number))
            await bench.settled()
            times.append((time.perf_counter() - began) * 1e6)
        if burden is not None:
            burden.cancel()
    times.sort()
    return [times[len(times) // 2], times[len(times) * 99 // 100]]


async def _saturate() -> None:
    while True:
        until = time.perf_counter() + BUSY_S
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


async def restart(path: Path, batch: int) -> list[float]:
    """Seconds from the start of the journal process to a ledger of 100,000 jobs."""
    async with Bench(path) as bench:
        bench.record(fact.SessionOpened("s", 1, True))
        for first in range(0, JOBS, batch):
            numbers = list(range(first, first + batch))
            bench.record(fact.Submitted("s", "ab" * 16, JobOptions(), numbers, [bytes(100)] * batch))
            if first % TURN == 0:
                await asyncio.sleep(0)
        await bench.settled()
    began = time.perf_counter()
    async with Bench(path) as bench:
        ledger = Ledger()
        for one in bench.journal.facts():
            ledger.apply(one)
        took = time.perf_counter() - began
    assert len(ledger.sessions["s"].entries) == JOBS
    return [took]


def main() -> None:
    """Three tables."""
    widths = (34, 14, 17, 16)
    [commits] = measured("benchmarks.journal", "plain")
    row("durable records", "a second", "x plain commits", "bytes each", widths=widths)
    row("one commit after the other", commits, 1.0, widths=widths)
    for way in list(WAYS)[:2]:
        rate, size = measured("benchmarks.journal", "many", way=way)
        row(f"journal, {way.split()[-1]}", rate, rate / commits, size, widths=widths)
    print()
    row("one record, until it is durable", "p50 us", "p99 us", "x plain commit", widths=widths)
    for name, kind in (("idle loop", "idle"), (f"a loop of turns of {BUSY_S * 1e3:.0f} ms", "busy")):
        p50, p99 = measured("benchmarks.journal", kind)
        row(name, p50, p99, p50 * commits / 1e6, widths=widths)
    print()
    row(f"restart with {JOBS:,} jobs", "seconds", widths=widths)
    for batch in (1, 100):
        took = median([measured("benchmarks.journal", f"restart{batch}")[0] for _ in range(3)])
        row(f"{batch} in each submit", took, widths=widths)


def run(kind: str) -> list[float]:
    """One measurement, in this process."""
    with tempfile.TemporaryDirectory(prefix="lightwork-bench-") as name:
        path = Path(name)
        if kind == "plain":
            return plain(path)
        if kind == "many":
            work = many(path)
        elif kind in {"idle", "busy"}:
            work = single(path, kind == "busy")
        else:
            work = restart(path, int(kind.removeprefix("restart")))
        return run_loop(work, uvloop=False if os.environ.get("LIGHTWORK_NO_UVLOOP") else None)


if __name__ == "__main__":
    print(*run(sys.argv[1]))
