"""Clients of real durable schedulers: over TLS, started anew, killed; and private ones that outlive their programs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork.client import recovering
from lightwork.config import limits
from lightwork.kit.process import lives
from lightwork.model.errors import JobLost, StartFailed, Unreachable, UserError
from lightwork.model.states import JobState
from lightwork.security.secret import generate
from tests.e2e.helpers import LIMIT_S, nothing_left, wait_until
from tests.support.nodes import Start, nodes
from tests.support.schedulers import Home, at_home, scheduler

SECRET = generate()


def double(n: int) -> int:
    return 2 * n


def begun(path: str, n: int, seconds: float) -> int:
    import time

    with open(path, "a") as file:
        file.write(f"{n}\n")
    time.sleep(seconds)
    return n


def grow(data: bytes, times: int) -> bytes:
    return data * times


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with at_home(tmp_path) as made:
        yield made


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with nothing_left({}):
        yield tmp_path / "state" / "lightwork" / "clusters"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("LIGHTWORK_SECRET", SECRET)
    with nodes(tmp_path) as start:
        yield start


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_shared_scheduler_is_killed_and_comes_back(home: Home, start: Start, tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    given = ("--listen", where, "--state", tmp_path / "jobs", "--nodes", start("n1").address)
    ran = tmp_path / "ran"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(scheduler(home, *given, LIGHTWORK_SECRET=SECRET))
        first.place()
        with lightwork.SharedJobCluster(begun, scheduler=where, secret=SECRET) as cluster:
            jobs = [cluster.submit(str(ran), n, 0.02) for n in range(150)]
            assert jobs[20].get(LIMIT_S) == 20
            first.kill()
            jobs += [cluster.submit(str(ran), n, 0.0) for n in range(150, 200)]
            time.sleep(0.5)
            second = stack.enter_context(scheduler(home, *given, LIGHTWORK_SECRET=SECRET))
            assert [job.get(LIMIT_S) for job in jobs] == list(range(200))
            assert not any(job.redelivered for job in jobs)
        assert sorted(map(int, ran.read_text().split())) == list(range(200)), "each was begun once"
        assert second.stop() == 0


def test_a_client_that_is_away_for_too_long_is_told_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    timers = {"LIGHTWORK_SECRET": SECRET, "LIGHTWORK_TIMERS": "CLIENT_LEASE_S=1"}
    with scheduler(home, "--listen", "127.0.0.1:0", **timers) as one:
        [where] = one.place().listen
        with lightwork.SharedJobCluster(double, scheduler=where, secret=SECRET) as cluster:
            job = cluster.submit(1)
            session: Any = cluster._session
            wait_until(lambda: session.core.upto == 1, "it is on disk")

            def nobody(hello: Any) -> Any:
                raise Unreachable("the test has cut the line")

            with monkeypatch.context() as patch:
                patch.setattr(cluster._server, "dial", nobody)
                session.link.abort()
                one.says("is over")
                assert job.status is JobState.QUEUED, "it still hopes"
            with pytest.raises(JobLost, match="is not there any more"):
                job.get(LIMIT_S)


def test_wrong_secrets_and_wrong_places_are_told_at_once(home: Home) -> None:
    with scheduler(home, "--listen", "127.0.0.1:0", LIGHTWORK_SECRET=SECRET) as one:
        [where] = one.place().listen
        with pytest.raises(UserError, match="secret"):
            lightwork.SharedJobCluster(double, scheduler=where, secret=generate())
        with pytest.raises(UserError, match="no credential"):
            lightwork.SharedJobCluster(double, scheduler=where)
        with pytest.raises(UserError, match="no session 'old'"):
            lightwork.attach("old", scheduler=where, secret=SECRET)


def test_a_session_at_a_shared_scheduler_is_taken_up(home: Home, start: Start, tmp_path: Path) -> None:
    with scheduler(home, "--listen", "127.0.0.1:0", "--nodes", start("n1").address, LIGHTWORK_SECRET=SECRET) as one:
        [where] = one.place().listen
        shared: dict[str, Any] = {"scheduler": where, "secret": SECRET}
        first = lightwork.SharedJobCluster(grow, recover="mine", **shared)
        data = os.urandom(limits.INLINE_MAX)
        jobs = [first.options(id=f"job {n}").submit(data, n) for n in range(4)]
        assert jobs[1].get(LIMIT_S) == data
        wait_until(lambda: first._session.core.ended == 4, "all have ended")
        first.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert jobs[0].status is JobState.FINISHED

        found = lightwork.attach("mine", **shared)
        again = {job.id: job for job in found.recovered}
        assert sorted(again) == ["job 0", "job 2", "job 3"], "the one that was taken is not kept"
        assert again["job 3"].args == (data, 3), "large arguments are brought when they are asked for"
        assert again["job 3"].get(LIMIT_S) == data * 3
        assert again["job 3"].redelivered
        assert found.close(LIMIT_S)
        with pytest.raises(UserError, match="no session 'mine'"):
            lightwork.attach("mine", **shared)


def test_a_private_scheduler_outlives_its_program_and_its_own_death(own_state: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    first = lightwork.JobCluster(begun, recover="mine", slots=2)
    for n in range(40):
        first.options(key=f"k{n}").submit(str(ran), n, 0.05)
    place = _place(own_state / "mine")
    first.__exit__(ValueError, ValueError(), None)
    assert lives(place.pid, place.start)

    second = lightwork.JobCluster(begun, recover="mine", slots=2)
    assert _place(own_state / "mine") == place, "it is the same process"
    jobs = [second.options(key=f"k{n}").submit(str(ran), n, 0.05) for n in range(40)]
    assert jobs[5].get(LIMIT_S) == 5
    os.kill(place.pid, signal.SIGKILL)
    assert [job.get(LIMIT_S) for job in jobs] == list(range(40))
    assert _place(own_state / "mine").pid != place.pid, "the client has started another one"
    assert second.close(LIMIT_S)
    assert sorted(map(int, ran.read_text().split())) == list(range(40)), "each was begun once"
    wait_until(lambda: not list(own_state.iterdir()), "nothing of it is left")


def test_recover_jobs_starts_a_scheduler_that_is_not_there(own_state: Path) -> None:
    cluster = lightwork.JobCluster(double, recover="mine", slots=1)
    cluster.options(id="one").submit(4)
    wait_until(lambda: cluster._session.core.ended == 1, "it has ended")
    place = _place(own_state / "mine")
    cluster.__exit__(ValueError, ValueError(), None)
    os.kill(place.pid, signal.SIGKILL)
    wait_until(lambda: not lives(place.pid, place.start), "it is dead")
    with pytest.raises(UserError, match="no session 'yours'") as caught:
        lightwork.attach("yours")
    assert caught.value.hint == "there are mine"
    (job,) = lightwork.recover_jobs("mine", timeout=LIMIT_S)
    assert (job.id, job.args, job(), job.redelivered) == ("one", (4,), 8, True)  # type: ignore[attr-defined]
    assert not (own_state / "mine").exists()
    with pytest.raises(UserError, match="no session 'mine' on this machine"):
        lightwork.recover_jobs("mine")


def test_programs_and_their_exit_codes_are_recovered(own_state: Path) -> None:
    first = lightwork.JobCluster("true", recover="mine", slots=1)
    first.submit()
    first.options(computation="sh").submit("-c", "echo out; exit 3")
    wait_until(lambda: first._session.core.ended == 2, "they have ended")
    first._leave()
    with lightwork.attach("mine") as cluster:
        fine, failed = cluster.recovered
        assert (fine.args, fine()) == ((), 0)
        assert (failed.args, failed(), failed.stdout) == (("-c", "echo out; exit 3"), 3, "out\n")


def test_a_state_that_cannot_be_used_is_told(own_state: Path) -> None:
    directory = own_state / "mine"
    directory.mkdir(parents=True)
    os.chmod(own_state.parent, 0o700)
    (directory / "journal").write_text("no directory")
    with pytest.raises(StartFailed, match=r"'mine' could not be started: it gave up.\n.*journal"):
        lightwork.JobCluster(double, recover="mine")


def test_names_that_are_none(own_state: Path) -> None:
    for name in ("", "a/b", "../x", "x" * 65, 7):
        with pytest.raises(UserError):
            lightwork.JobCluster(double, recover=name)  # type: ignore[arg-type]
    assert not own_state.exists()


def test_other_options_than_those_of_the_running_scheduler_are_told(
    own_state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lightwork.JobCluster(double, recover="mine", slots=1)._leave()
    capfd.readouterr()
    with lightwork.JobCluster(double, recover="mine", slots=3) as cluster:
        assert cluster.submit(4).get(LIMIT_S) == 8
    assert "the scheduler of 'mine' runs already, with slots=1; what is said now counts" in capfd.readouterr().err


def test_a_constructor_that_fails_leaves_no_session(own_state: Path) -> None:
    import threading

    with pytest.raises(lightwork.CannotTravel):
        lightwork.JobCluster(double, recover="mine", slots=1, setup=double, setup_args=(threading.Lock(),))
    with lightwork.JobCluster(double, recover="mine", slots=1) as cluster:
        assert cluster._session.core.next == 0


def _place(state: Path) -> Any:
    from lightwork.config import places

    found = places.read(state / recovering.PLACE)
    assert found is not None
    return found


def test_the_script_of_the_docs(own_state: Path, tmp_path: Path) -> None:
    """Killed in the middle, and run again."""
    text = (Path(__file__).parents[2] / "docs" / "restart.md").read_text()
    script = tmp_path / "survey.py"
    script.write_text(text.split("```python\n")[1].split("```")[0])
    command = [sys.executable, "-u", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        seen = [first.stdout.readline() for _ in range(300)]
        first.kill()
    assert not any("again" in line for line in seen)
    second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (second.returncode, second.stderr) == (0, "")
    lines = second.stdout.splitlines()
    assert [line.removesuffix("again").rstrip() for line in lines] == [
        f"simulate {n} {sum(k * k for k in range(n)) % 1009}" for n in range(1000)
    ]
    assert all(line.endswith("again") for line in lines[:250])
    assert not (own_state / "survey").exists()
