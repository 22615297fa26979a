"""`retries=`: jobs that fail are tried again, their history tells of it, and jobs that are poison say what they did."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import lightwork
from lightwork import JobState
from tests.e2e.helpers import LIMIT_S, said, wait_until


def count(directory: str, name: str) -> int:
    """How often this was called with this name."""
    path = Path(directory, name)
    with open(path, "a") as file:
        file.write("x")
    return path.stat().st_size


def flaky(directory: str, name: str, works_at: int) -> int:
    times = count(directory, name)
    print(f"try {times}")
    if times < works_at:
        raise ValueError(f"not yet, {times}")
    return times


def too_slow_once(directory: str) -> int:
    times = count(directory, "slow")
    if times == 1:
        time.sleep(600)
    return times


def deadly(directory: str, deaths: int) -> int:
    times = count(directory, "deadly")
    if times <= deaths:
        print("about to die", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    return times


def test_a_failure_is_not_the_end(way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lightwork.JobCluster(flaky, slots=2, retries=2) as cluster:
        began = time.monotonic()
        jobs = [cluster.submit(str(tmp_path), f"j{works_at}", works_at) for works_at in (1, 2, 3, 4)]
        wait_until(
            lambda: any("before its" in reason for reason in cluster.status().waiting), "it says for what it waits"
        )
        assert [job() for job in jobs[:3]] == [1, 2, 3]
        assert jobs[3]() is None
        assert time.monotonic() - began > 1.0  # 0.5 s and 1 s, less a quarter
        with pytest.raises(ValueError, match="not yet, 3"):
            jobs[3].get()
        assert [job.attempts for job in jobs] == [1, 2, 3, 3]
        assert [[attempt.how for attempt in job.history] for job in jobs] == [
            ["returned"],
            ["raised", "returned"],
            ["raised", "raised", "returned"],
            ["raised", "raised", "raised"],
        ]
        last = jobs[3].history
        assert [attempt.text for attempt in last] == [f"ValueError: not yet, {n}" for n in (1, 2, 3)]
        assert all(attempt.node == jobs[3].node and attempt.start and attempt.duration < LIMIT_S for attempt in last)
        assert [a.start for a in last] == sorted(a.start or 0 for a in last)
        assert jobs[2].stdout == "try 3\n"
        status = cluster.status()
        assert (status.retried, status.twins_started) == (5, 0)
        cluster.stats()
        assert "tried again: 5 times" in capsys.readouterr().out


def test_whatever_the_attempt_itself_reports_is_tried_again(hosted: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/runs\ntest $(wc -l < {tmp_path}/runs) -ge 3\n")
    program.chmod(0o755)
    with lightwork.JobCluster(str(program), slots=1, retries=5, reentrant=False) as cluster:
        job = cluster.submit()
        assert job.get(LIMIT_S) == 0
        assert [attempt.how for attempt in job.history] == ["exited", "exited", "returned"]
        slow = cluster.options(computation=too_slow_once, timeout=0.3, retries=1).submit(str(tmp_path))
        assert slow.get(LIMIT_S) == 2
        assert [attempt.how for attempt in slow.history] == ["timed out", "returned"]
        none = cluster.options(computation=flaky, retries=0).submit(str(tmp_path), "none", 2)
        assert none() is None
        assert (none.attempts, none.status) == (1, JobState.FAILED)


def test_a_job_that_waits_to_be_tried_again_can_be_cancelled_and_others_pass_it(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(flaky, slots=1, retries=10) as cluster:
        job = cluster.submit(str(tmp_path), "never", 100)
        wait_until(lambda: cluster.status().retried >= 3, "it was tried a few times")  # the next wait is of 4 s
        wait_until(lambda: cluster.status().queued == 1, "it waits")
        assert [cluster.submit(str(tmp_path), f"n{n}", 1).get(LIMIT_S) for n in range(20)] == [1] * 20
        assert not job.finish.is_set()
        began = time.monotonic()
        assert cluster.cancel(job)
        job()
        assert time.monotonic() - began < 3
        assert job.status is JobState.CANCELLED
        assert len(job.history) == job.attempts >= 3


def test_poison_with_evidence(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(deadly, slots=1) as cluster:
        job = cluster.submit(str(tmp_path), 2)
        assert job.get(LIMIT_S) == 3
        assert [attempt.how for attempt in job.history] == ["died", "died", "returned"]
        assert "SIGSEGV" in job.history[0].text
        poison = cluster.submit(str(tmp_path), 100)
        assert poison() is None
        assert poison.status is JobState.POISONED
        told = said(poison)
        for word in ("3 workers", f"nodes tried: {poison.node}", "SIGSEGV", "peak memory", "about to die"):
            assert word in told, told
        assert [attempt.how for attempt in poison.history] == ["died"] * 3
        once = cluster.options(computation=deadly).submit(str(tmp_path), 0)
        assert once.get(LIMIT_S) > 3


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "2", 10_000])
def test_what_is_no_number_of_retries_is_refused(hosted: str, wrong: object) -> None:
    with pytest.raises(lightwork.UserError, match="retries"):
        lightwork.JobCluster(flaky, retries=wrong)  # type: ignore[arg-type]
