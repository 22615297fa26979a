"""Slot time is shared by weight: real core, virtual time; by the scheduler's own account and by the jobs' records."""

from __future__ import annotations

import random

import pytest

from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.core import Core
from tests.scheduler.virtual import MS_NS, Ran, World

MINUTE = 60.0
WITHIN = 0.05
WEIGHTS = {"s1": 1.0, "s2": 1.0, "s3": 2.0, "s4": 3.0, "s5": 1.0, "s6": 0.5, "s7": 4.0, "s8": 1.0}
USUAL_NS = {"s1": 3 * MS_NS, "s2": 700 * MS_NS, "s3": 40 * MS_NS, "s4": 150 * MS_NS}  # the others: 100 ms


def duration_ns(session: str, number: int) -> int:
    """Long and short ones, spread by half."""
    usual = USUAL_NS.get(session, 100 * MS_NS)
    return int(usual * (0.5 + random.Random(f"{session}/{number}").random()))


def by_weight(had: dict[str, float], names: list[str]) -> dict[str, float]:
    """What each had of its due: 1.0 is just that."""
    total, weights = sum(had[name] for name in names), sum(WEIGHTS[name] for name in names)
    return {name: had[name] / total * weights / WEIGHTS[name] for name in names}


def world_of(names: list[str], order: str = "fair") -> World:
    world = World(Core(order=order), duration_ns)
    for node in "abcd":
        world.node(node, 4)
    for name in names:
        world.client(name, WEIGHTS[name])
    return world


def assert_shared(world: World, names: list[str], since_s: float = 0.0, **only: int) -> None:
    shares = by_weight(world.slot_time(since_s, **only), names)
    assert all(abs(share - 1) < WITHIN for share in shares.values()), shares


@pytest.mark.slow
def test_eight_sessions_over_a_minute() -> None:
    names = list(WEIGHTS)
    world = world_of(names)
    for name in names:
        world.submit(name, int(2 * MINUTE * 16e9 / duration_ns(name, 0)) // 4)
    world.run(MINUTE)
    assert_shared(world, names)
    booked = {name: world.core.state.sessions[name].slot_ns / 1e9 for name in names}
    shares = by_weight(booked, names)  # of what has ended
    assert all(abs(share - 1) < WITHIN for share in shares.values()), shares
    assert sum(world.slot_time().values()) > 0.98 * MINUTE * 16, "slots were idle while jobs waited"


@pytest.mark.slow
def test_mixed_priorities_are_shared_among_equals() -> None:
    """Four sessions have urgent jobs for half a minute; others go on afterwards, and lost nothing of their share."""
    world = world_of(list(WEIGHTS))
    urgent, usual = ["s1", "s2", "s3", "s4"], ["s5", "s6", "s7", "s8"]
    for name in usual:
        world.submit(name, 20_000)
    world.run(1)
    for name in urgent:
        world.submit(name, 25_000 if name == "s1" else 5_000, priority=5)
    world.run(31)
    had = world.slot_time(2.0)
    assert_shared(world, urgent, 2.0, priority=5)
    assert sum(had.get(name, 0.0) for name in usual) < 0.001 * sum(had.values())
    world.feed(*(on.JobsCancelled(name, list(world.core.state.sessions[name].jobs)) for name in urgent))
    world.run(33)
    world.run(63)
    assert_shared(world, usual, 33)


def test_a_client_that_submits_as_results_come_has_its_share() -> None:
    """It has only some jobs more than its due of slots in hand, the other has a million in line."""
    names = ["s5", "s7"]  # 1 : 4
    world = world_of(names)
    world.submit("s5", 20_000)
    left = [40_000]

    def again(ran: Ran) -> list[on.Event]:
        if ran.session == "s7" and left[0]:
            left[0] -= 1
            world._submitted["s7"] += 1
            return [on.JobsSubmitted("s7", "f", world._submitted["s7"] - 1, [b""])]
        return []

    world.on_end = again
    world.submit("s7", 16)
    world.run(MINUTE)
    assert_shared(world, names)


def test_who_was_idle_has_saved_nothing() -> None:
    names = ["s5", "s8"]
    world = world_of(names)
    world.submit("s5", 40_000)
    world.run(30)
    world.submit("s8", 40_000)
    world.run(40)
    assert_shared(world, names, 30.5)
    world.run(60)
    assert_shared(world, names, 30.5)


def test_one_of_unknown_length_does_not_take_all() -> None:
    """Jobs of ten minutes look like any other at first, and cannot be stopped; but each that runs is charged for."""
    world = World(Core(), lambda session, number: 600_000 * MS_NS if session == "long" else 100 * MS_NS)
    for node in "abcd":
        world.node(node, 4)
    for name in ("s5", "long"):
        world.client(name)
        world.submit(name, 20_000)
    world.run(MINUTE)
    had = world.slot_time()
    assert had["s5"] > 0.15 * sum(had.values()), had


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0])
@pytest.mark.parametrize(("nodes", "short_ms"), [(4, 100), (4, 1000), (16, 100), (16, 2000)])
def test_jobs_that_never_end_hold_half_as_much_again_as_their_share(nodes: int, short_ms: int, weight: float) -> None:
    """Nobody could know. As docs/scheduler.md says."""
    world = World(Core(), lambda session, number: (10**9 if session == "long" else short_ms) * MS_NS)
    for node in range(nodes):
        world.node(f"n{node}", 4)
    world.client("short")
    world.client("long", weight)
    world.submit("short", 20_000)
    world.run(5)
    world.submit("long", 1_000)
    world.run(30)
    held = sum(row[0] == "long" for machine in world.machines.values() for row in machine.running.values())
    due = 4 * nodes * weight / (1 + weight)
    assert due / 2 <= held <= 1.5 * due + 1


@pytest.mark.parametrize(("order", "first"), [("submitted", ["s2", "s1"]), ("oldest", ["s1", "s2"])])
def test_other_orders(order: str, first: list[str]) -> None:
    """s1 was opened first, s2 submitted first: whoever is first has all of its jobs done before the other begins."""
    world = World(Core(order=order), lambda session, number: 100 * MS_NS)
    world.node("a", 2)
    world.client("s1")
    world.client("s2")
    world.submit("s2", 1)  # what has started goes on
    world.submit("s2", 1)
    world.submit("s2", 20)
    world.submit("s1", 20)
    world.run(10)
    began: dict[str, list[int]] = {}
    for ran in world.ran:
        if (ran.session, ran.number) not in (("s2", 0), ("s2", 1)):
            began.setdefault(ran.session, []).append(ran.start_ns)
    assert max(began[first[0]]) <= min(began[first[1]])


def test_an_urgent_job_starts_on_the_next_free_slot() -> None:
    """Tiny jobs were handed out ahead: they come back, and the urgent one does not wait for them."""
    world = World(Core(), lambda session, number: 10 * MS_NS)
    world.node("a", 2)
    world.client("tiny")
    world.submit("tiny", 5_000)
    world.run(2)
    assert len(world.machines["a"].waiting) > 4
    world.client("urgent")
    world.submit("urgent", 1, priority=1)
    world.run(2.1)
    ran = next(ran for ran in world.ran if ran.session == "urgent")
    assert ran.start_ns - 2e9 <= 10 * MS_NS
    assert all(job.attempts <= 1 for job in world.core.state.sessions["tiny"].jobs.values())
