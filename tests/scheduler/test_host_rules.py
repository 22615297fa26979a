"""What was said about machines: the last word that means one holds, in this life and in the next."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from lightwork.config import limits
from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.host_rules import HostRules, means, wanted_of
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.nodes import Node
from lightwork.wire.messages import Hardware, Wanted


def node(name: str = "lab3", address: str = "10.0.0.3", via: str = "", groups: tuple[str, ...] = ()) -> Node:
    made = Node(name, 1, address, Hardware(), 0)
    made.via, made.own_groups = via, groups
    return made


def rules(*said: tuple[str, str]) -> HostRules:
    made = HostRules()
    for action, host in said:
        made.take(action, [host], "gpu" if action in ("group", "ungroup") else "", "bob")
    return made


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lab3", Wanted("lab3")),
        ("lab3:9705", Wanted("lab3", 9705)),
        ("10.0.0.3:9705", Wanted("10.0.0.3", 9705)),
        ("[fe80::1]:9705", Wanted("fe80::1", 9705)),
        ("fe80::1", Wanted("fe80::1")),
        ("[fe80::1]", Wanted("fe80::1")),
        ("lab*", Wanted("lab*")),
        ("unix:/run/node.sock", Wanted("unix:/run/node.sock")),
    ],
)
def test_words_for_hosts(text: str, wanted: Wanted) -> None:
    assert wanted_of(text) == wanted


@pytest.mark.parametrize(
    ("said", "drained"),
    [
        ([("drain", "lab*")], "bob"),
        ([("drain", "lab*"), ("resume", "lab3")], ""),
        ([("resume", "lab3"), ("drain", "lab*")], "bob"),
        ([("drain", "lab3"), ("resume", "10.0.0.3")], ""),
        ([("drain", "10.0.0.*"), ("resume", "lab4")], "bob"),
        ([("drain", "@gpu")], ""),
        ([("drain", "@gpu"), ("group", "lab3")], "bob"),
        ([("drain", "@gpu"), ("group", "lab3"), ("ungroup", "lab*")], ""),
        ([("drain", "lab4")], ""),
        ([("remove", "lab3")], ""),
    ],
)
def test_the_last_word_holds(said: list[tuple[str, str]], drained: str) -> None:
    made, one = rules(*said), node()
    one.groups = made.groups_of(one)
    assert made.drained_by(one) == drained


def test_what_is_taken_back_leaves_nothing() -> None:
    made = rules(("drain", "lab*"), ("resume", "lab3"), ("resume", "lab*"), ("remove", "lab4"), ("add", "lab4"))
    assert list(made) == []
    made = rules(("add", "lab4"), ("remove", "lab4"))
    assert (made.listed(), made.wanted()) == ([], [])
    made.take("add", ["lab4"], "", "ann")
    assert made.listed() == [("lab4", "ann")]


def test_to_add_what_joins_by_itself_is_to_take_the_removal_back_and_no_more() -> None:
    made = rules(("remove", "lab3"))
    assert made.removed_by(node()) == "bob"
    made.take("add", ["lab3"])
    assert (made.removed_by(node()), made.listed(), len(made)) == ("", [], 0), "nobody dials it"
    made = rules(("remove", "lab*"), ("remove", "lab3"), ("add", "lab3"))
    assert (made.removed_by(node()), made.removed_by(node("lab4")), made.listed()) == ("", "bob", [])


def test_groups_that_a_node_brings_along() -> None:
    one = node(groups=("own", "old"))
    made = rules(("group", "lab*"))
    made.take("ungroup", ["lab3"], "old")
    assert made.groups_of(one) == ("gpu", "own")
    made.take("group", ["lab3"], "old")
    assert made.groups_of(one) == ("gpu", "old", "own")


def test_nobody_dials_what_was_removed() -> None:
    made = rules(("add", "lab3"), ("remove", "10.0.0.*"), ("remove", "lab5:9705"))
    assert made.unwanted_at("tcp:10.0.0.3:9701") == "bob"
    assert made.unwanted_at("tcp:lab5:9705") == "bob"
    assert made.unwanted_at("tcp:lab5:9701") == ""
    assert made.unwanted_at("tcp:lab3:9701") == ""
    made.take("add", ["10.0.0.7"])
    assert made.unwanted_at("tcp:10.0.0.7:9701") == ""


def test_there_is_a_limit() -> None:
    made = HostRules()
    made.take("group", [f"lab{number}" for number in range(limits.HOST_RULES_MAX)], "gpu")
    assert not made.has_room(1)


HOSTS = st.lists(st.sampled_from(["lab3", "lab4", "lab*", "10.0.0.3", "*", "@gpu", "@own"]), min_size=1, max_size=3)
SAID = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "drain", "resume", "group", "ungroup"]), HOSTS), max_size=12
)


@given(said=SAID)
def test_compacted_rules_say_the_same_and_the_last_word_always_holds(said: list[tuple[str, list[str]]]) -> None:
    ledger = Ledger()
    for action, hosts in said:
        group = "gpu" if action in ("group", "ungroup") else ""
        hosts = [host for host in hosts if not group or host[0] != "@"]  # groups of groups are refused
        ledger.apply(fact.HostsSaid(action, hosts, group, "bob"))
        one = node(groups=("own",))
        one.groups = ledger.hosts.groups_of(one)
        if any(means(host, one) for host in hosts):
            assert bool(ledger.hosts.drained_by(one)) == (action == "drain") or action not in ("drain", "resume")
            assert bool(ledger.hosts.removed_by(one)) == (action == "remove") or action not in ("remove", "add")
            assert ("gpu" in one.groups) == (action == "group") or action not in ("group", "ungroup")
    again = Ledger()
    for each in ledger.facts():
        again.apply(each)
    assert list(again.hosts) == list(ledger.hosts)
