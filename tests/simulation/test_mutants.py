"""Planted bugs are found: each by its stored seeds, and in the soak afresh, by the promise that it breaks.

A stored seed finds its bug as long as the code is much as it was; so there are several of each, and one must do.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.simulation.mutants import MUTANTS, Place, planted
from tests.simulation.runner import PROCESSES, run, run_range, stored
from tests.simulation.world import World

SEEDS = {name: [seed for seed, mutant in stored() if mutant == name] for name in MUTANTS}
ENOUGH = 20_000  # a mutant that these do not find is not found


def test_each_planted_bug_has_seeds() -> None:
    assert {mutant for _, mutant in stored() if mutant} == set(MUTANTS)
    assert all(len(seeds) >= 3 for seeds in SEEDS.values())


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_its_seeds_find_it(mutant: str) -> None:
    for seed in SEEDS[mutant]:
        assert not run(seed).promise, f"seed {seed} fails without the bug"
    seen = {seed: run(seed, mutant) for seed in SEEDS[mutant]}
    noticed = [result.promise in MUTANTS[mutant].promises for result in seen.values()]
    assert any(noticed), {seed: result.text for seed, result in seen.items()}


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS)
def test_fresh_seeds_find_it(mutant: str) -> None:
    first = int(os.environ.get("LIGHTWORK_TEST_FIRST_SEED", "3000000"))
    for result in run_range(range(first, first + ENOUGH), PROCESSES, mutant):
        if result.promise in MUTANTS[mutant].promises:
            return
    raise AssertionError(f"{ENOUGH:,} schedules do not notice {mutant!r}")


def test_nothing_stays_planted() -> None:
    before = {name: [original(place) for place in one.places] for name, one in MUTANTS.items()}
    for name in MUTANTS:
        with planted(name):
            assert [original(place) for place in MUTANTS[name].places] != before[name]
            World(0)
    assert {name: [original(place) for place in one.places] for name, one in MUTANTS.items()} == before


def original(place: Place) -> Any:
    owner, key, _ = place
    return owner[key] if isinstance(owner, dict) else getattr(owner, key)
