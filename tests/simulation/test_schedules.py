"""Schedules of faults against the real cores: the stored seeds, and fresh ones.

`LIGHTWORK_TEST_SEEDS=A:B` chooses the fresh ones (by default 1,000 that change with the commit's content only: none do).
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.runner import Total, run, run_range, stored

FRESH = os.environ.get("LIGHTWORK_TEST_SEEDS", "1000000:1001000")
SOAK = os.environ.get("LIGHTWORK_TEST_SEEDS", "2000000:2200000")
QUICK = range(40)


def seeds_of(text: str) -> range:
    begin, _, end = text.partition(":")
    return range(int(begin), int(end))


def told(total: Total) -> str:
    """What to do with a violation."""
    shown = [f"python -m tests.simulation --seed {one.seed} --verbose   # {one.text}" for one in total.violations[:10]]
    return "\n".join([total.summary(), *shown, "store them in tests/simulation/seeds.txt when they are mended"])


def all_of(seeds: range, processes: int) -> Total:
    total = Total()
    for result in run_range(seeds, processes):
        total.add(result)
    return total


def test_a_few_schedules_keep_all_promises():
    total = all_of(QUICK, 1)
    assert not total.violations, told(total)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for seed, mutant in stored() if not mutant])
def test_stored_seeds_keep_all_promises(seed):
    result = run(seed)
    assert not result.promise, result.text


@pytest.mark.soak
def test_fresh_schedules_keep_all_promises(capsys):
    total = all_of(seeds_of(FRESH), os.cpu_count() or 1)
    with capsys.disabled():
        print(f"\nsimulation: {total.summary()}")
    assert not total.violations, told(total)


@pytest.mark.soak
def test_very_many_schedules_keep_all_promises(capsys):
    seeds = seeds_of(SOAK)
    total = Total()
    for result in run_range(seeds, os.cpu_count() or 1):
        total.add(result)
        if total.count % 10_000 == 0:
            with capsys.disabled():
                print(f"\nsimulation: {total.summary()}")
    assert not total.violations, told(total)
