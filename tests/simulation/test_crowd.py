"""Schedules with many users: a few of them, and that each promise that is made to many users would be seen broken."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lightwork.scheduler.core import core, events as on, explain
from lightwork.scheduler.core.exclusive import Charge
from lightwork.scheduler.core.queue import LAST
from lightwork.scheduler.core.state import State
from tests.simulation.crowd import EVENTS, FIRST, CrowdedWorld, crowded, world_of
from tests.simulation.faults import FAULTS
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.runner import run, stored
from tests.simulation.test_simulator import digest

HANDLERS: dict[Any, Any] = core._HANDLERS
QUICK = [seed for seed in range(FIRST, FIRST + 32) if crowded(seed)]


def _newest(original: Any) -> Any:
    """Jobs are of the newest version, whatever was submitted."""

    def on_jobs_submitted(state: State, event: on.JobsSubmitted) -> Any:
        for newest, step in state.sessions[event.session].steps.latest.items():
            if step.old == event.computation:
                event = replace(event, computation=newest)
        return original(state, event)

    return on_jobs_submitted


BUGS = {
    "nobody is alone": Mutant(frozenset({"P20"}), ((Charge, "limit", lambda _: lambda charge, session: LAST),)),
    "newest version": Mutant(frozenset({"P21"}), ((HANDLERS, on.JobsSubmitted, _newest),)),
    "out of step": Mutant(frozenset({"P22"}), ((explain, "behind", lambda _: lambda *of: None),)),
    "drained in vain": Mutant(frozenset({"P23"}), ((explain, "excluded", lambda _: lambda node: None),)),
    "one lease for all": Mutant(
        frozenset({"P12"}), ((State, "lease_of", lambda _: lambda state, node: state.lease_ns),)
    ),
}
SEEDS = {
    "nobody is alone": [20_003, 20_006, 20_007],
    "newest version": [20_030, 20_066, 20_090],
    "out of step": [20_043, 20_059, 20_107],
    "drained in vain": [20_006, 20_007, 20_010],
    "one lease for all": [20_018, 20_030, 20_038],
}


def test_a_few_schedules_keep_all_promises() -> None:
    for seed in QUICK:
        result = run(seed)
        assert not result.promise, f"python -m tests.simulation --seed {seed}   # {result.text}"


def test_they_have_all_that_many_users_bring() -> None:
    worlds = [world for world in map(world_of, QUICK) if isinstance(world, CrowdedWorld)]
    assert len(worlds) == len(QUICK)
    terms = [one for world in worlds for one in world.terms.values() if one is not None]
    assert {one.exclusive for one in terms} == {True, False}
    assert len({one.weight for one in terms}) > 1
    assert any(job.options.priority for world in worlds for job in world.jobs)
    assert any(world.updates[name] for world in worlds for name in world.names)
    assert {bool(world.relays) for world in worlds} == {world.restarts_only for world in worlds} == {True, False}
    for world in worlds:
        world.run()
        assert len(world.jobs) >= 30
        assert not world.net.blocked
    happened = set().union(*(world.faults.kinds for world in worlds))
    assert happened >= {"drain", "remove", "relay dies", "relay is cut off"}


def test_they_are_none_of_the_stored_ones() -> None:
    """Those mean what they meant."""
    assert not any(crowded(seed) for seed, mutant in stored() if mutant)


def test_a_seed_is_one_schedule() -> None:
    assert digest(QUICK[0]) == digest(QUICK[0])
    without = world_of(QUICK[0], frozenset(range(FAULTS, FAULTS + EVENTS)))
    without.run()
    assert not {"drain", "remove"} & set(without.faults.kinds)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_planted_bugs_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MUTANTS, name, BUGS[name])
    for seed in SEEDS[name]:
        assert not run(seed).promise, f"seed {seed} fails without the bug"
    seen = {seed: run(seed, name) for seed in SEEDS[name]}
    assert any(result.promise in BUGS[name].promises for result in seen.values()), seen
