"""Schedules of faults against the real cores: the stored seeds, and fresh ones.

Which ones are fresh follows from the code: a digest of what is simulated chooses 4,000 of 40,000,000. The same tree has
the same verdict, whoever runs it, and each change meets schedules that nobody has seen. The range is printed;
`LIGHTWORK_TEST_SEEDS=A:B` asks for another one, `LIGHTWORK_TEST_SEEDS=N` for so many.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

import lightwork
from tests.simulation.runner import PROCESSES, Total, run, run_range, stored, transcript

ENOUGH = 4_000
FIRST, RANGES = 10_000_000, 10_000
SOAK, VERY_MANY = 2_000_000, 200_000
QUICK = range(12)
TAIL = 120  # lines of a transcript


def fresh() -> range:
    """Seeds that this tree has to itself."""
    asked = os.environ.get("LIGHTWORK_TEST_SEEDS")
    if asked:
        return seeds_of(asked)
    digest = hashlib.sha256()
    for root in (Path(lightwork.__file__).parent, Path(__file__).parent):
        for path in sorted(root.rglob("*.py")):
            digest.update(path.read_bytes())
    first = FIRST + int.from_bytes(digest.digest()[:4], "big") % RANGES * ENOUGH
    return range(first, first + ENOUGH)


def seeds_of(text: str) -> range:
    """A:B, or so many."""
    begin, colon, end = text.partition(":")
    return range(int(begin), int(end)) if colon else range(SOAK, SOAK + int(begin))


def told(total: Total, mutant: str = "") -> str:
    """What was broken, how it came to that, and how to see it again."""
    again = [f"python -m tests.simulation --seed {one.seed}   # {one.text}" for one in total.violations[:10]]
    _, lines = transcript(total.violations[0].seed, mutant)
    return "\n".join(
        [
            total.summary(),
            *again,
            "when they are mended, store them in tests/simulation/seeds.txt",
            f"the end of the first one, seed {total.violations[0].seed}:",
            *lines[-TAIL:],
        ]
    )


def all_of(seeds: range, processes: int) -> Total:
    total = Total()
    for result in run_range(seeds, processes):
        total.add(result)
    return total


def test_a_few_schedules_keep_all_promises() -> None:
    total = all_of(QUICK, 1)
    assert not total.violations, told(total)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for seed, mutant in stored() if not mutant])
def test_stored_seeds_keep_all_promises(seed: int) -> None:
    result = run(seed)
    assert not result.promise, f"python -m tests.simulation --seed {seed}   # {result.text}"


@pytest.mark.slow
def test_fresh_schedules_keep_all_promises(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = fresh()
    total = all_of(seeds, PROCESSES)
    with capsys.disabled():
        print(f"\nsimulation, seeds {seeds.start}:{seeds.stop}: {total.summary()}")
    assert not total.violations, told(total)


@pytest.mark.soak
def test_very_many_schedules_keep_all_promises(capsys: pytest.CaptureFixture[str]) -> None:
    """In parts, if that is asked for: `make soak SEEDS=A:B`."""
    total = Total()
    for result in run_range(seeds_of(os.environ.get("LIGHTWORK_TEST_SEEDS", str(VERY_MANY))), PROCESSES):
        total.add(result)
        if total.count % 10_000 == 0:
            with capsys.disabled():
                print(f"\nsimulation: {total.summary()}")
    assert not total.violations, told(total)


def test_a_violation_is_told_with_its_seed_and_its_story() -> None:
    total = Total()
    for seed in [seed for seed, mutant in stored() if mutant == "no hold"]:
        total.add(run(seed, "no hold"))
    text = told(total, "no hold")
    first = total.violations[0]
    assert f"--seed {first.seed}   # {first.text}" in text
    assert re.search(r"\n +[0-9.]+ s[0-9]+ +> NodeTruth ", text)
