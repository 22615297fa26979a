"""The private scheduler that outlives its client, and its node: as processes, started by hand."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from lightwork.config import places
from lightwork.config.places import Place
from lightwork.model.errors import LinkBroken, PeerError, Unreachable
from lightwork.security.credential import Credential
from lightwork.security.secret import generate
from lightwork.wire.messages import Close, Opened
from tests.cli.helpers import wait_for
from tests.cli.nodes import node
from tests.support.schedulers import Caller, Home, at_home, caller, environ_of

SESSION = "mine"
SECRET = generate()
WAYS = {"forking": {}, "portable": {"LIGHTWORK_PORTABLE": "1"}}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path) as one:
        yield one


class Private:
    """What a client starts."""

    def __init__(self, home: Home, *, environment: dict[str, str] | None = None, **options: Any) -> None:
        self.home = home
        portable = "LIGHTWORK_PORTABLE" in (environment or {})
        given = {
            "slots": 2,
            "name": "test",
            "session": "123-abc",
            "directory": str(home.path),
            "arena_args": None,
            "arena_results": None,
            "apart": True,
            "portable": portable,
            "uvloop": False if portable else None,
            "state": str(home.state),
            "recover": SESSION,
            **options,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lightwork.local", "durable"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=home.environment(**(environment or {})),
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        with self.process.stdin as stdin:
            stdin.write(msgspec.json.encode(given) + b"\n")
        with self.process.stdout as stdout:
            self.address = stdout.readline().decode().strip()

    @property
    def log(self) -> str:
        return (self.home.state / "scheduler.log").read_text()

    def says(self, text: str) -> None:
        wait_for(lambda: text in self.log)

    def opened(self) -> Caller:
        one = Caller(self.address, session=SESSION, lasting=True)
        one.hears(Opened)
        return one

    def over(self) -> None:
        """Its session is closed, and with it all is gone."""
        with contextlib.closing(self.opened()) as client:
            client.send(Close())
            assert client.lost() == "goodbye"
        assert self.process.wait(20) == 0
        assert not self.home.state.exists()
        assert self.home.sockets() == []

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextlib.contextmanager
def private(home: Home, **options: Any) -> Iterator[Private]:
    one = Private(home, **options)
    try:
        yield one
    finally:
        one.close()


def node_of(home: Home) -> Place:
    """The living one."""

    def living() -> Place | None:
        place = places.read(home.state / "node.json")
        return place if place is not None and place.lives else None

    found = wait_for(living)
    assert isinstance(found, Place)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_it_lives_until_its_session_is_closed(home, way):
    with private(home, environment=WAYS[way]) as one:
        assert one.address.startswith("loopback:" if way == "portable" else "unix:")
        worker = node_of(home)
        client = one.opened()
        assert client.scheduler.epoch == 1
        one.says("node ")
        client.close()
        one.says("session mine of u@h is lost")
        assert one.process.poll() is None
        one.over()
        assert not worker.lives


def test_it_holds_nothing_of_its_client(home):
    with private(home) as one:
        assert one.process.stdout is not None
        for stream in (0, 1):
            where = f"/proc/{one.process.pid}/fd/{stream}"
            wait_for(lambda: os.readlink(where) == os.devnull)  # as soon as it has answered
        assert os.readlink(f"/proc/{one.process.pid}/fd/2") == str(home.state / "scheduler.log")
        worker = node_of(home)
        assert os.getsid(worker.pid) == worker.pid
        assert os.getsid(one.process.pid) == one.process.pid
        assert os.readlink(f"/proc/{worker.pid}/fd/2") == str(home.state / "node.log")
        one.over()


def test_a_second_start_answers_where_the_first_one_is(home):
    with private(home) as one:
        with private(home) as two:
            assert two.address == one.address
            assert two.process.wait(20) == 0
        os.kill(one.process.pid, signal.SIGSTOP)
        with private(home) as three:
            assert three.address == one.address
            assert three.process.wait(20) == 0
        os.kill(one.process.pid, signal.SIGCONT)
        one.over()


def test_of_several_at_once_one_works(home):
    with contextlib.ExitStack() as stack:
        several = [stack.enter_context(private(home)) for _ in range(3)]
        assert len({one.address for one in several}) == 1
        assert several[0].address
        wait_for(lambda: sum(one.process.poll() is None for one in several) == 1)
        next(one for one in several if one.process.poll() is None).over()


@pytest.mark.parametrize("way", WAYS)
def test_killed_and_started_again_it_finds_its_node(home, way):
    worker: Place | None = None
    for life in (1, 2, 3):
        with private(home, environment=WAYS[way]) as one:
            client = one.opened()
            assert client.scheduler.epoch == life
            worker = worker or node_of(home)
            assert node_of(home) == worker
            one.says("node ")
            if life < 3:
                one.kill()
                client.close()
                assert worker.lives
            else:
                client.close()
                one.over()
    assert worker is not None
    assert not worker.lives


def test_term_leaves_its_node_at_work(home):
    with private(home) as one:
        worker = node_of(home)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == 0
        assert worker.lives
        assert home.state.exists()
    with private(home) as one:
        assert node_of(home) == worker
        one.over()


def test_a_dead_node_is_started_again_within_a_second(home):
    with private(home) as one:
        first = node_of(home)
        time.sleep(1.0)  # one that dies at once waits for its next life
        began = time.monotonic()
        os.kill(first.pid, signal.SIGKILL)
        second = wait_for(lambda: places.read(home.state / "node.json") not in (None, first))
        assert second
        assert time.monotonic() - began < 3  # promised: to be started within 1; it has to import, too
        one.says("the node ended with code -9 and is started again")
        with private(home) as two:  # the node of another life dies as well
            two.process.wait(20)
        one.over()


def test_a_node_of_an_earlier_life_is_watched_too(home):
    with private(home) as one:
        first = node_of(home)
        one.kill()
    with private(home) as one:
        assert node_of(home) == first
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: places.read(home.state / "node.json") not in (None, first))
        assert node_of(home) != first
        one.over()


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.3, 0.6])
def test_a_node_that_is_just_coming_up_does_not_stay(home, after_s):
    with private(home) as one:
        time.sleep(after_s)
        one.over()


def test_a_node_that_hangs_does_not_stay(home):
    with private(home, environment={"LIGHTWORK_TIMERS": "LEASE_S=1.5 HEARTBEAT_S=0.2"}) as one:
        worker = node_of(home)
        one.says("node ")
        os.kill(worker.pid, signal.SIGSTOP)
        one.over()
        assert not worker.lives


def test_without_a_node_there_is_none(home):
    with private(home, local=False) as one:
        one.opened().close()
        assert not (home.state / "node.json").exists()
        one.over()


def test_others_are_refused(home):
    with private(home) as one:
        for session in ("other", ""):
            with pytest.raises(PeerError, match="session mine alone"):
                Caller(one.address, session=session)
        with pytest.raises(PeerError, match="not with a visitor"):
            Caller(one.address, role="visitor")
        with caller(one.address, role="watcher", session="w") as watcher:
            assert watcher.link.up
        with contextlib.closing(one.opened()):
            with pytest.raises(PeerError, match="in use by process"):
                Caller(one.address, session=SESSION)
        one.over()


def test_it_says_where_it_is_to_this_user(home):
    with private(home) as one:
        [place] = home.places()
        assert place.session == SESSION
        assert place.address == one.address
        assert place.pid == one.process.pid
        assert places.read(home.state / "place.json") == place
        one.over()


def test_nobody_comes(home):
    with private(home, environment={"LIGHTWORK_TIMERS": "START_S=1"}) as one:
        assert one.process.wait(20) == 0
        assert not home.state.exists()


def test_nobody_comes_again(home):
    """A session that is there waits for its client, however long it takes to come."""
    with private(home) as one:
        one.opened().close()
        one.kill()
    with private(home, environment={"LIGHTWORK_TIMERS": "START_S=0.5"}) as one:
        time.sleep(2.5)
        assert one.process.poll() is None
        one.over()


def test_a_session_without_a_client_ends_one_day(home):
    with private(home, environment={"LIGHTWORK_TIMERS": "KEEP_S=1"}) as one:
        one.opened().close()
        assert one.process.wait(30) == 0
        assert not home.state.exists()


def test_nodes_join_over_the_network_and_nobody_else(home):
    credential = Credential(secrets=(SECRET,), origin="the test")
    with private(home, local=False, credential=credential, listen="127.0.0.1:0") as one:
        [place] = home.places()
        [listens] = place.listen
        with pytest.raises(PeerError, match="nodes may join here, nobody else"):
            Caller(f"tcp:{listens}", session=SESSION, secret=SECRET)
        with node(home.path, "--join", listens, LIGHTWORK_SECRET=SECRET) as worker:
            one.says(f"node {worker.name} is there")
        one.over()


def test_the_secret_reaches_no_other_process(home):
    credential = Credential(secrets=(SECRET,), origin="the test")
    environment = {"LIGHTWORK_SECRET": SECRET}
    with private(home, credential=credential, listen="127.0.0.1:0", environment=environment) as one:
        worker = node_of(home)
        one.says("node ")
        children = psutil.Process(one.process.pid).children(recursive=True)
        children += psutil.Process(worker.pid).children(recursive=True)
        found = {worker.pid, *(child.pid for child in children)}
        assert len(found) >= 3  # the journal, the node, its keeper
        for pid in found:
            assert SECRET not in environ_of(pid)
        for path in home.state.rglob("*"):
            assert path.is_dir() or SECRET.encode() not in path.read_bytes()
        one.over()


def test_what_it_cannot_do_is_in_its_answer(home):
    (home.path / "file").write_text("")
    with private(home, state=str(home.path / "file" / "state")) as one:
        assert one.address == ""
        assert one.process.wait(20) == 1
        assert one.process.stderr is not None
        assert b"cannot make the directory" in one.process.stderr.read()


def test_the_dead_are_not_answered_for(home):
    with private(home) as one:
        address = one.address
        one.kill()
    with pytest.raises((Unreachable, LinkBroken)):  # broken: a child of it that was being born still had the door
        Caller(address, session=SESSION)
    with private(home) as one:
        assert one.address == address
        one.over()
