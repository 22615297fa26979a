"""What may stand in `nodes=`, and what is said of what may not."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.client.allocation import NodeAllocate, decides, place_of, share, specs_of
from lightwork.model.errors import UserError
from lightwork.wire.messages import NodeStatus


def seen(nodes) -> list[tuple[Any, ...]]:
    return [(*place_of(spec), spec.cpus, tuple(spec.depends), tuple(spec.setup_args)) for spec in specs_of(nodes)]


@pytest.mark.parametrize(
    ("nodes", "host", "port"),
    [
        ("lab1", "lab1", 0),
        (" lab1.example.org ", "lab1.example.org", 0),
        ("lab1:9701", "lab1", 9701),
        ("tcp:lab1:9701", "lab1", 9701),
        ("192.168.3.4", "192.168.3.4", 0),
        ("192.168.3.4:80", "192.168.3.4", 80),
        ("::1", "::1", 0),
        ("fd00:3::11", "fd00:3::11", 0),
        ("[fd00:3::11]", "fd00:3::11", 0),
        ("[fe80::1%eth0]:9701", "fe80::1%eth0", 9701),
        ("*", "*", 0),
        ("192.168.3.*", "192.168.3.*", 0),
        ("192.168.3.*:9711", "192.168.3.*", 9711),
        ("fd00:3::*", "fd00:3::*", 0),
        ("lab*", "lab*", 0),
        ("unix:/run/x y/node.sock", "unix:/run/x y/node.sock", 0),
        ("loopback:/run/node.token", "loopback:/run/node.token", 0),
        (("lab1",), "lab1", 0),
        (("lab1", None), "lab1", 0),
        (("lab1", 9701), "lab1", 9701),
        ({"host": "lab1", "port": 1}, "lab1", 1),
        (NodeAllocate("lab1", 65535), "lab1", 65535),
        (NodeStatus("lab1", address="192.168.3.4:9702"), "192.168.3.4", 9702),
        (NodeStatus("lab1"), "lab1", 0),
    ],
)
def test_hosts_and_ports(nodes, host, port):
    assert seen(nodes) == [(host, port, 0, (), ())] == seen([nodes])


def test_what_belongs_to_a_node():
    whole = ("lab1", 1, -2, ["data.csv"], (7, 8))
    as_dict = {"host": "lab1", "port": 1, "cpus": -2, "depends": ["data.csv"], "setup_args": [7, 8]}
    for given in (whole, as_dict, NodeAllocate(*whole)):
        assert seen([given]) == [("lab1", 1, -2, ("data.csv",), (7, 8))]
    assert seen(("lab1", None, 4)) == [("lab1", 0, 4, (), ())]
    assert seen(("lab1", None, 0, "one file")) == [("lab1", 0, 0, ("one file",), ())]


def test_lists_of_lists_tuples_of_names_sets_and_generators():
    names = [place[0] for place in seen(["a", ["b", ("c", 1), {"host": "d"}], ("e", "f"), {"g"}, (n for n in "hi")])]
    assert names == list("abcdefghi")


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([], "names no node"),
        ([[], ()], "names no node"),
        ("", "no host"),
        (" ", "no host"),
        ("a b", "a list"),
        ("lab1,lab2", "a list"),
        ("http://lab1", "the host alone"),
        ("192.168.3.0/24", "192.168.3.*"),
        ("lab1:", "no host"),
        ("lab1:x", "no host"),
        ("lab1:65536", "no host"),
        ("*:0", "no host"),
        ("9701", "no host"),
        ("[fe80::1", "no host"),
        ("fe80::zz", "no host"),
        ("lab\udc80", "no host"),
        ("la/b*", "no host"),
        (("lab1", "9701"), "no host"),
        (("lab1", 0), "0 is no port"),
        (("lab1", 65536), "65536 is no port"),
        (("lab1", -1), "-1 is no port"),
        (("lab1", 1.5), "port=1.5"),
        (("lab1", True), "port=True"),
        (("lab1:1", 2), "another one"),
        (("lab1", None, "4"), "cpus='4'"),
        (("lab1", None, 1.0), "cpus=1.0"),
        (("lab1", None, 1, [len]), "no file"),
        (("lab1", None, 1, [], 7), "setup_args"),
        (("lab1", None, 1, [], "ab"), "setup_args"),
        (("lab1", None, 1, [], (), 9), "more than host"),
        ({"hosts": "lab1"}, "'hosts'"),
        ({"port": 1}, "no 'host'"),
        (NodeAllocate(None), "None is no host"),  # type: ignore[arg-type]
        (5, "5 is no node"),
        ([None], "None is no node"),
        (b"lab1", "is no node"),
        (("local", 9701), "local"),
        (("local", None, 1, ["file"]), "local"),
    ],
)
def test_what_cannot_be_meant_is_said(nodes, said):
    with pytest.raises(UserError) as caught:
        specs_of(nodes)
    assert said in str(caught.value)


class Halves(NodeAllocate):
    def allocate(self, cluster, ip_addr, name, cpus, avail_info, platform):
        return cpus // 2


class Bare(NodeAllocate):
    """Does not call the constructor of its base, as dispy's users may not."""

    def __init__(self):
        self.host = "lab1"


def test_who_wants_to_decide():
    assert [decides(spec) for spec in specs_of(["a", ("a", 1, 3), Bare()])] == [False] * 3
    assert all(map(decides, specs_of([Halves("a"), ("a", 1, 0, ["file"]), ("a", 1, 0, [], (1,))])))


@pytest.mark.parametrize(
    ("wanted", "slots", "used"), [(0, 8, 8), (3, 8, 3), (9, 8, 8), (-3, 8, 5), (-8, 8, 0), (-9, 8, 0)]
)
def test_shares(wanted, slots, used):
    assert share(wanted, slots) == used
    assert NodeAllocate("a", cpus=wanted).allocate(None, "", "a", slots, None, "") == used
