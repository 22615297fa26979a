"""Runs schedules: one, a range in several processes, the stored ones; and makes a failing one smaller."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from msgspec import Struct

from tests.simulation.clock import SECOND, Busy
from tests.simulation.coverage import Coverage
from tests.simulation.crowd import EVENTS, world_of
from tests.simulation.faults import FAULTS
from tests.simulation.known import Violation
from tests.simulation.mutants import planted
from tests.simulation.reopening import NUMBERS
from tests.simulation.transcript import lines
from tests.simulation.world import World

STORED = Path(__file__).with_name("seeds.txt")
PORTION = 20  # schedules that a process gets at once
PROCESSES = min(2, os.cpu_count() or 1)  # beside other tests


class Result(Struct):
    """What came of one schedule. `promise` "": all were kept."""

    seed: int
    promise: str = ""
    text: str = ""
    steps: int = 0
    simulated_s: float = 0.0
    faults: dict[str, int] = {}
    pairs: set[str] = set()


def run(seed: int, mutant: str = "", skipped: frozenset[int] = frozenset(), *, covering: bool = False) -> Result:
    """One schedule."""
    result, _ = _run(seed, mutant, skipped, told=False, covering=covering)
    return result


def transcript(
    seed: int, mutant: str = "", skipped: frozenset[int] = frozenset(), *, all_of_it: bool = False
) -> tuple[Result, list[str]]:
    """The same, and what happened."""
    result, world = _run(seed, mutant, skipped, told=True, covering=False)
    return result, list(lines(world.told or [], all_of_it=all_of_it))


def _run(seed: int, mutant: str, skipped: frozenset[int], *, told: bool, covering: bool) -> tuple[Result, World]:
    world = world_of(seed, skipped)
    world.told = [] if told else None
    coverage = world.coverage = Coverage() if covering else None
    result = Result(seed)
    if mutant:  # its promise must be seen to be broken by what follows, not by a table on the way
        world.oracle.every = 0
    with planted(mutant):
        try:
            world.run()
        except Busy as error:
            result.promise, result.text = "P8", f"P8: {error}"
        except Violation as violation:
            result.promise, result.text = violation.promise, str(violation)
        except Exception as error:  # a fault of the code under test, or of the world: both are to be mended
            result.promise, result.text = "fault", f"{type(error).__name__}: {error}"
    world.end()
    result.steps, result.simulated_s = world.clock.steps, (world.clock.now - world.began_ns) / SECOND
    result.faults = world.faults.kinds
    if coverage is not None:
        result.pairs = coverage.pairs
    return result, world


def shrink(seed: int, mutant: str = "") -> frozenset[int]:
    """Faults (by number) without which the same promise is broken all the same."""
    promise = run(seed, mutant).promise
    skipped: frozenset[int] = frozenset()
    for number in (*range(FAULTS + EVENTS), *NUMBERS):
        if run(seed, mutant, skipped | {number}).promise == promise:
            skipped |= {number}
    return skipped


def stored() -> list[tuple[int, str]]:
    """Seeds that run for ever, each with the mutant that it is for ("": none)."""
    found = []
    for line in STORED.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            seed, _, mutant = text.partition(" ")
            found.append((int(seed), mutant.strip()))
    return found


class Total:
    """Of many schedules."""

    def __init__(self) -> None:
        self.count = self.steps = 0
        self.simulated_s = 0.0
        self.violations: list[Result] = []
        self.faults: Counter[str] = Counter()
        self.pairs: set[str] = set()
        self._began = time.monotonic()

    def add(self, result: Result) -> None:
        """One more."""
        self.count += 1
        self.steps += result.steps
        self.simulated_s += result.simulated_s
        self.faults.update(result.faults)
        self.pairs |= result.pairs
        if result.promise:
            self.violations.append(result)

    def summary(self) -> str:
        """One line."""
        took = max(time.monotonic() - self._began, 1e-9)
        return (
            f"{self.count:,} schedules in {took:.0f} s ({self.count / took:.1f}/s), {len(self.violations)} violations, "
            f"{sum(self.faults.values()):,} faults, {self.simulated_s / 3600:.1f} simulated hours, {self.steps:,} steps"
        )


def run_range(seeds: range, processes: int = 1, mutant: str = "", *, covering: bool = False) -> Iterator[Result]:
    """Each result as it comes, in order."""
    portions = [seeds[at : at + PORTION] for at in range(0, len(seeds), PORTION)]
    if processes == 1:
        for portion in portions:
            yield from _portion(portion, mutant, covering)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(_portion, portion, mutant, covering) for portion in portions]
        try:
            for task in tasks:
                yield from task.result()
        finally:
            for task in tasks:
                task.cancel()


def _portion(seeds: Iterable[int], mutant: str, covering: bool) -> list[Result]:
    """Worlds are full of cycles, and short-lived: collected once for all of them."""
    gc.disable()
    try:
        return [run(seed, mutant, covering=covering) for seed in seeds]
    finally:
        gc.enable()
        gc.collect()
