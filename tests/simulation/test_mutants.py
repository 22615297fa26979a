"""Planted bugs are found: each by its stored seed, and in the soak afresh, by the promise that it breaks."""

from __future__ import annotations

import os

import pytest

from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.runner import run, run_range, stored
from tests.simulation.world import World

pytestmark = pytest.mark.soak  # these look at the simulated world itself, which still grows

SEEDS = {mutant: seed for seed, mutant in stored() if mutant}
ENOUGH = 20_000  # a mutant that these do not find is not found


def test_each_planted_bug_has_a_seed():
    assert set(SEEDS) == set(MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_its_seed_finds_it(mutant):
    seed = SEEDS[mutant]
    assert not run(seed).promise, "the seed fails without the bug"
    result = run(seed, mutant)
    assert result.promise in MUTANTS[mutant].promises, result.text or "nothing was noticed"


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS)
def test_fresh_seeds_find_it(mutant):
    first = int(os.environ.get("LIGHTWORK_TEST_FIRST_SEED", "3000000"))
    for result in run_range(range(first, first + ENOUGH), os.cpu_count() or 1, mutant):
        if result.promise in MUTANTS[mutant].promises:
            return
    raise AssertionError(f"{ENOUGH:,} schedules do not notice {mutant!r}")


def test_nothing_stays_planted():
    before = {name: [original(place) for place in one.places] for name, one in MUTANTS.items()}
    for name in MUTANTS:
        with planted(name):
            World(0)
    assert {name: [original(place) for place in one.places] for name, one in MUTANTS.items()} == before


def original(place):
    owner, key, _ = place
    return owner[key] if isinstance(owner, dict) else getattr(owner, key)
