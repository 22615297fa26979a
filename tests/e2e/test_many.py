"""Many jobs: all right, none lost, none falsely failed; callbacks once each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

import lightwork
from lightwork import Job, JobState
from tests.e2e.helpers import LIMIT_S

MANY = 100_000


def increment(n: int) -> int:
    return n + 1


def maybe(n: int) -> int:
    if n % 1000 == 7:
        raise ValueError(n)
    return n


def _hundred_thousand() -> None:
    with lightwork.JobCluster(increment) as cluster:
        jobs = [cluster.submit(n) for n in range(MANY)]
        for n, job in enumerate(jobs):
            assert job() == n + 1
            assert job.status is JobState.FINISHED
            assert job.attempts == 1


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(2))
def test_a_hundred_thousand_jobs_one_by_one(hosted: str, turn: int) -> None:
    _hundred_thousand()


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(20))
def test_a_hundred_thousand_jobs_many_times(hosted: str, turn: int) -> None:
    _hundred_thousand()


def test_ten_thousand_callbacks(way: str) -> None:
    calls: Counter[int] = Counter()
    more: list[Job] = []
    threads = set()
    submitted = threading.Event()

    def callback(job: Job) -> None:
        threads.add(threading.current_thread().name)
        calls[job.id] += 1
        if job.id == 100:
            raise RuntimeError("a callback's own fault")
        if job.id % 1000 == 5 and job.id < 10_000:
            more.append(cluster.submit(job.id))
        if job.id == 200:
            assert submitted.wait(LIMIT_S)
            cluster.cancel(jobs[9_999])

    with lightwork.JobCluster(increment, callback=callback) as cluster:
        jobs = [cluster.submit(n) for n in range(9_999)]
        jobs.append(cluster.options(computation=time.sleep).submit(600))
        submitted.set()
        with pytest.raises(RuntimeError, match="own fault"):
            cluster.wait(10 * LIMIT_S)
        assert cluster.wait(10 * LIMIT_S)
        assert len(calls) == 10_000 + len(more) == 10_010
        assert set(calls.values()) == {1}
        assert len(threads) == 1
        assert [job.status for job in jobs] == [JobState.FINISHED] * 9_999 + [JobState.CANCELLED]
        assert sorted(job.get() for job in more) == [1000 * k + 6 for k in range(10)]


def test_failures_among_many(way: str, capfd: pytest.CaptureFixture[str]) -> None:
    with lightwork.JobCluster(maybe) as cluster:
        jobs = [cluster.submit(n) for n in range(5_000)]
        values: list[Any] = [job() for job in jobs]
    assert [n for n, value in enumerate(values) if value is None] == [7, 1007, 2007, 3007, 4007]
    assert "5 of 5,000 jobs failed; first: job 7" in capfd.readouterr().err


def test_map_and_as_completed(way: str) -> None:
    with lightwork.JobCluster(increment) as cluster:
        assert list(cluster.map(range(20_000))) == list(range(1, 20_001))
        assert sorted(cluster.map(range(100), ordered=False, chunksize=1)) == list(range(1, 101))
        ended = cluster.as_completed((cluster.submit(n) for n in range(3_000)), limit=50)
        assert sorted(job() for job in ended) == list(range(1, 3_001))


def test_map_names_the_failing_item(way: str) -> None:
    with lightwork.JobCluster(maybe) as cluster, pytest.raises(ValueError, match="7") as caught:
        list(cluster.map(range(100), chunksize=20))
    assert "item 7" in "".join(getattr(caught.value, "__notes__", [])) + str(caught.value.__cause__)
