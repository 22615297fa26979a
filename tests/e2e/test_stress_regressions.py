"""Faults that stress has found: each hung a job, or ran one twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import lightwork
from lightwork import JobState
from lightwork.config.paths import user_tag
from tests.e2e.helpers import LIMIT_S, PROMISED_S, alive, marked, wait_until


def leave_a_child(path: str, number: int) -> int:
    """Leaves a process that holds our streams; notes each start."""
    with open(path, "a") as file:
        file.write(f"{number}\n")
    if number % 10 == 0:
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    return number


def die_with_a_child(path: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(path).write_text(str(child.pid))
    os._exit(3)


def nap(path: str, seconds: float) -> float:
    if seconds > 1:
        Path(path).write_text("started")
    time.sleep(seconds)
    return seconds


def fork_in_setup() -> None:
    os.fork()


class Killing:
    """Ends any process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (7,)

    def __call__(self) -> None:
        """Never reached."""


def same(number: int) -> int:
    return number


def test_a_job_that_leaves_children_runs_once(way: str, tmp_path: Path) -> None:
    """A retiring worker's results still on their way are no reason to start their jobs again."""
    path = tmp_path / "starts"
    with lightwork.JobCluster(leave_a_child, slots=2, reentrant=False) as cluster:
        jobs = [cluster.submit(str(path), number) for number in range(40)]
        assert [job.get(LIMIT_S) for job in jobs] == list(range(40))
    assert sorted(map(int, path.read_text().split())) == list(range(40))


def test_a_child_that_outlives_its_dead_worker_holds_nobody_up(way: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with lightwork.JobCluster(die_with_a_child, slots=1, reentrant=False) as cluster:
        job = cluster.submit(str(path))
        wait_until(job.finish.is_set, "the job that died ends", LIMIT_S)
        assert job.status is JobState.POISONED
        wait_until(lambda: not alive(int(path.read_text())), "its child is gone", LIMIT_S)


def test_cancelled_as_soon_as_it_starts(way: str, tmp_path: Path) -> None:
    """The interrupt is not lost when the records of those before it have not been read yet."""
    path = tmp_path / "started"
    with lightwork.JobCluster(nap, slots=1) as cluster:
        for job in [cluster.submit(str(path), 0) for _ in range(200)]:
            job.get(LIMIT_S)
        for count in range(20):
            path.unlink(missing_ok=True)
            before = [cluster.submit(str(path), 0) for _ in range(count)]
            job = cluster.submit(str(path), 600)
            wait_until(path.exists, "it has started")
            job.cancel()
            wait_until(job.finish.is_set, f"cancelled behind {count} others, it ends", PROMISED_S)
            assert job.status is JobState.CANCELLED
            assert [one.get(LIMIT_S) for one in before] == [0] * count


def test_a_computation_that_kills_its_fresh_process_fails(way: str) -> None:
    with lightwork.JobCluster(Killing(), slots=1, isolation="process") as cluster:
        jobs = [cluster.submit() for _ in range(3)]
        for job in jobs:
            wait_until(job.finish.is_set, "it ends", LIMIT_S)
            assert job.status is JobState.FAILED
            assert "load" in (job.exception or "")


def test_a_setup_that_forks_makes_no_second_template(way: str) -> None:
    began = time.monotonic()
    with lightwork.JobCluster(same, slots=2, setup=fork_in_setup) as cluster:
        jobs = [cluster.submit(number) for number in range(100)]
        assert [job.get(LIMIT_S) for job in jobs] == list(range(100))
    assert time.monotonic() - began < LIMIT_S


def test_a_killed_scheduler_leaves_no_directory(way: str) -> None:
    """Neither where sockets lie nor where nodes have their files."""
    with lightwork.JobCluster(time.sleep, slots=1) as cluster:
        job = cluster.submit(600)
        wait_until(lambda: job.status is JobState.RUNNING, "it runs")
        session = job.uid.partition("/")[0]
        os.kill(cluster.status().pids["host"], signal.SIGKILL)
        wait_until(job.finish.is_set, "it is lost", LIMIT_S)
        wait_until(lambda: len(marked(os.environ["LIGHTWORK_TEST_MARK"])) == 0, "what was below is gone", LIMIT_S)
    assert not Path(f"/var/tmp/lightwork-{user_tag()}", session).exists()
