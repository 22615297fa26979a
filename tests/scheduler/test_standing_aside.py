"""Who stands aside for whom, and who need not: limits of sessions, twins, slots that come back; late answers."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.wire.messages import Computation, JobOptions
from tests.scheduler.durable_core import DurableCore
from tests.scheduler.virtual import MS_NS, SECOND_NS, World

HALF = (("cpus", 500),)


def world(took_s: float = 1.0, **by_session: float) -> World:
    return World(Core(), lambda session, number: int(by_session.get(session, took_s) * SECOND_NS))


def on_node(it: World, node: str) -> int:
    return len(it.machines[node].running)


def test_nothing_is_kept_for_a_session_that_is_to_have_no_more_there() -> None:
    """It has its one job of the node; another would find a slot, and may not: the slot is for others."""
    it = world(limited=1000)
    it.node("a", 4)
    it.client("limited")
    it.client("other")
    it.core.state.sessions["limited"].cap("a", 1)
    it.submit("limited", 3)
    it.submit("other", 100, resources=HALF)
    it.run(3)
    assert on_node(it, "a") == 1 + 3 * 2


def test_nobody_is_kept_from_going_ahead_by_a_session_that_is_to_have_no_more_there() -> None:
    """Tiny jobs of another session travel ahead of free slots as if it were not there."""
    it = World(Core(), lambda session, number: 100 * SECOND_NS if session == "limited" else MS_NS)
    it.node("a", 3)
    it.client("limited")
    it.client("tiny")
    it.core.state.sessions["limited"].cap("a", 1)
    it.submit("limited", 3, priority=1)
    it.submit("tiny", 2000, reentrant=True)
    it.run(0.5)
    assert len(it.machines["a"].waiting) > 4


def test_nothing_is_asked_back_for_a_node_that_would_not_take_it() -> None:
    """One node is idle, and its session is to have no more there: jobs ahead on another stay where they are, or they
    would go to and fro for ever."""
    it = World(Core(), lambda session, number: (1 if number < 100 else 10_000) * MS_NS)
    it.node("a", 1)
    it.client("s")
    it.submit("s", 100)
    it.run(1)
    it.node("b", 4)
    it.core.state.sessions["s"].cap("b", 1)
    it.submit("s", 4)
    assert it.machines["a"].waiting
    assert not any(isinstance(one, do.Revoke) for one in it.said)


@pytest.mark.parametrize("others", [0, 1], ids=["that waits alone", "that waits beside others"])
def test_a_twin_does_not_take_the_room_that_somebody_waits_for(others: int) -> None:
    """All slots of a node but one are free, for a job that needs four: a slow job elsewhere has no claim to them."""
    lasts_s = dict.fromkeys(range(8), 1) | {8: 10, 9: 10, 10: 10, 11: 30, 12: 1000}
    it = World(Core(), lambda session, number: lasts_s.get(number, 1) * SECOND_NS)
    it.node("a", 4)
    it.node("b", 1)
    it.client("s")
    it.submit("s", 8, reentrant=True)
    it.run(5)
    it.submit("s", 4, node="a")
    it.submit("s", 1, reentrant=True)
    assert [row[1] for row in it.machines["b"].running.values()] == [12]
    it.submit("s", others, node="b")
    it.client("wide")
    it.submit("wide", 1, resources=(("cpus", 4000),))
    it.run(34)
    assert on_node(it, "a") == 1
    assert it.core.state.twins_started == 0
    it.run(37)
    assert [ran.session for ran in it.ran if ran.start_ns > 30 * SECOND_NS] == ["wide"]


def test_slots_that_come_back_are_seen_by_those_who_need_them() -> None:
    """A session that had all nodes for itself used one slot; with its end another's wide job finds them all again."""
    it = world()
    it.core.state.shared = True
    it.client("alone", exclusive=True)
    it.node("a", 4)
    it.feed(on.NodeControlled("alone", 1, "a", "slots", 1))
    assert it.core.state.nodes["a"].slots == 1
    it.client("wide")
    it.submit("wide", 1, resources=(("cpus", 4000),), wait_for_nodes=True)
    it.feed(on.CloseAsked("alone"))
    assert check(it.core.state) == []
    assert on_node(it, "a") == 1


def test_an_answer_goes_to_the_life_that_asked() -> None:
    """Another life of the client counts its questions from 1 again: the barrier of the first is nobody's."""
    lab = DurableCore()
    lab.feed([on.ClientJoined("s", lasting=True), on.NodeJoined("a", 1, shares_memory=False)], 1)
    lab.feed([on.ComputationDefined("s", Computation("f", "function", "f")), on.ReadyAwaited("s", 1, ["f"], 2)], 2)
    lab.feed([on.NodeJobsAsked("s", 2, "a", True)], 3)
    lab.feed([on.ClientAway("s")], 4)
    lab.feed([on.ClientJoined("s", lasting=True)], 5)
    said = lab.feed([on.ComputationReady("a", "s", "f"), on.HeldTold("a", 1, [], [])], 6)
    said += lab.feed([on.NodeJoined("b", 1, shares_memory=False)], 7)
    said += lab.feed([on.ComputationReady("b", "s", "f")], 8)
    assert not [one for one in said if isinstance(one, do.Answer)]


def test_a_job_that_is_tried_again_goes_before_an_exclusive_session_that_came_later() -> None:
    """Others of its kind wait in line already: they came later, and it is not their turn."""
    core = Core()
    computation = Computation("f", "function", "f")
    core.feed([on.NodeJoined("a", 1, "a"), on.ClientJoined("s"), on.ComputationDefined("s", computation)], 0)
    options = JobOptions(retries=1)
    (first,) = assigned(core.feed([on.JobsSubmitted("s", "f", 0, [b"x"], options)], 0))
    core.feed([on.ClientJoined("x"), on.ComputationDefined("x", computation), on.TermsTold("x", 1.0, True)], 0)
    core.feed([on.JobsSubmitted("x", "f", 0, [b"x"])], 0)
    core.feed([on.JobsSubmitted("s", "f", 1, [b"x"], options)], 0)
    body = b"\x00" * 20
    assert assigned(core.feed([on.AttemptsEnded("a", [first], [1], [1], [1], [len(body)], body)], 1)) == []
    assert core.state.delays.size == 1
    assert len(assigned(core.feed([on.TimePassed()], 4 * SECOND_NS))) == 1
    assert [job.number for job in core.state.nodes["a"].attempts.values()] == [0]


def assigned(commands: list[Any]) -> list[int]:
    return [token for one in commands if isinstance(one, do.Assign) for token in one.tokens]
