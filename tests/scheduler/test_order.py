"""Who goes first, and where: stories of priorities, places, resources, exclusive sessions and impossible wishes."""

from __future__ import annotations

from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.exclusive import is_alone
from lightwork.wire import outcome
from lightwork.wire.messages import Computation, JobOptions, Wanted
from tests.scheduler.durable_core import DurableCore
from tests.scheduler.virtual import SECOND_NS, World

GIB = 1 << 30


def world(core: Core | None = None, took_s: float = 1.0) -> World:
    return World(core or Core(), lambda session, number: int(took_s * SECOND_NS))


def where(world: World) -> dict[tuple[str, int], str]:
    """On which node each job ran, or runs."""
    ran = {(one.session, one.number): one.node for one in world.ran}
    runs = {row[:2]: name for name, machine in world.machines.items() for row in machine.running.values()}
    return ran | runs


def order(world: World) -> list[tuple[str, int]]:
    """Jobs by their start."""
    return [(one.session, one.number) for one in sorted(world.ran, key=lambda one: one.start_ns)]


def failure(world: World, session: str, number: int) -> dict[str, str]:
    """What its client was told of a job that ended FAILED."""
    state, body = world.ended[session, number]
    assert state == JobState.FAILED
    return {key: value.decode() for key, value in outcome.decode_outcome(body).failure.items()}


# --- places ---


def test_the_heavier_machine_fills_first_then_the_idlest() -> None:
    it = world()
    it.node("a", 2)
    it.node("b", 2, weight=5)
    it.node("c", 3)
    it.client("s")
    it.submit("s", 2)
    assert set(where(it).values()) == {"b"}
    it.submit("s", 2)
    assert where(it)["s", 2] == "c"
    assert where(it)["s", 3] in ("a", "c")


def test_a_job_goes_where_its_where_holds() -> None:
    it = world()
    it.node("a", 1, groups=["red"])
    it.node("b", 1, labels={"disk": "ssd"})
    it.client("s")
    it.submit("s", 3, where='label.disk == "ssd"')
    it.submit("s", 1, where='group == "red"')
    assert where(it) == {("s", 0): "b", ("s", 3): "a"}
    said = it.core.why("s", 1)
    assert "waits" in said[0]
    assert any("node a is not what where= asks for" in line for line in said)
    assert any("all 1 slots of node b are busy" in line for line in said)
    it.run(10)
    assert [where(it)["s", number] for number in range(4)] == ["b", "b", "b", "a"]


# --- resources ---


def test_fractions_and_multiples_of_slots() -> None:
    it = world()
    it.node("a", 2)
    it.client("s")
    it.submit("s", 9, resources=(("cpus", 250),))
    assert len(it.machines["a"].running) == 8
    it.submit("s", 1, resources=(("cpus", 2000),))
    it.run(1.5)
    assert len(it.machines["a"].running) == 1
    it.run(9)
    assert order(it)[-1] == ("s", 9)


def test_memory_and_gpus_are_reserved_and_come_back() -> None:
    it = world()
    it.node("a", 4, resources={"memory": 8 * GIB, "gpu": 1})
    it.client("s")
    it.submit("s", 3, resources=(("memory", 3 * GIB),))
    it.submit("s", 2, resources=(("gpu", 1),))
    assert sorted(key[1] for key in where(it)) == [0, 1, 3]
    assert any("node a has not 3G memory left" in line for line in it.core.why("s", 2))
    assert any("node a has not 1 gpu left" in line for line in it.core.why("s", 4))
    it.run(5)
    assert len(it.ran) == 5
    assert not any(it.core.state.nodes["a"].taken.values())


def test_none_goes_ahead_where_anything_but_slots_is_taken() -> None:
    """Tiny jobs travel in batches, but not where one holds a reservation: it could not start when it should."""
    it = world(took_s=0.001)
    it.node("a", 2)
    it.client("s")
    it.submit("s", 500)
    it.run(0.05)
    assert len(it.core.state.nodes["a"].attempts) > 2
    it.client("t")
    it.submit("t", 300, resources=(("cpus", 500),))
    it.run(0.2)
    node = it.core.state.nodes["a"]
    assert node.unlike == 0 or node.cpus <= 2000
    it.run(30)
    assert len(it.ran) == 800


def test_what_the_scheduler_lends_is_counted_over_all_nodes() -> None:
    it = world(Core(resources={"licence": 3}))
    it.node("a", 4)
    it.node("b", 4)
    it.client("s")
    it.submit("s", 2, resources=(("licence", 1),))
    it.submit("s", 1, resources=(("licence", 3),))
    it.submit("s", 5, resources=(("licence", 1),))
    assert len(where(it)) == 2, "the third licence is for the one that needs all three, not for those behind it"
    assert any("others wait longer" in line for line in it.core.why("s", 3))
    assert any("not enough licence left" in line for line in it.core.why("s", 2))
    it.run(1.5)
    assert ("s", 2) in where(it)
    it.run(10)
    assert order(it)[2] == ("s", 2)
    assert len(it.ran) == 8


def test_a_wide_job_is_not_starved_by_narrow_ones() -> None:
    """A node is kept for it: the one where its slots will be free first; on the other one the narrow ones go on."""
    it = World(Core(), lambda session, number: (3 if number % 2 else 2) * SECOND_NS)
    it.node("a", 2)
    it.node("b", 2)
    it.client("narrow")
    it.submit("narrow", 400)
    it.client("wide")
    it.submit("wide", 1, resources=(("cpus", 2000),))
    it.run(2.5)
    kept = next(node.name for node in it.core.state.field.kept.values())
    said = it.core.why("narrow", 50)
    assert any(f"node {kept} is kept for a job that needs more of it and came first" in line for line in said)
    it.run(4)
    assert ("wide", 0) in where(it)
    busy = sum(one.end_ns - one.start_ns for one in it.ran if one.session == "narrow")
    assert busy >= 2 * 2 * SECOND_NS, "the other node went on"


def test_a_session_has_no_more_of_a_node_than_its_cap() -> None:
    it = world(took_s=0.001)
    it.node("a", 4)
    it.client("s")
    it.client("t")
    it.core.state.sessions["s"].cap("a", 1)
    it.submit("s", 50)
    it.submit("t", 2)
    assert sum(key[0] == "s" for key in where(it)) == 1
    assert sum(key[0] == "t" for key in where(it)) == 2
    assert any("is to have 1 job of this cluster at once" in line for line in it.core.why("s", 1))
    it.run(5)
    assert len(it.ran) == 52


# --- priorities ---


def test_larger_priorities_go_first_whoever_came_first() -> None:
    it = world()
    it.node("a", 1)
    it.client("s")
    it.submit("s", 2)
    it.submit("s", 2, priority=-1)
    it.client("t")
    it.submit("t", 2, priority=7)
    it.run(10)
    assert order(it) == [("s", 0), ("t", 0), ("t", 1), ("s", 1), ("s", 2), ("s", 3)]


def test_what_has_not_started_makes_way() -> None:
    """A computation is still being prepared for less urgent jobs: their slots are asked back at once."""
    core = Core()
    said = core.feed([on.ClientJoined("s"), on.NodeJoined("a", 2)], 0)
    said += core.feed([on.ComputationDefined("s", Computation("f", "function", "f"))], 0)
    said = core.feed([on.JobsSubmitted("s", "f", 0, [b""] * 4)], 0)
    tokens = next(one.tokens for one in said if isinstance(one, do.Assign))
    said = core.feed([on.JobsSubmitted("s", "f", 4, [b""], JobOptions(priority=3))], 0)
    assert [one.tokens for one in said if isinstance(one, do.Revoke)] == [tokens[::-1]]
    assert not core.feed([on.JobsSubmitted("s", "f", 5, [b""], JobOptions(priority=3))], 1), "it was asked already"
    said = core.feed([on.AttemptsReturned("a", tokens, "revoked")], 2)
    assert [one.numbers for one in said if isinstance(one, do.Assign)] == [[4, 5]]


# --- exclusive ---


def test_an_exclusive_session_runs_alone() -> None:
    it = world()
    it.node("a", 2)
    it.client("before")
    it.submit("before", 4)
    it.client("alone", exclusive=True)
    it.submit("alone", 3)
    it.client("after")
    it.submit("after", 2)
    it.submit("before", 1)  # this one came later, too
    it.run(1.5)
    state = it.core.state
    assert {key[0] for key in where(it)} == {"before"}
    assert any(
        "jobs that others submitted before have not ended (session before)" in one for one in it.core.why("alone", 0)
    )
    assert any("session alone wants all nodes for itself, and came before" in one for one in it.core.why("after", 0))
    it.run(2.5)
    assert is_alone(state, state.sessions["alone"])
    it.run(6)
    assert {key[0] for key in where(it)} == {"before", "alone"}, "it is not over yet, though it has no jobs"
    it.feed(on.CloseAsked("alone"))
    it.run(9)
    assert order(it)[:4] == [("before", number) for number in range(4)]
    assert {key[0] for key in order(it)[4:7]} == {"alone"}
    assert {("after", 0), ("after", 1), ("before", 4)} == set(order(it)[7:])


def test_exclusive_sessions_take_turns() -> None:
    it = world()
    it.node("a", 2)
    for name in ("one", "two"):
        it.client(name, exclusive=True)
        it.submit(name, 2)
    it.run(1.5)
    assert {key[0] for key in where(it)} == {"one"}
    it.feed(on.ClientLost("one"))
    it.run(3)
    assert {key[0] for key in where(it)} == {"one", "two"}


# --- wishes that nothing can fulfil ---


def test_what_no_node_could_ever_run_ends_and_names_the_largest() -> None:
    it = world()
    it.node("a", 2, resources={"gpu": 1})
    it.node("b", 8)
    it.client("s")
    it.submit("s", 1, resources=(("cpus", 64_000),))
    it.submit("s", 1, resources=(("gpu", 2),))
    it.submit("s", 1, where='group == "nowhere"')
    it.submit("s", 1, resources=(("cpus", 4000), ("gpu", 1)))
    assert failure(it, "s", 0)["type"] == "CannotBePlaced"
    assert "it asks for 64 cpus; the largest that there is, node b, has 8 cpus" in failure(it, "s", 0)["message"]
    assert "it asks for 2 gpu; the largest that there is, node a, has 1 gpu" in failure(it, "s", 1)["message"]
    assert "node a is not what where= asks for: group" in failure(it, "s", 2)["message"]
    assert "no node has all of that" in failure(it, "s", 3)["message"]
    assert "wait_for_nodes=True" in failure(it, "s", 3)["hint"]
    assert it.core.state.sessions["s"].jobs == {}


def test_nothing_is_called_impossible_before_the_search_is_over() -> None:
    it = world()
    it.core.state.shared = True
    it.node("a", 2)
    it.client("s")
    it.submit("s", 1, resources=(("cpus", 4000),))
    it.submit("s", 1, resources=(("gpu", 1),))
    it.submit("s", 1, resources=(("gpu", 1),), wait_for_nodes=True)
    it.run(2.5)
    assert it.ended == {}
    it.node("b", 4)
    it.run(5)
    assert ("s", 0) in where(it)
    assert failure(it, "s", 1)["type"] == "CannotBePlaced"
    assert ("s", 2) not in it.ended
    it.node("c", 1, resources={"gpu": 1})
    assert where(it)["s", 2] == "c"


def test_what_fitted_once_waits_for_its_node_to_come_back() -> None:
    it = world()
    it.node("a", 4)
    it.node("b", 1)
    it.client("s")
    it.submit("s", 2, resources=(("cpus", 4000),))
    it.feed(on.NodeLost("a", left=True))
    it.submit("s", 1, resources=(("cpus", 4000),))
    it.run(10)
    assert it.ended == {}, "it was found possible"


def test_listed_addresses_are_tried_first() -> None:
    it = world()
    it.core.state.shared = True
    it.node("a", 1)
    it.client("s")
    it.feed(on.NodesWanted("s", 1, [Wanted("lab1", 9705)]))
    it.submit("s", 1, resources=(("cpus", 2000),))
    assert it.ended == {}
    it.feed(on.NodeUnreached("tcp:lab1:9705", "unreachable", "lab1: nobody answers"))
    assert failure(it, "s", 0)["type"] == "CannotBePlaced"


def test_a_where_of_another_version_is_refused() -> None:
    it = world()
    it.node("a", 1)
    it.client("s")
    it.submit("s", 1, where="planet == 3")
    assert "planet" in failure(it, "s", 0)["message"]


# --- a restart ---


def test_terms_and_order_survive_a_restart() -> None:
    """Priorities, the order of submission across sessions, weights, and who is in charge."""
    durable = DurableCore()
    given = Computation("f", "function", "f")
    for name, exclusive in (("s", False), ("t", False), ("e", True)):
        terms = on.TermsTold(name, 2.5, exclusive)
        durable.feed(
            [on.TimePassed(), on.ClientJoined(name, lasting=True), terms, on.ComputationDefined(name, given)], 0
        )
    for number, name in enumerate(("t", "s", "t", "s", "e")):
        first = number // 2 if name != "e" else 0
        options = JobOptions(priority=1 if (name, first) == ("s", 1) else 0)
        durable.feed([on.JobsSubmitted(name, "f", first, [b""], options)], 0)
    durable.feed([on.ClientJoined("late"), on.ComputationDefined("late", given)], 0)
    durable.feed([on.JobsSubmitted("late", "f", 0, [b""])], 0)
    durable.crash(0, 0)
    durable.feed([on.TimePassed()], 0)
    assert durable.wrong() == []
    state = durable.core.state
    state.order = "submitted"
    ordinals = {(name, n): job.ordinal for name, one in state.sessions.items() for n, job in one.jobs.items()}
    keys = [("t", 0), ("s", 0), ("t", 1), ("s", 1), ("e", 0), ("late", 0)]
    assert ordinals == {key: index for index, key in enumerate(keys, 1)}  # that e wants all has the first one
    assert state.ordinal == len(keys) + 1
    assert [state.sessions[name].weight for name in ("s", "e", "late")] == [2.5, 2.5, 1.0]
    assert state.exclusive == {"e": 1}
    assert durable.core.why("s", 0)[-1].endswith("wants all nodes for itself, and came before")
    durable.feed([on.JobsCancelled("e", [0]), on.CloseAsked("e")], 1)
    began = []
    durable.feed([on.NodeJoined("a", 1, identity="i", era="x")], 2)
    for at in range(3, 10):
        attempts = state.nodes["a"].attempts
        if not attempts:
            break
        token, job = next(iter(attempts.items()))
        began.append((job.group.session, job.number))
        durable.feed([on.AttemptsEnded("a", [token], [0], [900_000_000], [900_000_000], [0], b"")], at)
    assert began == [("s", 1), ("t", 0), ("s", 0), ("t", 1), ("late", 0)]
