"""What a node program tells its owner: where it is, and each thing once."""

from __future__ import annotations

import pytest

from lightwork.config import paths
from lightwork.config.ports import NODE
from lightwork.kit import owner_log
from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import UserError
from lightwork.node.service.station_listen import listening_line, port_is_free_to_choose
from lightwork.transport.interfaces import Interface
from tests.node.station_double import Lines

LO = Interface("lo", 1, "127.0.0.1", None, True)
ETH0 = Interface("eth0", 2, "192.168.3.11", "192.168.3.255", False)
ETH0_LOCAL = Interface("eth0", 2, "fe80::b", None, False)
ETH0_6 = Interface("eth0", 2, "fd00:3::b", None, False)
ETH1 = Interface("eth1", 3, "10.5.0.11", "10.5.0.255", False)


def line(address, *here):
    return listening_line("lab1", 4, address, lambda: list(here))


def test_one_line_to_paste():
    assert line(f"tcp:*:{NODE}", LO, ETH0_LOCAL, ETH0) == (
        'node lab1, 4 slots, listens at 192.168.3.11:9701: JobCluster(f, nodes=["192.168.3.11"])'
    )
    assert line("tcp:*:9705", LO, ETH0).endswith(
        'listens at 192.168.3.11:9705: JobCluster(f, nodes=["192.168.3.11:9705"])'
    )
    assert line(f"tcp:10.5.0.11:{NODE}", ETH0, ETH1).endswith(
        'listens at 10.5.0.11:9701: JobCluster(f, nodes=["10.5.0.11"])'
    )
    assert line("unix:/run/n.sock").endswith(
        'listens for this user on this machine only: JobCluster(f, nodes=["unix:/run/n.sock"])'
    )


def test_all_interfaces_are_named():
    assert line(f"tcp:*:{NODE}", ETH0_6, LO, ETH0, ETH1).partition("listens at ")[2] == (
        "192.168.3.11:9701, 10.5.0.11:9701 and [fd00:3::b]:9701: "
        'JobCluster(f, nodes=["192.168.3.11"] or nodes=["10.5.0.11"] or nodes=["fd00:3::b"])'
    )
    assert 'nodes=["[fd00:3::b]:9705"]' in line("tcp:*:9705", ETH0_6)
    assert "127.0.0.1" in line("tcp:*:9705", LO)


@pytest.mark.parametrize(
    ("text", "free"), [("*", True), ("lab1", True), ("::1", True), ("*:9701", False), (":7", False)]
)
def test_a_port_that_was_named_is_meant(text, free):
    assert port_is_free_to_choose(text) is free


def test_what_repeats_is_said_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lightwork.kit.owner_log.time.monotonic", lambda: now[0])
    lines = Lines()
    log = OwnerLog(lines)  # type: ignore[arg-type]
    for _ in range(3):
        log.say("refused a: why", "a")
        log.say("refused b: why", "b")
    log.say("something else")
    log.say("something else")
    said = [one.split(" ", 2)[2] for one in lines.text.splitlines()]
    assert said == ["refused a: why", "refused b: why", "something else", "something else"]
    lines.text = ""
    log.say("refused a: another reason", "a")
    assert [one.split(" ", 2)[2] for one in lines.text.splitlines()] == [
        "refused a: why (2 more times since)",
        "refused a: another reason",
    ]
    lines.text = ""
    now[0] = 4000.0
    log.say("refused b: why", "b")
    assert "refused b: why (2 more times since)" in lines.text
    log.forget("b")
    lines.text = ""
    log.say("refused b: why", "b")
    assert lines.text.endswith("refused b: why\n")


def test_a_crowd_of_strangers_does_not_fill_the_log(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lightwork.kit.owner_log.time.monotonic", lambda: now[0])
    lines = Lines()
    log = OwnerLog(lines)  # type: ignore[arg-type]
    for number in range(1000):
        log.say(f"refused a: {number}", "a", stranger=True)
    assert len(lines.text.splitlines()) == owner_log.LINES_MAX
    for number in range(500):
        log.say("refused", f"host {number}", stranger=True)
        log.say(f"b waits: {number}", "b")
    told = [one.split(" ", 2)[2] for one in lines.text.splitlines()]
    assert len(told) == owner_log.CROWD_LINES_MAX + owner_log.LINES_MAX
    assert "many strangers call: no more of it is told for 10 min" in told
    lines.text, now[0] = "", owner_log.WINDOW_S
    log.say("refused a: once more", "a", stranger=True)
    assert [one.split(" ", 2)[2] for one in lines.text.splitlines()] == [
        "refused a: 5 (994 more times since, not always for the same reason)",
        "446 lines about strangers left out",
        "refused a: once more",
    ]


def test_strangers_do_not_fill_memory_nor_steer_the_terminal():
    lines = Lines()
    log = OwnerLog(lines)  # type: ignore[arg-type]
    for number in range(3000):
        log.say("x", f"host {number}")
    assert len(log._said) <= owner_log.SUBJECTS_MAX
    lines.text = ""
    log.say("evil \x1b[2J\nname")
    assert lines.text.endswith("evil \\x1b[2J\\nname\n")


def test_names_of_nodes(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "-lab 1.example.org")
    assert paths.node_name() == "lab-1.example.org"
    monkeypatch.setattr("platform.node", lambda: "")
    assert paths.node_name() == "node"
    monkeypatch.setattr("platform.node", lambda: "x" * 100)
    name = paths.node_name()
    paths.check_node_name(name)
    for number in (2, 999):
        paths.check_node_name(paths.further_name(name, number))
        assert paths.further_name(name, number).endswith(f"-{number}")
    assert paths.further_name("lab1", 1) == "lab1"
    with pytest.raises(UserError):
        paths.check_node_name("../x")
