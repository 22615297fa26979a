"""`lightwork scheduler` as its owner sees it, with real processes and real links."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lightwork.model.errors import LightworkError, PeerError
from lightwork.security.secret import generate
from lightwork.wire.messages import Close, Opened
from tests.cli.helpers import lightwork, wait_for
from tests.cli.nodes import node
from tests.support.schedulers import Home, Scheduler, at_home, caller, default_state, environ_of, scheduler

SECRET = generate()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path) as one:
        yield one


def journal_of(one: Scheduler) -> psutil.Process:
    return next(child for child in one.children() if "journal_process" in " ".join(child.cmdline()))


# --- where it is ---


def test_without_a_secret_it_is_this_users_alone(home):
    with scheduler(home) as one:
        place = one.place()
        assert place.name == "lab"
        assert place.state == str(default_state(home, "lab"))
        assert place.listen == ()
        path = place.address.partition(":")[2]
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert f'SharedJobCluster(f, scheduler="{place.address}")' in one.out
        assert one.out.count("\n") == 1
        one.says(f"nodes join it by `lightwork node --join {place.address}`")
        one.says("`lightwork secret --save` here, then start `lightwork scheduler` again")
        assert psutil.Process(one.process.pid).net_connections("inet") == []
        with caller(place.address) as client:
            assert client.scheduler.role == "scheduler"
            assert client.scheduler.epoch == 1
            assert re.fullmatch("[0-9a-f]{32}", client.scheduler.session)
            assert client.hears(Opened).incarnation == 1
        assert one.stop() == 0
        assert home.sockets() == []


def test_with_a_secret_others_reach_it(home):
    with scheduler(home, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        [listens] = one.place().listen
        assert f"scheduler lab listens at {listens}: SharedJobCluster(f, scheduler=" in one.out
        one.says(f"nodes join it by `lightwork node --join {listens}`")
        with caller(f"tcp:{listens}", secret=SECRET) as client:
            client.hears(Opened)
            one.says("session s1 of u@h is there (127.0.0.1)")
        with caller(f"tcp:{listens}", role="watcher", secret=SECRET) as watcher:
            assert watcher.link.up
        with pytest.raises(LightworkError, match="secret"):
            caller(f"tcp:{listens}", secret=generate()).__enter__()
        one.says("127.0.0.1 was turned away")


def test_a_taken_port_means_the_next_one_unless_it_was_named(home):
    def port_of(one):
        return int(one.place().listen[0].rpartition(":")[2])

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(scheduler(home, "--listen", "127.0.0.1", LIGHTWORK_SECRET=SECRET, name="a"))
        port = port_of(first)
        second = stack.enter_context(scheduler(home, "--listen", "127.0.0.1", LIGHTWORK_SECRET=SECRET, name="b"))
        assert port_of(second) > port
        second.says("port 9700 is taken")
        third = stack.enter_context(scheduler(home, "--listen", f"127.0.0.1:{port}", LIGHTWORK_SECRET=SECRET, name="c"))
        assert third.ended() == 255
        assert str(port) in third.err
        assert [place.name for place in home.places()] == ["a", "b"]


def test_a_port_that_nobody_named_is_the_same_in_the_next_life(home):
    ports = []
    for given in ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"):
        with scheduler(home, "--state", home.state, "--listen", given, LIGHTWORK_SECRET=SECRET) as one:
            ports.append(one.place().listen)
            one.kill()
    assert len(set(ports)) == 1
    with socket.create_server(("127.0.0.1", int(ports[0][0].rpartition(":")[2]))):
        with scheduler(home, "--state", home.state, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
            assert one.place().listen != ports[0]


def test_schedulers_of_one_name_are_told_apart(home):
    with scheduler(home, "--state", home.path / "a") as one, scheduler(home, "--state", home.path / "b") as two:
        names = {one.place().name, two.place().name}
        assert names == {"lab", "lab-2"}
        assert one.place().address != two.place().address


def test_portable_systems_have_a_port_and_a_token(home):
    with scheduler(home, LIGHTWORK_PORTABLE="1", LIGHTWORK_NO_UVLOOP="1") as one:
        address = one.place().address
        assert address.startswith("loopback:")
        with caller(address) as client:
            client.hears(Opened)
        assert one.stop() == 0
        assert home.sockets() == []


def test_strangers_learn_nothing(home):
    with scheduler(home) as one:
        with pytest.raises(PeerError, match="talks with clients and nodes, not with a scheduler"):
            caller(one.place().address, role="scheduler").__enter__()
        one.says("was turned away")


# --- lives ---


def test_killed_and_started_again_it_is_the_same_one_in_its_next_life(home):
    seen = []
    for life in (1, 2, 3):
        with scheduler(home, "--state", home.state) as one:
            place = one.place()
            with caller(place.address, lasting=True) as client:
                assert client.scheduler.epoch == life
                assert client.hears(Opened).incarnation == life
                seen.append((client.scheduler.session, place.address))
            if life > 1:
                one.says(f"took up 0 jobs of 1 session from {home.state}")
            one.kill()
    assert len(set(seen)) == 1
    assert [place.lives for place in home.places()] == [False]


def test_the_end_of_a_session_is_the_end_of_it(home):
    with scheduler(home, "--state", home.state) as one:
        with caller(one.place().address, lasting=True) as client:
            client.hears(Opened)
            client.send(Close())
            assert client.lost() == "goodbye"
        one.says("session s1 is over")
        one.kill()
    with scheduler(home, "--state", home.state) as one:
        one.says("took up 0 jobs of 0 sessions")


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_second_one_on_the_same_state_is_refused(home, stopped):
    with scheduler(home, "--state", home.state) as one:
        pid = one.place().pid
        if stopped:
            one.process.send_signal(signal.SIGSTOP)
        with scheduler(home, "--state", home.state, name="other") as two:
            assert two.ended() == 255
            assert "another scheduler works in" in two.err
            assert str(pid) in two.err
            assert "hint: " in two.err
        if stopped:
            one.process.send_signal(signal.SIGCONT)
        with caller(one.place().address) as client:
            client.hears(Opened)
        assert one.stop() == 0


def test_it_can_be_started_at_once_after_a_kill(home):
    """Whatever of it is still about must not be in the way."""
    for life in range(4):
        with scheduler(home, "--state", home.state) as one:
            with caller(one.place().address) as client:
                assert client.scheduler.epoch == life + 1
            one.kill()


# --- ends ---


def test_term_says_goodbye_to_nobody(home):
    with (
        scheduler(home) as one,
        caller(one.place().address) as client,
        caller(one.place().address, role="node") as join,
    ):
        client.hears(Opened)
        one.process.send_signal(signal.SIGTERM)
        assert [client.lost(), join.lost()] == ["broken", "broken"]
        assert one.ended() == 0


def test_a_second_signal_waits_for_nothing(home):
    with scheduler(home) as one:
        one.place()
        journal = journal_of(one)
        journal.suspend()
        one.process.send_signal(signal.SIGINT)
        wait_for(lambda: home.sockets() == [])
        assert one.process.poll() is None
        one.process.send_signal(signal.SIGINT)
        try:
            assert one.ended() == 1
        finally:
            journal.resume()
        psutil.wait_procs([journal], 10)


def test_without_its_journal_it_goes_no_further(home):
    with scheduler(home) as one, caller(one.place().address) as client:
        client.hears(Opened)
        journal_of(one).kill()
        assert one.ended() == 255
        assert "error: the journal process ended with code" in one.err
        assert "Traceback" not in one.err
        assert home.sockets() == []


# --- what it cannot use ---


def test_a_damaged_journal_is_refused_by_name(home):
    with scheduler(home, "--state", home.state) as one:
        with caller(one.place().address, lasting=True) as client:
            client.hears(Opened)
        assert one.stop() == 0
    [path] = home.state.glob("journal/journal-*.sqlite")
    content = path.read_bytes()
    assert content.count(b"s1") == 2  # the session and its key, in the one fact about it
    path.write_bytes(content.replace(b"s1", b"s2"))
    with scheduler(home, "--state", home.state) as one:
        assert one.ended() == 255
        assert "record" in one.err
        assert f"hint: `lightwork doctor --recover {home.state}`" in one.err or "doctor --recover" in one.err
        assert home.sockets() == []


def test_a_torn_write_is_said(home):
    with scheduler(home, "--state", home.state) as one:
        with caller(one.place().address, lasting=True) as client:
            client.hears(Opened)
        journal_of(one).kill()
        one.ended()
    [log] = home.state.glob("journal/journal-*.sqlite-wal")
    with open(log, "ab") as file:
        file.write(os.urandom(5000))
    with scheduler(home, "--state", home.state) as one:
        one.place()
        one.says("was not finished")


@pytest.mark.parametrize("where", ["file/state", "/proc/lightwork"])
def test_a_directory_that_cannot_be_made(home, where):
    (home.path / "file").write_text("")
    with scheduler(home, "--state", home.path / where) as one:
        assert one.ended() == 255
        assert "error: cannot make the directory" in one.err
        assert "Traceback" not in one.err


def test_what_is_wrong_is_said(home):
    table = [
        (("--listen", "127.0.0.1:9999"), "only with a secret"),
        (("--nodes", "elsewhere"), "only with a secret"),
        (("--name", "../x"), "is no name for a scheduler"),
        (("--listen", "http://x"), "is no address of a machine"),
        (("--nodes", "lab*"), "is no address of a machine"),
        (("--secret-file", "/no/such/file"), "does not exist"),
        (("--detach", "--service"), "leave out one"),
        (("more",), "unexpected extra argument"),
    ]
    for given, said in table:
        ended = lightwork("scheduler", *given, cwd=home.path, **home.environment(LIGHTWORK_SECRET=""))
        assert ended.returncode == 2, (given, ended.stderr)
        assert said in ended.stderr.decode()
        assert b"error: " in ended.stderr
        assert b"Traceback" not in ended.stderr


def test_a_guessable_secret_stays_at_home_unless_told(home):
    phrase = "correct horse"
    ended = lightwork("scheduler", cwd=home.path, **home.environment(LIGHTWORK_SECRET=phrase))
    assert ended.returncode == 2
    assert b"--weak-secret" in ended.stderr
    with scheduler(home, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=phrase) as one:
        one.says("is a phrase that others may guess")
        one.place()


# --- who else is there ---


def test_the_secret_stays_with_it(home):
    with scheduler(home, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        one.place()
        children = one.children()
        assert children
        for child in children:
            assert SECRET not in environ_of(child.pid)
        assert SECRET not in " ".join(psutil.Process(one.process.pid).cmdline())


def test_nodes_that_listen_are_dialled_and_taken_up_again(home):
    short = {"LIGHTWORK_TIMERS": "RETRY_S=0.3", "LIGHTWORK_SECRET": SECRET}
    with node(home.path, "--listen", "127.0.0.1:0", **short) as worker:
        where = worker.address().removeprefix("tcp:")

        def is_on_disk() -> bool:
            files = [path for path in Path(home.state).rglob("*") if path.is_file()]
            return any(worker.name.encode() in path.read_bytes() for path in files)

        for line in ("is there", "is back"):
            with scheduler(home, "--state", home.state, "--nodes", where, **short) as one:
                one.says(f"node {worker.name} {line}")
                wait_for(is_on_disk)
                one.kill()
        with scheduler(home, "--state", home.state, "--nodes", where, **short) as one:
            one.says(f"node {worker.name} ")
            worker.process.kill()
            one.says(f"the connection with node {worker.name} is lost")
            one.says("it is dialled again and again")
            assert one.stop() == 0


def test_nodes_join_it(home):
    with scheduler(home, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        listens = one.place().listen[0]
        with node(home.path, "--join", listens, LIGHTWORK_SECRET=SECRET) as worker:
            one.says(f"node {worker.name} is there (127.0.0.1)")
            worker.says("has joined lab")


# --- in the background ---


def test_detached_it_goes_on(home):
    ended = lightwork("scheduler", "--detach", "--name", "back", cwd=home.path, **home.environment())
    assert ended.returncode == 0, ended.stderr
    assert b"scheduler back listens for this user" in ended.stdout
    told = ended.stderr.decode()
    found = re.search(r"it goes on as process (\d+): .*; its log is (\S+)", told)
    assert found is not None, told
    pid, log = int(found[1]), Path(found[2])
    [place] = home.places()
    assert place.pid == pid
    with caller(place.address) as client:
        client.hears(Opened)
    assert "session s1" in log.read_text()
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not place.lives)
    again = lightwork(
        "scheduler", "--detach", "--state", "/proc/no", cwd=home.path, **home.environment(LIGHTWORK_SECRET="")
    )
    assert again.returncode == 255
    assert b"cannot make the directory" in again.stderr


def test_a_unit_for_systemd(home):
    given = ("--listen", "*:9800", "--state", "s", "--nodes", "a,b", "--name", "x", "--weak-secret")
    ended = lightwork("scheduler", "--service", *given, cwd=home.path, **home.environment())
    assert ended.returncode == 0
    text = ended.stdout.decode()
    words = f"scheduler --listen *:9800 --name x --nodes a --nodes b --state {home.path}/s --weak-secret\n"
    assert words in text
    assert "Restart=on-failure" in text
    assert b"lightwork-scheduler.service" in ended.stderr
