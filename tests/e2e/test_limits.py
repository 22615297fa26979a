"""Whatever is asked for at once, no message grows over the limits of the wire, and nobody in the middle without end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork import JobState
from tests.e2e.conftest import WAYS
from tests.e2e.helpers import LIMIT_S, nothing_left, said, wait_until


def nothing(*args: Any) -> None:
    return None


def slow_and_failing() -> None:
    time.sleep(1.5)
    raise ValueError("x" * 2000)


@pytest.mark.parametrize("name", ["hosted", "apart"])
def test_many_jobs_end_alike(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A setup that fails ends 60,000 waiting jobs at once: 120 MB of outcomes."""
    with nothing_left(WAYS[name]), lightwork.JobCluster(nothing, setup=slow_and_failing, slots=1) as cluster:
        jobs = [cluster.submit(n) for n in range(60_000)]
        assert cluster.wait(6 * LIMIT_S)
        assert {job.status for job in jobs} == {JobState.FAILED}
        assert "ValueError" in str(jobs[-1].exception)


@pytest.mark.parametrize("name", ["hosted", "apart"])
def test_many_jobs_with_much_in_hand(name: str) -> None:
    """Short jobs with arguments just too small for shared memory: 200 MB go out, never in one piece."""
    with nothing_left(WAYS[name]), lightwork.JobCluster(nothing, slots=2) as cluster:
        jobs = [cluster.submit(b"x" * 200_000) for _ in range(1_000)]
        assert cluster.wait(6 * LIMIT_S)
        assert {job.status for job in jobs} == {JobState.FINISHED}


def test_a_scheduler_that_is_told_to_end_ends_its_jobs(hosted: str) -> None:
    """TERM to the hosted process: it ends in order, and open jobs are LOST with a reason."""
    with pytest.raises(lightwork.LightworkError), lightwork.JobCluster(time.sleep, slots=1) as cluster:
        job = cluster.submit(600)
        wait_until(lambda: "agent" in cluster.status().pids, "the agent's process is known")
        import os
        import signal

        os.kill(cluster.status().pids["agent"], signal.SIGTERM)
        wait_until(job.finish.is_set, "the job ends with its scheduler")
        assert job.status is JobState.LOST
        job.get()


STOPS_BY_ITSELF = """
import sys, threading, time

def meddle():
    while "lightwork.local.host" not in sys.modules or not hasattr(sys.modules["lightwork.local.host"], "Agent"):
        time.sleep(0.01)
    agent = sys.modules["lightwork.local.host"].Agent
    tasks = sys.modules["lightwork.kit.tasks"]
    agent._heartbeat = lambda self: tasks.spawn(self.stop(), "planted")

if "lightwork.local" in sys.orig_argv:
    threading.Thread(target=meddle, daemon=True).start()
"""


def test_an_agent_that_stops_by_itself_leaves_no_job_waiting(tmp_path: Path) -> None:
    """The hosted process ends with it, and says so: nobody waits for a node that will not come."""
    (tmp_path / "sitecustomize.py").write_text(STOPS_BY_ITSELF)
    with nothing_left({"PYTHONPATH": str(tmp_path)}), lightwork.JobCluster(time.sleep, slots=1) as cluster:
        job = cluster.submit(600)
        wait_until(job.finish.is_set, "the job ends with its agent")
        assert job.status is JobState.LOST
        assert "the node agent has stopped by itself" in said(job)
