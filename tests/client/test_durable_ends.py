"""How programs end whose session outlives them: Ctrl-C, exceptions, kill -9, fork; and what the next life finds."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lightwork.client.attaching import attach, recover_jobs
from lightwork.model.errors import UserError
from lightwork.model.states import JobState
from lightwork.wire.messages import Close, Detach
from tests.client.durable_programs import make
from tests.client.fake_durable import FakeDurable

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def fake(tmp_path: pathlib.Path) -> Iterator[FakeDurable]:
    with FakeDurable(tmp_path) as made:
        yield made


def start(name: str, fake: FakeDurable) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.client.durable_programs", name, fake.address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]


def program(name: str, fake: FakeDurable) -> tuple[int, str, str]:
    with start(name, fake) as running:
        out, err = running.communicate(timeout=60)
    return running.returncode, out, err


def test_ctrl_c_detaches_and_tells_how_to_go_on(fake: FakeDurable) -> None:
    fake.hold = True
    code, _, err = program("interrupted", fake)
    assert code in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in err
    assert "detached from session 'ours': 3 jobs not ended; run the program again, or lightwork.attach(\"ours\"" in err
    assert fake.told_of(Detach)
    assert not fake.told_of(Close)
    assert sorted(fake.now.entries) == [0, 1, 2]
    fake.finish()
    with make(fake.address) as cluster:
        assert [job() for job in cluster.recovered] == [0, 2, 4]


def test_ctrl_c_without_a_link_says_what_is_lost(fake: FakeDurable) -> None:
    fake.hold = True
    with start("interrupted_without_link", fake) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "go\n"
        fake.down()
        _, err = running.communicate("\n", timeout=60)
    assert "detached from session 'ours'" in err
    assert "warning: 1 job had not arrived at the scheduler" in err


def test_an_uncaught_exception_detaches(fake: FakeDurable) -> None:
    fake.hold = True
    code, out, err = program("uncaught", fake)
    assert (code, out) == (1, "ended 0 LOST\n")
    assert "KeyError: 'mine'" in err
    assert "detached from session 'ours': 1 job not ended" in err
    assert fake.told_of(Detach)


def test_a_normal_exit_waits_and_closes(fake: FakeDurable) -> None:
    assert program("no_close", fake) == (0, "main is over\nended 0 FINISHED\n", "")
    assert fake.closed


def test_ctrl_c_at_the_exit_detaches(fake: FakeDurable) -> None:
    fake.hold = True
    _, _, err = program("interrupted_at_exit", fake)
    assert "detached from session 'ours': 1 job not ended" in err
    assert not fake.closed


def test_a_killed_program_is_run_again(fake: FakeDurable) -> None:
    code, out, _ = program("killed", fake)
    assert (code, out) == (-signal.SIGKILL, "6\n")
    fake.wait(lambda: fake.link is None)
    with make(fake.address) as cluster:
        jobs = [cluster.options(key=f"k{n}").submit(n) for n in range(20)]
        assert [job() for job in jobs] == [2 * n for n in range(20)]
        assert all(job.redelivered for job in jobs)
    assert set(fake.runs.values()) == {1}
    assert len(fake.runs) == 20


def test_a_forked_child_leaves_the_session_alone(fake: FakeDurable) -> None:
    code, out, err = program("forks", fake)
    assert (code, out) == (0, "child 46 2\n"), err
    assert fake.closed


# --- attach, recover_jobs ---


def test_attach_takes_up_what_is_there(fake: FakeDurable) -> None:
    fake.hold = True
    program("interrupted", fake)
    cluster = attach("ours", scheduler=fake.address)
    assert [job.id for job in cluster.recovered] == [0, 1, 2]
    assert cluster.name == "ours"
    with pytest.raises(UserError, match="no computation"):
        cluster.submit(1)
    from tests.client.durable_programs import double

    job = cluster.options(computation=double, key="new").submit(4)
    fake.wait(lambda: fake.now.next == 4)
    fake.finish()
    assert (job(), cluster.recovered[1]()) == (8, 2)
    assert cluster.close()


def test_attach_names_what_is_there_instead(fake: FakeDurable) -> None:
    fake.hold = True
    program("interrupted", fake)
    with pytest.raises(UserError, match="no session 'other'") as caught:
        attach("other", scheduler=fake.address)
    assert caught.value.hint == "there are ours"
    with pytest.raises(UserError, match="no session 'x' on this machine"):
        attach("x")


def test_recover_jobs_brings_all_and_ends_the_session(fake: FakeDurable) -> None:
    program("killed", fake)
    jobs = recover_jobs("ours", scheduler=fake.address)
    assert [(job.id, job.args, job.key, job()) for job in jobs] == [  # type: ignore[attr-defined]
        (n, (n,), f"k{n}", 2 * n) for n in range(20)
    ]
    assert fake.closed


def test_recover_jobs_leaves_what_has_not_ended(fake: FakeDurable) -> None:
    fake.hold = True
    program("interrupted", fake)
    fake.finish(1)
    assert [job() for job in recover_jobs("ours", scheduler=fake.address, timeout=0.5)] == [2]
    assert not fake.closed
    assert sorted(fake.now.entries) == [0, 1, 2]
    jobs = recover_jobs("ours", scheduler=fake.address, terminate_pending=True)
    assert [job.status for job in jobs] == [JobState.CANCELLED, JobState.FINISHED, JobState.CANCELLED]
    assert [job.redelivered for job in jobs] == [False, True, False]
    assert fake.closed
