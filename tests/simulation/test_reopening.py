"""Schedules in which sessions are closed and opened again: a few of them, and that what stays of an old one is seen."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.scheduler.core import facts as fact, ledger
from tests.simulation.crowd import CrowdedWorld, world_of
from tests.simulation.faults import FAULTS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.reopening import FIRST, NUMBERS, OPEN_AGAIN, Openings, reopens
from tests.simulation.runner import run, stored
from tests.simulation.test_simulator import digest

QUICK = [seed for seed in range(FIRST, FIRST + 50) if reopens(seed)]
APPLY: dict[Any, Any] = ledger._APPLY


def _stays(original: Any) -> Any:
    """A session that is over is still known."""
    return lambda self, one: None


KEPT = Mutant(frozenset({"P1", "P4"}), ((APPLY, fact.SessionEnded, _stays),))


def test_a_few_schedules_keep_all_promises() -> None:
    for seed in QUICK:
        result = run(seed)
        assert not result.promise, f"python -m tests.simulation --seed {seed}   # {result.text}"


def test_sessions_are_opened_again_in_all_kinds_of_schedules() -> None:
    worlds = [world_of(seed) for seed in QUICK]
    assert {isinstance(world, CrowdedWorld) for world in worlds} == {True, False}
    assert {world.restarts_only for world in worlds} == {True, False}
    again = 0
    for world in worlds:
        planned = len(world.jobs)
        world.run()
        assert len(world.jobs) > planned
        again += world.faults.kinds.get(OPEN_AGAIN, 0)
        anew = {uid for uid in world.oracle.jobs if "#" in uid[0]}
        assert bool(anew) <= bool(world.faults.kinds.get(OPEN_AGAIN, 0))
    assert again > len(QUICK)


def test_each_opening_has_a_name() -> None:
    """For the disk, as for a scheduler, it changes with the end of the session."""
    disk = Openings(["c1"])
    first, end = fact.Taken("c1", [0]), fact.SessionEnded("c1")
    assert disk.told(first) is first
    assert disk.told(end) is end
    life = disk.copy()
    assert disk.told(first) == fact.Taken("c1#1", [0])
    assert disk.told(end) == fact.SessionEnded("c1#1")
    assert (disk.name("c1"), life.name("c1")) == ("c1#2", "c1#1")
    assert (life.session("c1#1"), life.session("c1"), disk.session("c1#1")) == ("c1", "", "")
    disk.told(fact.SessionEnded("c2-1"))
    assert disk.name("c2-1") == "c2-1"


def test_other_schedules_are_as_they_were() -> None:
    assert not any(reopens(seed) for seed, mutant in stored() if mutant)
    for seed in (0, FIRST + 1):
        world = world_of(seed)
        planned = list(world.jobs)
        world.run()
        assert world.jobs == planned
        assert OPEN_AGAIN not in world.faults.kinds


def test_a_seed_is_one_schedule() -> None:
    assert digest(QUICK[0]) == digest(QUICK[0])
    without = world_of(QUICK[0], frozenset([*range(FAULTS), *NUMBERS]))
    without.run()
    assert OPEN_AGAIN not in without.faults.kinds


def test_what_stays_of_an_old_session_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MUTANTS, "kept", KEPT)
    seen = {seed: run(seed, "kept") for seed in QUICK}
    assert any(result.promise in KEPT.promises for result in seen.values()), seen
