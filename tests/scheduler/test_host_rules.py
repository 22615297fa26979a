"""What was said about machines: the last word that means one holds, in this life and in the next."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from lightwork.config import limits
from lightwork.scheduler.core import events as on, facts as fact
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.host_rules import DRAIN, RESUME, HostRules, means, wanted_of
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.nodes import Node
from lightwork.wire.messages import Hardware, SetPolicy, Wanted


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


def test_few_of_them_are_patterns() -> None:
    """Each node is held against these."""
    made = HostRules()
    made.take("drain", [f"lab{number}*" for number in range(limits.HOST_PATTERNS_MAX)])
    assert not made.has_room_for("drain", ["x*"])
    assert not made.has_room_for("remove", ["lab1*"])
    assert made.has_room_for("resume", ["lab1*", "lab2*"])
    assert made.has_room_for("drain", ["lab3", "[::1]:9705", "tcp:lab3:9705"])


@pytest.mark.parametrize(
    ("host", "via"),
    [
        ("lab7", "tcp:lab7:9705"),
        ("lab7:9705", "tcp:lab7:9705"),
        ("tcp:lab7:9705", "tcp:lab7:9705"),
        ("::1", "tcp:[::1]:9705"),
        ("[::1]", "tcp:[::1]:9705"),
        ("[::1]:9705", "tcp:[::1]:9705"),
        ("unix:/run/x", "unix:/run/x"),
    ],
)
def test_a_machine_is_found_however_it_is_written(host: str, via: str) -> None:
    assert rules(("drain", host)).drained_by(node(via=via)) == "bob"
    assert rules(("remove", host)).unwanted_at(via) == "bob"
    assert not rules(("drain", host), ("remove", host)).drained_by(node(via="tcp:lab8:9705"))


def test_thousands_of_patterns_at_once_are_refused() -> None:
    core = Core()
    core.feed(
        [on.ClientJoined("s"), on.HostsChanged("s", 1, "group", [f"lab{number}*" for number in range(4000)], "x")], 1
    )
    assert not len(core.state.hosts)


def test_each_part_of_a_policy_is_a_word_of_its_own() -> None:
    made, one = HostRules(), node()
    made.take("policy", ["lab3"], policy=SetPolicy(480, 1050, clients=3, word=1))
    made.take("policy", ["lab*"], policy=SetPolicy(540, slots=-1, word=2))
    made.take("policy", ["lab3"], policy=SetPolicy(service_end=1080, word=3))
    assert made.policy_of(one) == SetPolicy(540, 1050, 1080, 3, 1, -1)
    assert made.policy_of(node("lab4")) == SetPolicy(540, slots=-1)
    assert made.policy_of(node("ada", "10.0.0.9")) == SetPolicy()
    made.take("policy", ["10.0.0.3"], policy=SetPolicy(0, 0, word=4))  # at any time
    made.take("policy", ["lab3"], policy=SetPolicy(600, 660, word=5))
    assert made.policy_of(one) == SetPolicy(600, 660, -2, 3, 1, -1), "its old end is over"
    made.take("policy", ["lab3"], policy=SetPolicy(clients=0, word=6))
    assert made.policy_of(one).clients == 3, "it is for those that are there, and not kept"
    assert sorted(made.policies()) == ["10.0.0.3", "lab*", "lab3"]


def test_an_old_journal_is_read() -> None:
    old = msgspec.msgpack.encode([31, "drain", ["lab3"], "", "bob"])
    assert msgspec.msgpack.decode(old, type=fact.Fact) == fact.HostsSaid("drain", ["lab3"], "", "bob")


HOSTS = st.lists(st.sampled_from(["lab3", "lab4", "lab*", "10.0.0.3", "*", "@gpu", "@own"]), min_size=1, max_size=3)
SAID = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "drain", "resume", "group", "ungroup", "policy"]), HOSTS), max_size=12
)


@given(said=SAID)
def test_compacted_rules_say_the_same_and_the_last_word_always_holds(said: list[tuple[str, list[str]]]) -> None:
    ledger = Ledger()
    for number, (action, hosts) in enumerate(said, 1):
        group = "gpu" if action in ("group", "ungroup") else ""
        hosts = [host for host in hosts if not group or host[0] != "@"]  # groups of groups are refused
        policy = SetPolicy(number % 3 - 1, clients=number, word=number) if action == "policy" else None
        ledger.apply(fact.HostsSaid(action, hosts, group, "bob", policy))
        one = node(groups=("own",))
        one.groups = ledger.hosts.groups_of(one)
        if any(means(host, one) for host in hosts):
            assert bool(ledger.hosts.drained_by(one)) == (action == "drain") or action not in ("drain", "resume")
            assert bool(ledger.hosts.removed_by(one)) == (action == "remove") or action not in ("remove", "add")
            if policy is not None:
                holds = ledger.hosts.policy_of(one)
                assert (holds.clients, holds.word) == (number, number)
                assert policy.service_start in (-1, holds.service_start)
            assert ("gpu" in one.groups) == (action == "group") or action not in ("group", "ungroup")
    again = Ledger()
    for each in ledger.facts():
        again.apply(each)
    assert list(again.hosts) == list(ledger.hosts)


def test_nothing_stays_of_a_word_that_was_taken_back() -> None:
    """Machines with names of their own come and go for months."""
    rules = HostRules()
    for number in range(10):
        rules.take(DRAIN, [f"vm{number}"])
        rules.take(RESUME, [f"vm{number}"])
    assert len(rules) == 0
    assert not rules._exact
