"""`lightwork nodes|hosts|explain`, and the file of hosts that a scheduler watches."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightwork.client.watching import watch
from lightwork.security.secret import generate
from lightwork.wire.messages import Heartbeat, Load, NodeStatus
from tests.cli.desk import Actors, Desk, desk
from tests.cli.helpers import COMMAND, wait_for
from tests.cli.nodes import Node, node
from tests.support.schedulers import Home, Scheduler, at_home, scheduler

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="processes of POSIX")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Desk]:
    """Node bob, with jobs 0 and 1 of session nightly at work, and 2 and 3 that wait."""
    with desk() as here:
        here.environment["LIGHTWORK_TIMERS"] = "LEASE_S=600"  # the node of this house says only what it must
        here.scheduler()
        actors = Actors(here.place("keeper")["address"])
        actors.submit(4)
        over = threading.Event()
        beating = threading.Thread(target=_beat, args=(actors, over))
        beating.start()
        yield here
        over.set()
        beating.join()
        actors.close()


def _beat(actors: Actors, over: threading.Event) -> None:
    """The node is heard, however slow the machine is."""
    number = 0
    while not over.wait(0.5):
        number += 1
        actors.node.send(Heartbeat(number, [], list(actors.tokens), Load()))


def states(here: Desk) -> dict[str, str]:
    return {one["name"]: one["state"] for one in here.json("hosts", "list")["schedulers"][0]["hosts"]}


def test_nodes(lab: Desk) -> None:
    done = lab.run("nodes")
    assert (done.returncode, done.stderr) == (0, "")
    _, heads, row = done.stdout.splitlines()
    assert heads.split()[0] == "Node"
    assert row.split()[0] == "bob"
    (told,) = lab.json("nodes")["schedulers"][0]["nodes"]
    assert told["name"] == "bob"
    assert {"groups", "weight", "resources", "relay"} <= set(told)


def test_groups(lab: Desk) -> None:
    done = lab.run("hosts", "group", "fast", "bob", "cyd")
    assert (done.returncode, done.stderr) == (0, "bob and cyd: in group fast\nnodes now: bob\n")
    assert lab.json("nodes", "--group", "fast")["schedulers"][0]["nodes"][0]["groups"] == ["fast"]
    assert lab.run("nodes", "--group", "slow").stderr == "no nodes in group slow; there are nodes in fast\n"
    assert "fast" in lab.run("hosts", "list").stdout
    assert lab.run("hosts", "ungroup", "fast", "bob").returncode == 0
    assert lab.run("nodes", "--group", "fast").stderr == "no nodes in group fast\n"


def test_drain_and_resume(lab: Desk) -> None:
    done = lab.run("hosts", "drain", "b*")
    assert done.returncode == 0
    assert done.stderr.startswith("b*: drained\nnodes now: bob\n2 jobs there may end first; --now ends them")
    assert states(lab)["bob"].startswith("draining by ")
    lines = lab.json("explain", "nightly/3")["lines"]
    assert any("bob" in line and "drain" in line for line in lines), lines
    told = lab.json("hosts", "resume", "bob")
    assert (told["action"], told["hosts"], told["nodes"]) == ("resume", ["bob"], ["bob"])
    assert states(lab)["bob"] == "ready"


def test_explain(lab: Desk) -> None:
    done = lab.run("explain", "nightly/3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "bob" in done.stdout
    done = lab.run("explain", "nobody/3")
    assert done.returncode == 2
    assert "there is no session 'nobody'" in done.stderr
    assert "hint: the sessions now: nightly" in done.stderr
    assert "names no job" in lab.run("explain", "nightly").stderr


def test_add_and_what_is_wrong(lab: Desk) -> None:
    assert lab.run("hosts", "add", "127.0.0.1:1", "--group", "far").returncode == 0
    assert states(lab)["127.0.0.1:1"] == "not connected"
    assert lab.run("hosts", "remove", "127.0.0.1:1").returncode == 0
    assert states(lab)["127.0.0.1:1"] == "removed"
    done = lab.run("hosts", "drain", "dora")
    assert done.returncode == 2
    assert "there is no host 'dora'" in done.stderr
    assert "hint: the nodes now: bob" in done.stderr
    assert lab.run("hosts", "drain").returncode == 2
    assert lab.run("hosts", "group", "fast").returncode == 2


# --- a file ---

SECRET = generate()
SHORTLY = {"LIGHTWORK_SECRET": SECRET, "LIGHTWORK_TIMERS": "LEASE_S=4 HEARTBEAT_S=0.4 LOOK_HOSTS_S=0.2"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path) as one:
        yield one


def following(home: Home, file: Path) -> Scheduler:
    """A scheduler on the same state as the last one."""
    where = ("--state", home.state, "--hosts", file, "--listen", "127.0.0.1:0")
    return Scheduler(home, *where, **SHORTLY)


def listening(home: Home) -> Node:
    return Node(home.path, f"t{generate()[3:8]}", "--listen", "127.0.0.1:0", **SHORTLY)


def place(one: Node) -> str:
    return one.address().removeprefix("tcp:")


def test_a_file_of_hosts_is_followed(home: Home) -> None:
    file = home.path / "hosts"
    one, two = listening(home), listening(home)
    lead = None
    try:
        file.write_text(f"{place(one)}  # the first\n")
        lead = following(home, file)
        lead.says(f"node {one.name} is there")
        file.write_text(f"{place(one)}\n{place(two)} oops\n")
        lead.says("not HOST[:PORT]")
        lead.says("the hosts stay as they were")
        file.write_text(f"{place(one)}\n{place(two)}\n")
        lead.says(f"{file}: uses {place(two)}")
        lead.says(f"node {two.name} is there")
        file.write_text(f"{place(two)}\n")
        lead.says(f"{file}: lets go of {place(one)}")
        wait_for(lambda: names(lead) == [two.name])
        file.unlink()
        lead.says(f"cannot read {file}: no such file or directory; the hosts stay as they were")
        file.write_text(f"{place(two)}\n")
        assert lead.stop() == 0

        file.write_text(f"{place(one)}\n")  # while no scheduler runs
        lead = following(home, file)
        lead.says(f"{file}: lets go of {place(two)}")
        lead.says(f"{file}: uses {place(one)}")
        wait_for(lambda: names(lead) == [one.name])
    finally:
        for node_ in (one, two):
            node_.close()
        if lead is not None:
            lead.close()


def test_a_file_that_is_wrong_from_the_start(home: Home) -> None:
    file = home.path / "hosts.toml"
    file.write_text("[[host]]\nadress = 'bob'\n")
    with scheduler(home, "--hosts", file, LIGHTWORK_SECRET=SECRET) as lead:
        assert lead.ended() == 2
        assert f"error: {file}:2: there is no key of [host] 'adress'\n" in lead.err
        assert "hint: did you mean address?" in lead.err


def test_groups_of_a_file(home: Home) -> None:
    file = home.path / "hosts.toml"
    with node(home.path, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        host, _, port = place(one).rpartition(":")
        entry = f"[[host]]\naddress = '{host}'\nport = {port}\n"
        file.write_text(entry + "groups = ['a', 'b']\n")
        lead = following(home, file)
        try:
            lead.says(f"node {one.name} is there")
            assert groups(lead) == ["a", "b"]
            file.write_text(entry + "groups = ['b', 'c']\n")
            wait_for(lambda: groups(lead) == ["b", "c"])
        finally:
            lead.close()


# --- how nodes are to work ---


def asked(home: Home, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "hosts", *map(str, arguments)]
    return subprocess.run(command, env=home.environment(), capture_output=True, text=True, timeout=60, check=False)


def told(home: Home, *arguments: object) -> Any:
    done = asked(home, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed(home: Home) -> dict[str, Any]:
    return {one["name"]: one for one in told(home, "list")["schedulers"][0]["hosts"]}


def clock(seconds: int) -> str:
    """The minute so far from now."""
    return time.strftime("%H:%M", time.localtime(time.time() + seconds))


def test_how_nodes_work_is_said_once_for_those_that_come_later_and_for_the_next_life(home: Home) -> None:
    file = home.path / "hosts"
    one, two = listening(home), listening(home)
    lead = None
    hours = {"service_start": clock(7200), "service_stop": clock(10_800)}
    words = ("--slots", 1, "--service-start", hours["service_start"], "--service-stop", hours["service_stop"])
    try:
        file.write_text(f"{place(one)}\n")
        lead = following(home, file)
        lead.says(f"node {one.name} is there")
        done = asked(home, "set", "t*", *words)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(f"t*: service-start {hours['service_start']}, service-stop")
        assert done.stderr.endswith(f"slots 1\nnodes now: {one.name}\n")
        one.says("told from elsewhere: service hours")
        wait_for(lambda: listed(home)[one.name]["state"] == "unwilling")
        assert listed(home)[one.name]["policy"] == {**hours, "slots": 1}
        assert "service-start " in asked(home, "list").stdout

        file.write_text(f"{place(one)}\n{place(two)}\n")
        two.says("told from elsewhere: service hours")
        done = told(home, "set", two.name, "--service-start", "0:00", "--service-stop", "0:00")
        assert (done["action"], done["hosts"], done["nodes"]) == ("set", [two.name], [two.name])
        two.says("told from elsewhere: service hours all day")
        lead.kill()

        lead = following(home, file)
        lead.says(f"node {one.name} is back")
        lead.says(f"node {two.name} is back")
        wait_for(lambda: {name: listed(home)[name]["state"] for name in names(lead)} == {
            one.name: "unwilling", two.name: "ready"
        })  # fmt: skip
        assert {status.name: status.slots for status in nodes(lead)} == {one.name: 1, two.name: 1}
        assert asked(home, "set", "t*", "--serve", "0").returncode == 0
        assert (one.ended(), two.ended()) == (0, 0)
        assert "it has served 0 clients, as it was told" in one.err
    finally:
        for node_ in (one, two):
            node_.close()
        if lead is not None:
            lead.close()


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ((), "hosts set: nothing is said", "--service-start, --service-stop, --service-end, --serve and --slots"),
        (("--service-start", "25:00"), "--service-start 25:00: that is no time", "18:00"),
        (("--service-end", "+2h"), "--service-end +2h: that is no minute of a day", "by the clock there"),
        (("--service-stop", "8:00:30"), "--service-stop 8:00:30: that is no minute of a day", "HH:MM"),
        (
            ("--service-start", "8:00", "--service-stop", "18:00", "--service-end", "17:00"),
            "service hours end at 17:00, before they stop at 18:00",
            "stop comes first",
        ),
    ],
)
def test_what_cannot_be_set(lab: Desk, words: tuple[str, ...], error: str, hint: str) -> None:
    done = lab.run("hosts", "set", "bob", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr
    assert hint in done.stderr.split("hint: ")[1]


def test_who_cannot_be_set(lab: Desk) -> None:
    done = lab.run("hosts", "set", "nobody", "--slots", "1")
    assert done.returncode == 2
    assert "there is no host 'nobody'" in done.stderr
    assert lab.run("hosts", "set", "--slots", "1").returncode == 2
    assert lab.run("hosts", "set", "nobody-*", "--slots", "1").returncode == 0
    assert states(lab)["nobody-*"] == "not connected"
    assert lab.run("hosts", "set", "bob", "--serve", "-2").returncode == 2


def nodes(lead: Scheduler) -> list[NodeStatus]:
    with watch(lead.place().address) as watcher:
        return watcher.hosts().nodes


def names(lead: Scheduler) -> list[str]:
    return [one.name for one in nodes(lead)]


def groups(lead: Scheduler) -> list[str]:
    """Of its only node."""
    return [group for one in nodes(lead) for group in sorted(one.groups)]
