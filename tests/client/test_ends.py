"""How it all ends: the scheduler's death, the program's exit, crashes, forks, Ctrl-C."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from lightwork.model.errors import JobLost, SchedulerGone
from lightwork.model.states import JobState
from lightwork.wire.messages import Goodbye

ROOT = pathlib.Path(__file__).parents[2]


def double(n):
    return 2 * n


def program(name, timeout=30):
    return subprocess.run(
        [sys.executable, "-m", "tests.client.programs", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_scheduler_s_death_ends_every_open_job(make):
    ended: list[Any] = []
    cluster, fake = make(double, hold=True, callback=ended.append)
    jobs = [cluster.submit(n) for n in range(5)]
    fake.wait_jobs(5)
    fake.end(0)
    began = time.monotonic()
    fake.die()
    assert jobs[1]() is None
    assert time.monotonic() - began < 5
    assert [job.status for job in jobs] == [JobState.FINISHED] + [JobState.LOST] * 4
    with pytest.raises(JobLost, match="killed by SIGKILL") as caught:
        jobs[2].get()
    assert "its last words" in str(caught.value)
    assert "killed by SIGKILL" in jobs[3].exception
    assert cluster.wait(5)
    assert ended == jobs
    with pytest.raises(SchedulerGone, match="SIGKILL"):
        cluster.submit(1)
    assert cluster.close()
    assert cluster._server.ended == [False]


def test_a_death_that_nobody_waits_for_is_noticed(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    time.sleep(0.1)
    fake.die()
    assert job.finish.wait(5)
    assert job.status == JobState.LOST


def test_a_death_ends_every_kind_of_wait(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    over = []
    calls = [job, cluster.wait, lambda: list(cluster.as_completed([job])), cluster.close]
    threads = [threading.Thread(target=lambda call=call: over.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    fake.die()
    for thread in threads:
        thread.join(10)
    assert len(over) == 4


def test_a_scheduler_that_leaves_by_itself_is_gone_as_well(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.send(Goodbye("told to stop"))
    assert job() is None
    assert "told to stop" in job.exception


def test_jobs_submitted_at_the_moment_of_death_end_too(make):
    for _ in range(10):
        cluster, fake = make(double, hold=True)
        jobs = []

        def submit():
            try:
                for n in range(100_000):
                    jobs.append(cluster.submit(n))
            except SchedulerGone:
                pass

        thread = threading.Thread(target=submit)
        thread.start()
        while len(jobs) < 50:
            time.sleep(0.001)
        fake.die()
        thread.join(10)
        assert not thread.is_alive()
        assert all(job.finish.wait(15) for job in jobs)
        assert {job.status for job in jobs} == {JobState.LOST}


def test_the_closing_line_tells_of_lost_jobs(make, capfd):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.die()
    job()
    cluster.close()
    assert "1 of 1 job failed; first: job 0: " in capfd.readouterr().err


def test_a_normal_exit_without_close_waits():
    done = program("no_close")
    assert (done.returncode, done.stdout) == (0, "main is over\nended 42\n"), done.stderr


def test_sys_exit_is_a_normal_exit():
    done = program("leaves")
    assert (done.returncode, done.stdout) == (7, "FINISHED\n"), done.stderr


def test_an_uncaught_exception_cancels():
    done = program("uncaught")
    assert done.stdout == "CANCELLED\n"
    assert (done.returncode, "KeyError: 'mine'" in done.stderr) == (1, True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_in_a_block_cancels_and_goes_on():
    began = time.monotonic()
    done = program("interrupted")
    assert "KeyboardInterrupt" in done.stderr
    assert done.stdout == "interrupted\n"
    assert done.returncode in (-signal.SIGINT, 130)
    assert time.monotonic() - began < 8


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_at_the_exit_cancels():
    done = program("interrupted_at_exit")
    assert done.stdout == "CANCELLED\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_is_told_and_leaves_the_parent_alone():
    done = program("forks")
    assert done.stdout == "child 46 closed 0 0\n42\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_in_the_middle_of_everything():
    done = program("forks_while_busy")
    assert done.stdout == "0 " * 10, done.stderr


def test_several_clusters_in_one_program():
    done = program("many_clusters")
    assert (done.stdout, done.returncode) == ("12\n", 0), done.stderr
