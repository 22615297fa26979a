"""`lightwork node` as its owner sees it, with real processes and real links."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import socket
import stat
import time

import psutil
import pytest

from lightwork.config import paths
from lightwork.security.credential import Credential
from lightwork.transport.endpoint import listen
from lightwork.transport.tls import Encryption
from tests.cli.helpers import lightwork
from tests.cli.nodes import SECRET, new_name, node, stopped
from tests.node.scheduler_double import arguments, function
from tests.node.station_double import RemoteScheduler

FAST = "LEASE_S=1.5 HEARTBEAT_S=0.2 RETRY_S=0.3"


@pytest.fixture(scope="module")
def encryption():
    return Encryption(Credential(secrets=(SECRET,), origin="the test"))


def nap(seconds):
    import os
    import time

    time.sleep(seconds)
    return os.getpid(), os.nice(0)


async def until(condition, patience_s=20.0):
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


def test_it_listens_is_claimed_runs_jobs_and_leaves(tmp_path, encryption):
    async def story(one):
        scheduler = RemoteScheduler()
        await scheduler.dial(one.address(), encryption)
        assert scheduler.ready is not None
        assert scheduler.ready.labels == {"disk": "ssd"}
        assert scheduler.ready.slots == 3
        computation = function(nap)
        scheduler.prepare(computation)
        ends = await scheduler.run(computation, (0,), (0,))
        assert [end.value[1] for end in ends] == [19, 19]
        assert os.getpriority(os.PRIO_PROCESS, one.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        one.signal(signal.SIGTERM)
        await until(lambda: scheduler.lost)
        assert scheduler.lost == [None]  # a goodbye
        assert scheduler.leaving

    with node(tmp_path, "--listen", "*:0", "--label", "disk=ssd", "--slots", 3, LIGHTWORK_SECRET=SECRET) as one:
        asyncio.run(story(one))
        assert one.ended() == 0
        assert re.search(rf"^node {one.name}, 3 slots, listens at .*: JobCluster\(f, nodes=\[\"", one.out)
        assert one.out.count("\n") == 1
        assert "claimed by cluster-s1 of u@h" in one.err


def test_without_a_secret_it_is_this_users_alone(tmp_path):
    async def story(one):
        scheduler = RemoteScheduler()
        await scheduler.dial(one.address())
        computation = function(nap)
        scheduler.prepare(computation)
        await scheduler.run(computation, (0,))
        scheduler.leave()
        await until(lambda: "free again" in one.err)

    with node(tmp_path) as one:
        asyncio.run(story(one))
        path = one.address().partition(":")[2]
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
        assert f'JobCluster(f, nodes=["{one.address()}"])' in one.out
        assert "`lightwork secret --save`" in one.err
        assert "`lightwork node`" in one.err
        assert psutil.Process(one.process.pid).net_connections("inet") == []
        assert stopped(one) == 0
        assert not os.path.exists(path)


@pytest.mark.parametrize("way", ["--listen", "--join"])
def test_no_network_without_a_secret(tmp_path, way):
    ended = lightwork("node", way, "127.0.0.1:9999", cwd=tmp_path, HOME=str(tmp_path), LIGHTWORK_SECRET="")
    assert ended.returncode == 2
    assert b"only with a secret" in ended.stderr
    assert b"hint: `lightwork secret --save`" in ended.stderr


def test_a_guessable_secret_stays_at_home_unless_told(tmp_path):
    phrase = "correct horse"
    ended = lightwork("node", "--listen", "*:0", cwd=tmp_path, HOME=str(tmp_path), LIGHTWORK_SECRET=phrase)
    assert ended.returncode == 2
    assert b"--weak-secret" in ended.stderr
    with node(tmp_path, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=phrase) as one:
        one.says("listens at 127.0.0.1:")
        one.says("is a phrase that others may guess")
    with node(tmp_path, "--listen", "*:0", "--weak-secret", LIGHTWORK_SECRET=phrase) as one:
        one.says("listens at")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--listen", "a:1", "--join", "b:2"), "listens or joins, not both"),
        (("--slots", "0"), "leaves no slot"),
        (("--slots", "-1000"), "leaves no slot"),
        (("--label", "x"), "not NAME=VALUE: x"),
        (("--name", "../x"), "is no name for a node"),
        (("--python", "/no/such/python"), "--python"),
        (("--nice", "40"), "--nice"),
        (("--secret-file", "/no/such/file"), "does not exist"),
        (("--detach", "--service"), "leave out one"),
        (("more",), "unexpected extra argument"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, given, said):
    name = () if "--name" in given else ("--name", new_name())
    ended = lightwork("node", *name, *given, cwd=tmp_path, HOME=str(tmp_path))
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr.decode()
    assert b"error: " in ended.stderr
    assert b"Traceback" not in ended.stderr
    if name:
        shutil.rmtree(paths.node_directory(name[1]))


def test_several_of_one_name_are_told_apart(tmp_path):
    with node(tmp_path / "a") as one:
        one.says("listens")  # it has its name before the other one wants it
        with node(tmp_path / "b", name=one.name, LIGHTWORK_SECRET=SECRET) as two:
            two.says(f"node {one.name}-2, ")
            three = lightwork("node", "--name", one.name, "--python", "/no/such", cwd=tmp_path, HOME=str(tmp_path))
            assert three.returncode == 2
            assert stopped(two) == 0
    for number in (2, 3):
        shutil.rmtree(paths.node_directory(f"{one.name}-{number}"))


def test_a_taken_port_means_the_next_one_unless_it_was_named(tmp_path):
    first = {"LIGHTWORK_SECRET": SECRET}
    with node(tmp_path / "a", "--listen", "127.0.0.1", **first) as one:
        port = int(one.address().rpartition(":")[2])
        with node(tmp_path / "b", "--listen", "127.0.0.1", **first) as two:
            assert int(two.address().rpartition(":")[2]) > port
        with node(tmp_path / "c", "--listen", f"127.0.0.1:{port}", **first) as three:
            assert three.ended() == 1
            assert str(port) in three.err
            assert "error: " in three.err


def test_draining_lets_what_runs_end(tmp_path, encryption):
    async def story(one):
        scheduler = RemoteScheduler()
        await scheduler.dial(one.address(), encryption)
        computation = function(nap)
        scheduler.prepare(computation)
        tokens = scheduler.assign(computation, [arguments(2.0)] * 4)
        await scheduler.until(lambda: len(scheduler.started) == 2)
        one.signal(signal.SIGTERM)
        await scheduler.until(lambda: scheduler.leaving)
        await scheduler.until(lambda: len(scheduler.returned) == 2)
        late = scheduler.assign(computation, [arguments(0)])
        await scheduler.until(lambda: late[0] in scheduler.returned)
        await scheduler.all_ended(tokens[:2])
        await until(lambda: scheduler.lost)
        assert scheduler.lost == [None]

    with node(tmp_path, "--listen", "127.0.0.1:0", "--slots", 2, LIGHTWORK_SECRET=SECRET,
              LIGHTWORK_TIMERS="SAY_WAITING_S=0.5") as one:  # fmt: skip
        asyncio.run(story(one))
        assert one.ended() == 0
        assert "waiting for 2 running jobs to end" in one.err


def test_a_second_signal_ends_all_at_once(tmp_path, encryption):
    async def story(one):
        scheduler = RemoteScheduler()
        await scheduler.dial(one.address(), encryption)
        computation = function(nap)
        scheduler.prepare(computation)
        scheduler.assign(computation, [arguments(600)] * 2)
        await scheduler.until(lambda: len(scheduler.started) == 2)
        family = one.family()
        assert len(family) >= 4
        one.signal(signal.SIGINT)
        await scheduler.until(lambda: scheduler.leaving)
        one.signal(signal.SIGINT)
        await until(lambda: scheduler.lost)
        assert scheduler.lost == [None]
        return family

    with node(tmp_path, "--listen", "127.0.0.1:0", "--slots", 2, LIGHTWORK_SECRET=SECRET) as one:
        family = asyncio.run(story(one))
        assert one.ended() == 1
        assert psutil.wait_procs(family[1:], 5)[1] == []


def test_it_stops_at_once_if_nobody_has_it(tmp_path):
    with node(tmp_path) as one:
        one.says("listens")
        began = time.monotonic()
        assert stopped(one) == 0
        assert time.monotonic() - began < 5


def test_stopped_for_longer_than_the_lease_it_has_nothing_left(tmp_path, encryption):
    async def story(one):
        scheduler = RemoteScheduler(lease_s=1.5, beat_s=0.2)
        await scheduler.dial(one.address(), encryption)
        computation = function(nap)
        scheduler.prepare(computation)
        tokens = scheduler.assign(computation, [arguments(600), arguments(2.0)])
        await scheduler.until(lambda: len(scheduler.started) == 2)
        family = one.family()
        one.signal(signal.SIGSTOP)
        await asyncio.sleep(3.0)
        one.signal(signal.SIGCONT)
        await until(lambda: scheduler.lost)
        await until(lambda: "free again" in one.err)
        assert not set(tokens) & set(scheduler.ended), "what ended within the dead claim was told"
        assert psutil.wait_procs(family[1:], 5)[1] == []
        await scheduler.dial(one.address(), encryption)
        assert scheduler.resumed == [False, False]
        scheduler.prepare(computation)
        await scheduler.run(computation, (0,))

    with node(tmp_path, "--listen", "127.0.0.1:0", "--slots", 2, LIGHTWORK_SECRET=SECRET) as one:
        asyncio.run(story(one))
        assert stopped(one) == 0


def test_stopped_for_less_than_the_lease_it_goes_on(tmp_path, encryption):
    async def story(one):
        scheduler = RemoteScheduler(lease_s=10, beat_s=0.2)
        await scheduler.dial(one.address(), encryption)
        computation = function(nap)
        scheduler.prepare(computation)
        tokens = scheduler.assign(computation, [arguments(1.0)])
        await scheduler.until(lambda: scheduler.started)
        one.signal(signal.SIGSTOP)
        await asyncio.sleep(2.5)
        one.signal(signal.SIGCONT)
        await scheduler.all_ended(tokens)
        assert not scheduler.lost, "the link was good all the time"
        scheduler.leave()
        await until(lambda: scheduler.lost)

    with node(tmp_path, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        asyncio.run(story(one))
        assert stopped(one) == 0


def free_port():
    """One that no dialler is given by the system, so that nobody comes to have it meanwhile."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


class Joined(RemoteScheduler):
    """One that nodes dial."""

    async def ready_again(self, count):
        await until(lambda: len(self.readies) >= count)


def test_it_joins_retries_and_comes_back(tmp_path, encryption):
    async def story():
        scheduler = Joined(lease_s=30)
        where = f"127.0.0.1:{free_port()}"
        with node(tmp_path, "--join", where, "--slots", 2, LIGHTWORK_SECRET=SECRET, LIGHTWORK_TIMERS=FAST) as one:
            one.says("tried again every 300 ms")
            await asyncio.sleep(1.5)
            assert one.err.count("tried again") == 1
            assert one.out == ""
            door = await listen(f"tcp:{where}", scheduler, scheduler.hello, encryption=encryption)
            await scheduler.ready_again(1)
            await until(lambda: f"node {one.name} has joined cluster-s1 of u@h at {where}\n" == one.out)
            computation = function(nap)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(0.02)] * 400)
            for turn in range(2, 5):
                done = len(scheduler.ended)
                await scheduler.until(lambda: len(scheduler.ended) > done + 5)
                scheduler.cut()
                await scheduler.ready_again(turn)
            await scheduler.all_ended(tokens)
            assert scheduler.resumed == [False, True, True, True]
            assert not scheduler.double_ends
            scheduler.leave()
            await scheduler.ready_again(5)
            assert scheduler.resumed[-1] is False
            assert one.out.count("\n") == 1
            assert await asyncio.to_thread(stopped, one) == 0
        door.close()

    asyncio.run(story())


def test_another_scheduler_at_the_same_address_finds_nothing_of_before(tmp_path, encryption):
    async def story():
        old, new = Joined("old", lease_s=30), Joined("new", lease_s=30)
        door = await listen("tcp:127.0.0.1:0", old, old.hello, encryption=encryption)
        where = door.address.partition(":")[2]
        with node(tmp_path, "--join", where, LIGHTWORK_SECRET=SECRET, LIGHTWORK_TIMERS=FAST) as one:
            await old.ready_again(1)
            computation = function(nap)
            old.prepare(computation)
            old.assign(computation, [arguments(600)])
            await old.until(lambda: old.started)
            family = one.family()[1:]
            door.close()
            door = await listen(f"tcp:{where}", new, new.hello, encryption=encryption)
            old.cut()
            await new.ready_again(1)
            assert psutil.wait_procs(family, 5)[1] == []
            new.prepare(computation)
            await new.run(computation, (0,))
            assert await asyncio.to_thread(stopped, one) == 0
        door.close()

    asyncio.run(story())


def test_a_scheduler_with_another_secret_is_told_of_once(tmp_path):
    from lightwork.model.errors import LightworkError
    from lightwork.security.secret import generate

    async def story(one):
        stranger = Encryption(Credential(secrets=(generate(),), origin="elsewhere"))
        for _ in range(3):
            with pytest.raises(LightworkError, match="secret"):
                await RemoteScheduler().dial(one.address(), stranger)
        await until(lambda: "refused: 127.0.0.1" in one.err)
        await asyncio.sleep(0.3)
        assert one.err.count("refused: 127.0.0.1") == 1
        assert "secret" in one.err.partition("refused: 127.0.0.1")[2]

    with node(tmp_path, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        asyncio.run(story(one))


def nothing():
    pass


def shut_down():
    import lightwork

    lightwork.node_shutdown()
    lightwork.node_shutdown()  # once more is no second signal of the owner's
    return "asked"


@pytest.mark.parametrize("where", ["job", "cleanup", "nowhere"])
def test_jobs_may_stop_the_node_if_its_owner_allows_it(tmp_path, encryption, where):
    from tests.node.scheduler_double import setup_of

    async def story(one):
        scheduler = RemoteScheduler()
        await scheduler.dial(one.address(), encryption)
        if where == "cleanup":
            computation = function(nap, setup=setup_of(nothing), cleanup=setup_of(shut_down))
            scheduler.prepare(computation)
            await scheduler.run(computation, (0,))
            scheduler.release()
        else:
            computation = function(shut_down)
            scheduler.prepare(computation)
            end = (await scheduler.run(computation, ()))[0]
            if where == "nowhere":
                assert b"--client-shutdown" in end.outcome.failure["traceback"]
                scheduler.leave()
                return
            assert end.value == "asked"
        await until(lambda: scheduler.lost)
        assert scheduler.lost == [None]
        assert scheduler.leaving

    more = () if where == "nowhere" else ("--client-shutdown",)
    with node(tmp_path, "--listen", "127.0.0.1:0", *more, LIGHTWORK_SECRET=SECRET) as one:
        asyncio.run(story(one))
        if where == "nowhere":
            one.says("free again")
            assert one.process.poll() is None
        else:
            assert one.ended() == 0
            assert "a job has stopped it" in one.err


def test_detached(tmp_path, encryption):
    name = new_name()
    ended = lightwork(
        "node", "--detach", "--listen", "127.0.0.1:0", "--name", name, cwd=tmp_path, HOME=str(tmp_path),
        LIGHTWORK_SECRET=SECRET, XDG_STATE_HOME="",
    )  # fmt: skip
    told = ended.stderr.decode()
    assert ended.returncode == 0, told
    found = re.search(r"process (\d+)\b.* log is (\S+)", told)
    assert found is not None
    process = psutil.Process(int(found[1]))
    try:
        assert f"node {name}, " in ended.stdout.decode()
        address = re.search(r"listens at (\S+):(\d+):", ended.stdout.decode())
        assert address is not None
        asyncio.run(RemoteScheduler().dial(f"tcp:127.0.0.1:{address[2]}", encryption))
        with open(found[2]) as log:
            text = log.read()
        assert "claimed by" in text
        assert "listens at" in text
        assert os.getsid(process.pid) == process.pid
        assert SECRET not in " ".join(process.cmdline())
    finally:
        process.terminate()
        psutil.wait_procs([process], 15)
        shutil.rmtree(paths.node_directory(name))
    assert not process.is_running()


def test_detached_it_tells_at_once_that_nobody_is_there_to_join(tmp_path):
    name = new_name()
    ended = lightwork(
        "node", "--detach", "--join", "127.0.0.1:1", "--name", name, cwd=tmp_path, HOME=str(tmp_path),
        LIGHTWORK_SECRET=SECRET, XDG_STATE_HOME="",
    )  # fmt: skip
    told = ended.stderr.decode()
    found = re.search(r"process (\d+)\b", told)
    assert found is not None, told
    process = psutil.Process(int(found[1]))
    try:
        assert re.search(r"warning: nobody listens at 127.0.0.1:1: .*; tried again every", told)
        assert process.is_running()
    finally:
        process.terminate()
        psutil.wait_procs([process], 15)
        shutil.rmtree(paths.node_directory(name))


def test_detached_in_vain(tmp_path):
    name = new_name()
    for given, said in ((("--listen", "nosuch.invalid:1"), "nosuch.invalid"), (("--python", "/no/such"), "/no/such")):
        ended = lightwork(
            "node", "--detach", "--name", name, *given, cwd=tmp_path, HOME=str(tmp_path),
            LIGHTWORK_SECRET=SECRET, XDG_STATE_HOME="",
        )  # fmt: skip
        assert ended.returncode in (1, 2), ended.stderr
        assert b"error: " in ended.stderr
        assert said in ended.stderr.decode()
        assert ended.stdout == b""
    shutil.rmtree(paths.node_directory(name))


def test_a_unit_for_systemd(tmp_path):
    ended = lightwork(
        "node", "--service", "--join", "lab1", "--label", "note=a b %", "--python", "./py", "--slots", "-1",
        cwd=tmp_path, HOME=str(tmp_path), LIGHTWORK_SECRET=SECRET,
    )  # fmt: skip
    assert ended.returncode == 0
    text = ended.stdout.decode()
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert line.endswith(f' node --join lab1 --slots -1 --label "note=a b %%" --python {tmp_path}/py')
    assert "KillMode=mixed" in text
    assert SECRET not in text
    assert b"systemctl" in ended.stderr
    assert b"LIGHTWORK_SECRET is not set for services" in ended.stderr
    if shutil.which("systemd-analyze"):
        import subprocess

        (tmp_path / "lightwork-node.service").write_text(text)
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(tmp_path / "lightwork-node.service")],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "lightwork-node" not in checked.stderr, checked.stderr


def test_help_names_what_matters(tmp_path):
    ended = lightwork("node", "--help", cwd=tmp_path)
    for word in (b"--listen", b"--join", b"--slots", b"--detach", b"--service", b"LIGHTWORK_SECRET", b"Ctrl-C"):
        assert word in ended.stdout
    assert b"--detached" not in ended.stdout
