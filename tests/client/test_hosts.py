"""What a program says about machines of its scheduler, message by message."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lightwork.client import hosts
from lightwork.model.errors import ClusterError, NotReady, UserError
from lightwork.security.secret import generate
from lightwork.wire.messages import AskHosts, ChangeHosts, HostStatus, NodeStatus, SetPolicy


def double(n):
    return 2 * n


def changes(fake) -> list[tuple[Any, ...]]:
    return [(one.action, one.hosts, one.group, one.now) for one in fake.told(ChangeHosts)]


def test_each_call_is_a_message(make):
    cluster, fake = make(double, secret=generate())
    fake.replies[ChangeHosts] = {"nodes": ["lab1", "lab2"]}
    assert cluster.add_hosts("lab1:9705", group="render") == ["lab1", "lab2"]
    assert cluster.add_hosts(["192.168.3.*", "@night"]) == ["lab1", "lab2"]
    assert cluster.remove_hosts([NodeStatus("lab1"), HostStatus("lab2"), "lab1"], now=True) == ["lab1", "lab2"]
    assert cluster.drain("lab*") == ["lab1", "lab2"]
    assert cluster.resume(("@render",)) == ["lab1", "lab2"]
    assert cluster.group_hosts("lab1", "day") == ["lab1", "lab2"]
    assert cluster.ungroup_hosts(["lab1"], "@day") == ["lab1", "lab2"]
    assert changes(fake) == [
        ("add", ["lab1:9705"], "render", False),
        ("add", ["192.168.3.*", "@night"], "", False),
        ("remove", ["lab1", "lab2"], "", True),
        ("drain", ["lab*"], "", False),
        ("resume", ["@render"], "", False),
        ("group", ["lab1"], "day", False),
        ("ungroup", ["lab1"], "day", False),
    ]
    assert {one.by for one in fake.told(ChangeHosts)} == {""}


def test_policies(make):
    cluster, fake = make(double)
    cluster.host_policy("lab1", service_start="8:00", service_stop="17:30", service_end="23:59", serve=3)
    cluster.host_policy("@lab", serve=-1, slots=-2)
    cluster.host_policy("@lab", service_start="00:00")
    assert [one.policy for one in fake.told(ChangeHosts)] == [
        SetPolicy(480, 1050, 1439, 3),
        SetPolicy(-1, -1, -1, -1, slots=-2),
        SetPolicy(0, -1, -1, -2),
    ]
    wrong: Any
    for wrong in (
        {"service_start": "24:00"},
        {"service_stop": 8},
        {"service_end": "8"},
        {"serve": -2},
        {"serve": "1"},
        {"slots": 1.5},
    ):
        with pytest.raises(UserError, match=next(iter(wrong))):
            cluster.host_policy("lab1", **wrong)


@pytest.mark.parametrize("wrong", [None, 3, "", " ", [], [""], ["a", None], b"lab1", "x" * 256, "a\nb"])
def test_what_is_no_machine(make, wrong):
    cluster, fake = make(double)
    with pytest.raises(UserError, match="hosts: "):
        cluster.drain(wrong)
    assert fake.told(ChangeHosts) == []


@pytest.mark.parametrize("group", ["", "@", "a b", None, "x" * 65])
def test_what_is_no_group(make, group):
    cluster, _ = make(double)
    with pytest.raises(UserError, match="no name of a group"):
        cluster.group_hosts("lab1", group)


def test_a_private_cluster_needs_a_credential_to_add_machines(make):
    cluster, fake = make(double)
    with pytest.raises(UserError, match="`lightwork secret --save`"):
        cluster.add_hosts("lab1")
    assert fake.told(ChangeHosts) == []


def test_what_cannot_be_done_says_why(make):
    cluster, fake = make(double)
    fake.replies[ChangeHosts] = {"error": "there is no host lab9", "hint": "the hosts: lab1"}
    with pytest.raises(ClusterError, match="there is no host lab9\nhint: the hosts: lab1"):
        cluster.drain("lab9")


def test_the_machines_that_are_known(make):
    cluster, fake = make(double)
    known = [HostStatus("lab1", "10.0.0.1", "ready", ("render",)), HostStatus("lab2", state="removed", by="ann@ada")]
    fake.replies[AskHosts] = {"hosts": known}
    assert cluster.hosts() == known


def test_draining_is_waited_for(make, monkeypatch, capsys):
    cluster, fake = make(double)
    cluster._session.waits.patience.first_s = 0.2
    monkeypatch.setattr(hosts, "LOOK_S", 0.05)
    states = ["draining by ann@ada", "ready"]

    def listed(_):
        return {"hosts": [HostStatus("lab1", state=states[0]), HostStatus("lab2", state="draining by bob@cyd")]}

    fake.replies[ChangeHosts] = {"nodes": ["lab1"], "total": 2}
    fake.replies[AskHosts] = listed
    with pytest.raises(NotReady, match="jobs on lab1 have not ended within"):
        cluster.drain("lab1", wait=True, timeout=0.6)
    assert "waiting for the jobs on lab1 to end" in capsys.readouterr().err
    states[0] = "drained by ann@ada"
    began = time.monotonic()
    assert cluster.drain("lab1", wait=True, timeout=30) == ["lab1"]
    states[0] = "removed"
    assert cluster.remove_hosts("lab1", wait=True) == ["lab1"]
    assert time.monotonic() - began < 10
    fake.replies[ChangeHosts] = {}
    asked = len(fake.told(AskHosts))
    assert cluster.drain("nobody-*", wait=True) == [], "there is nothing to wait for"
    assert len(fake.told(AskHosts)) == asked


def test_callbacks_may_use_it(make):
    found: list[Any] = []
    made: list[Any] = []
    cluster, fake = make(double, callback=lambda job: found.append(made[0].drain("lab1", wait=True)))
    made.append(cluster)
    fake.replies[ChangeHosts] = {"nodes": ["lab1"]}
    fake.replies[AskHosts] = {"hosts": [HostStatus("lab1", state="drained by me")]}
    cluster.submit(1)
    assert cluster.wait(20)
    assert found == [["lab1"]]
