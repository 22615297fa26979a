"""Faults that the client had, with real clusters."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lightwork
from lightwork import JobState
from lightwork.model.errors import UserError
from tests.e2e.helpers import wait_until

MANY = 300_000


def double(n: int) -> int:
    return 2 * n


def until_there(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.02)
    return path


def closure_over(size: int) -> Callable[[int], tuple[int, int]]:
    content = os.urandom(size)

    def measure(n: int) -> tuple[int, int]:
        return n, len(content)

    return measure


def test_what_cannot_be_sent_spoils_nothing(hosted: str) -> None:
    with lightwork.JobCluster(double, slots=2) as cluster:
        before = cluster.submit(1)
        for given in ({"env": {"X": "caf\udce9"}}, {"stdin": bytes(5 << 20)}):
            with pytest.raises(UserError):
                cluster.options(**given)
        assert (before.get(30), cluster.submit(2).get(30)) == (2, 4)


def test_functions_of_many_megabytes_travel(way: str) -> None:
    with lightwork.JobCluster(closure_over(9 << 20), slots=2) as cluster:
        jobs = [cluster.submit(n) for n in range(4)]
        other = cluster.options(computation=closure_over(1 << 20)).submit(7)
        small = cluster.options(computation=double).submit(8)
        assert [job.get(30) for job in jobs] == [(n, 9 << 20) for n in range(4)]
        assert (other.get(30), small.get(30)) == ((7, 1 << 20), 16)


class Local:
    """An argument that makes the computation bring more, beside its large payload."""

    def __init__(self, n: int) -> None:
        self.n = n


def test_a_large_function_is_widened_by_its_arguments(hosted: str) -> None:
    content = os.urandom(1 << 20)

    def look(thing: Local) -> tuple[int, int]:
        return thing.n, len(content)

    with lightwork.JobCluster(look, slots=1) as cluster:
        assert cluster.submit(Local(5)).get(30) == (5, 1 << 20)


@pytest.mark.slow
def test_three_hundred_thousand_queued_jobs_are_cancelled_at_once(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(until_there, slots=1) as cluster:
        long = cluster.submit(str(tmp_path / "go"))
        wait_until(lambda: long.status is JobState.RUNNING, "the long job runs")
        jobs = [cluster.submit("x") for _ in range(MANY)]
        assert cluster.cancel(jobs)
        wait_until(lambda: all(job.status is JobState.CANCELLED for job in jobs), "all are cancelled", 60)
        (tmp_path / "go").touch()
        assert long.get(30) == str(tmp_path / "go")


def test_the_death_of_the_scheduler_ends_all_before_wait_returns(hosted: str) -> None:
    told: list[int] = []
    lock = threading.Lock()

    def callback(job: lightwork.Job) -> None:
        with lock:
            told.append(job.number)

    cluster = lightwork.JobCluster(time.sleep, slots=1, callback=callback)
    jobs = [cluster.submit(60) for _ in range(5000)]
    wait_until(lambda: jobs[0].status is JobState.RUNNING, "the first job runs")
    os.kill(cluster.status().pids["host"], 9)
    assert cluster.wait(30)
    assert all(job.status is JobState.LOST for job in jobs)
    assert sorted(told) == list(range(5000))
    cluster.close()
