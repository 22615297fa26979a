"""What one of several programs may do with nodes that all of them use."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.host_list import hosts
from lightwork.scheduler.core.shares import Use
from lightwork.wire.messages import Computation, JobOptions, Wanted
from tests.scheduler.durable_core import DurableCore

F = Computation("f", "function", "f")


class World:
    def __init__(self, *, cooperative: bool = False) -> None:
        self.core = Core()
        self.state = self.core.state
        self.state.shared, self.state.cooperative = True, cooperative
        self.feed(on.NodeJoined("a", 4, "10.0.0.1", shares_memory=False))
        for session in "st":
            self.feed(on.ClientJoined(session), on.ComputationDefined(session, F))

    def feed(self, *events: on.Event) -> list[Any]:
        commands = self.core.feed(events, 0)
        assert check(self.state) == []
        return commands

    def later(self, now_s: int) -> list[Any]:
        commands = self.core.feed([on.TimePassed()], now_s * 1_000_000_000)
        assert check(self.state) == []
        return commands

    def submits(self, session: str, count: int) -> None:
        first = self.state.sessions[session].next_number
        self.feed(on.JobsSubmitted(session, "f", first, [b"x"] * count))

    def there(self, session: str) -> int:
        return len(self.state.nodes["a"].of_session(session))

    def answer(self, *events: on.Event) -> do.Answer:
        return next(one for one in self.feed(*events) if isinstance(one, do.Answer))


@pytest.mark.parametrize(("slots", "cap"), [(3, 3), (-1, 3), (9, 4)])
def test_a_wish_for_some_slots_limits_only_who_wishes(slots: int, cap: int) -> None:
    world = World()
    assert not any(isinstance(one, do.SetSlots) for one in world.feed(on.NodesWanted("s", 1, [Wanted("a", 0, slots)])))
    world.submits("s", 9)
    assert world.there("s") == cap
    world.submits("t", 9)
    assert world.there("t") == 4 - cap


def test_allocate_is_asked_for_nodes_that_are_there_and_limits_only_who_was_asked() -> None:
    world = World()
    offers = [
        one for one in world.feed(on.NodesWanted("s", 1, [Wanted("*", 0, 0, 5)])) if isinstance(one, do.OfferNode)
    ]
    assert [(one.session, one.spec, one.node.name) for one in offers] == [("s", 5, "a")]
    world.submits("s", 9)
    assert world.there("s") == 0
    assert not any(isinstance(one, do.SetSlots) for one in world.feed(on.NodeAllotted("s", "a", 1)))
    assert world.there("s") == 1
    world.submits("t", 9)
    assert world.there("t") == 3
    world.feed(on.NodesWanted("t", 1, [Wanted("a", 0, 0, 6)]), on.NodeAllotted("t", "a", 0))
    assert world.state.sessions["t"].shares["a"].use is Use.DECLINED


def test_these_nodes_and_no_others() -> None:
    world = World()
    world.feed(on.NodesWanted("s", 1, [Wanted("b")], only=True))
    world.submits("s", 9)
    assert world.there("s") == 0
    assert "is not among the nodes of this cluster" in " ".join(world.core.why("s", 0))
    world.feed(on.NodeJoined("c", 1, "10.0.0.3", shares_memory=False))
    assert "c" not in world.state.sessions["s"].shares
    world.feed(on.NodeJoined("b", 2, "10.0.0.2", shares_memory=False))
    assert len(world.state.nodes["b"].attempts) == 2
    world.feed(on.NodesWanted("s", 2, [Wanted("a")]))
    assert world.there("s") == 4


def test_slots_are_for_all_to_change_or_for_none() -> None:
    asked = on.NodeControlled("s", 7, "a", "slots", 1)
    told = World().answer(asked)
    assert "others use it as well" in told.error
    assert "--cooperative" in told.hint
    world = World(cooperative=True)
    assert (world.answer(asked).jobs, world.state.nodes["a"].slots) == ([1], 1)
    world = World()
    world.feed(on.TermsTold("s", 1.0, True))
    assert world.answer(asked).jobs == [1]
    said = world.feed(on.CloseAsked("s"), on.SessionReleased("a", "s"))
    assert [one.slots for one in said if isinstance(one, do.SetSlots)] == [4], "others have them again"


def test_a_limit_is_not_put_back_on_a_node_that_has_left_and_come_again() -> None:
    world = World()
    world.feed(on.TermsTold("s", 1.0, exclusive=True))
    world.feed(on.NodeControlled("s", 1, "a", "slots", 2), on.NodeLost("a", left=True))
    world.feed(on.NodeJoined("a", 32, "10.0.0.1", shares_memory=False))
    said = world.feed(on.CloseAsked("s"), on.SessionReleased("a", "s"))
    assert [one.slots for one in said if isinstance(one, do.SetSlots)] == []
    assert world.state.nodes["a"].slots == 32


def test_a_node_that_one_gives_back_stays_for_the_others() -> None:
    world = World()
    said = world.feed(on.NodeControlled("s", 1, "a", "close"), on.SessionReleased("a", "s"))
    assert not any(isinstance(one, do.HangUp) for one in said)
    world.feed(on.ClientLost("t"), on.SessionReleased("a", "t"))
    assert "a" in world.state.nodes
    world.feed(on.ClientJoined("u"), on.ComputationDefined("u", F))
    world.submits("u", 1)
    assert world.there("u") == 1


def test_a_list_of_hosts() -> None:
    world = World()
    world.feed(on.HostsChanged("", 0, "add", ["10.0.0.9:9705", "lab*"], "gpu", by="hosts.txt"))
    world.feed(on.HostsChanged("", 0, "drain", ["a"], by="bob"), on.HostsChanged("", 0, "remove", ["b*"], by="ann"))
    world.feed(on.NodeUnreached("tcp:10.0.0.9:9705", "unreachable", "nobody listens there"))
    world.submits("s", 1)
    told = hosts(world.state, 3)
    assert [(one.name, one.address, one.state, one.groups, one.by, one.text) for one in told.hosts] == [
        ("a", "10.0.0.1", "drained by bob", (), "bob", ""),
        ("10.0.0.9:9705", "10.0.0.9:9705", "not connected", ("gpu",), "hosts.txt", "nobody listens there"),
        ("lab*", "", "looked for", ("gpu",), "hosts.txt", ""),
        ("b*", "", "removed", (), "ann", ""),
    ]
    assert [node.name for node in told.nodes] == ["a"]
    assert "is drained by bob" in " ".join(world.core.why("s", 0))


def test_a_node_is_offered_when_it_is_known_what_it_has() -> None:
    durable = DurableCore()

    def feed(*events: on.Event) -> list[Any]:
        commands = durable.feed(list(events), 0)
        assert durable.wrong() == []
        return commands

    def offers(commands: list[Any]) -> list[int]:
        return [one.node.offered for one in commands if isinstance(one, do.OfferNode)]

    feed(on.NodeJoined("a", 4, identity="ia", era="e1", adopting=True), on.NodeTruth("a", [], [], [], [], [], []))
    feed(on.ClientJoined("s", lasting=True))
    assert offers(feed(on.NodesWanted("s", 1, [Wanted("a", 0, 0, 5)]))) == []
    durable.crash(0, 0)
    assert offers(feed(on.ClientJoined("s", incarnation=1, lasting=True))) == [], "it is not back yet"
    assert offers(feed(on.NodeJoined("a", 4, "a", shares_memory=False, identity="ia", era="e1", adopting=True))) == [4]


def _dialled(commands: list[Any]) -> list[str]:
    return [one.address for one in commands if isinstance(one, do.Dial)]


def test_what_a_session_had_named_goes_with_it() -> None:
    """Nobody else is told of it, the node that it brought is free again, and who is not there is dialled no more."""
    world = World()
    world.state.listening = "lab:9700"
    wanted = on.NodesWanted("s", 1, [Wanted("b"), Wanted("typo")])
    assert _dialled(world.feed(wanted)) == ["tcp:b:9701", "tcp:typo:9701"]
    world.feed(on.NodeJoined("b", 1, "10.0.0.2", via="tcp:b:9701", shares_memory=False))
    said = world.feed(on.NodeUnreached("tcp:typo:9701", "unreachable", "nobody knows typo"))
    world.feed(on.JobsSubmitted("t", "f", 0, [b"x"], JobOptions(where='name == "c"', wait_for_nodes=True)))
    told = {one.session: one.text for one in [*said, *world.later(1), *world.later(5)] if isinstance(one, do.Warn)}
    assert told["s"] == "nobody knows typo"
    assert "cannot start" in told["t"]
    assert "typo" not in told["t"]
    world.feed(on.CloseAsked("s"), on.SessionReleased("a", "s"), on.SessionReleased("b", "s"))
    assert "s" not in world.state.sessions
    assert [one.node for one in world.later(6) if isinstance(one, do.HangUp)] == ["b"]
    world.feed(on.NodeUnreached("tcp:typo:9701", "unreachable", "nobody knows typo"))
    assert _dialled(world.later(9)) == []
    assert [one.address for one in world.state.prospects] == ["tcp:b:9701"], "where it would be found"
    assert _dialled(world.feed(on.NodesWanted("t", 2, [Wanted("typo")]))) == ["tcp:typo:9701"]


def test_a_node_that_another_session_or_its_owner_wishes_for_stays() -> None:
    world = World()
    world.feed(on.NodesWanted("s", 1, [Wanted("b"), Wanted("c")]), on.NodesWanted("t", 1, [Wanted("b")]))
    world.feed(on.HostsChanged("t", 2, "add", ["c"], by="ann@lab"))
    for name in "bc":
        world.feed(on.NodeJoined(name, 1, f"{name}.lab", via=f"tcp:{name}:9701", shares_memory=False))
    world.feed(on.CloseAsked("s"), *(on.SessionReleased(name, "s") for name in "abc"))
    assert not any(isinstance(one, do.HangUp) for one in world.later(1))
    assert sorted(world.state.nodes) == ["a", "b", "c"]


def test_nobody_is_warned_that_none_has_joined_while_all_is_well() -> None:
    world = World()
    world.state.listening = "lab:9700"
    told = world.feed(on.NodesWanted("s", 1, [Wanted("b")]), on.NodeLost("a", left=True))
    told += world.feed(on.NodeJoined("b", 1, "10.0.0.2", via="tcp:b:9701", shares_memory=False))
    told += world.feed(on.JobsSubmitted("s", "f", 0, [b"x"]))
    assert world.state.nodes["b"].attempts
    assert [one.text for one in [*told, *world.later(5)] if isinstance(one, do.Warn)] == []
