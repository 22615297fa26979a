"""`kill -9` of each kind of process: every job ends as promised, and nothing of the dead part is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

import lightwork
from lightwork import JobState
from tests.e2e.conftest import WAYS
from tests.e2e.helpers import LIMIT_S, PROMISED_S, alive, marked, nothing_left, said, wait_until


def note_and_sleep(directory: str, name: str, seconds: float) -> str:
    """Leaves a file for each start, and a child process that would outlive it."""
    import subprocess
    import tempfile

    with tempfile.NamedTemporaryFile(dir=directory, prefix=f"{name}-", delete=False):
        pass
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    time.sleep(seconds)
    child.kill()
    child.wait()
    return name


def starts(directory: Path, name: str) -> int:
    return len(list(directory.glob(f"{name}-*")))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def worker_of(cluster: lightwork.JobCluster) -> list[int]:
    wait_until(lambda: any(node.workers for node in cluster.status().nodes), "the heartbeat names workers")
    return [pid for node in cluster.status().nodes for pid in node.workers]


@pytest.mark.parametrize("victim", ["worker", "keeper", "agent"])
@pytest.mark.parametrize("reentrant", [None, False])
def test_a_part_below_the_scheduler(victim: str, reentrant: bool | None, tmp_path: Path) -> None:
    with nothing_left(WAYS["apart"]), lightwork.JobCluster(note_and_sleep, slots=2, reentrant=reentrant) as cluster:
        jobs = [cluster.submit(str(tmp_path), f"j{n}", 6 if n < 2 else 0.01) for n in range(20)]
        wait_until(lambda: starts(tmp_path, "j0") and starts(tmp_path, "j1"), "both first jobs have started")
        workers = worker_of(cluster)
        pids = cluster.status().pids
        assert pids["agent"] != pids["host"]
        began = time.monotonic()
        kill({"worker": workers[0], "keeper": pids["keeper"], "agent": pids["agent"]}[victim])
        if victim != "worker":
            wait_until(lambda: not any(map(alive, workers)), "workers die with what was above them")
            assert time.monotonic() - began < LIMIT_S
        for job in jobs:
            wait_until(job.finish.is_set, f"{job} ends", 2 * LIMIT_S)
        hit = [job for job in jobs[:2] if job.status is not JobState.FINISHED]
        if reentrant is None:
            assert not hit, [(job, job.exception) for job in hit]
            assert sum(starts(tmp_path, f"j{n}") for n in range(2)) == (3 if victim == "worker" else 4)
        else:
            ends = {"worker": JobState.POISONED}.get(victim, JobState.LOST)
            assert [job.status for job in hit] == [ends] * (1 if victim == "worker" else 2), [j.exception for j in hit]
            assert all("reentrant=False" in said(job) for job in hit if ends is JobState.LOST)
            assert all(starts(tmp_path, f"j{n}") == 1 for n in range(20)), "a reentrant=False job started twice"
        assert [job.get(LIMIT_S) for job in jobs[2:]] == [f"j{n}" for n in range(2, 20)]


@pytest.mark.parametrize("name", ["hosted", "apart"])
def test_the_scheduler(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with nothing_left(WAYS[name]) as mark:
        cluster = lightwork.JobCluster(note_and_sleep, slots=2)
        jobs = [cluster.submit(str(tmp_path), f"j{n}", 600 if n < 2 else 0) for n in range(10)]
        wait_until(lambda: starts(tmp_path, "j0") and starts(tmp_path, "j1"), "both first jobs have started")
        kill(cluster.status().pids["host"])
        for job in jobs:
            wait_until(job.finish.is_set, f"{job} ends", LIMIT_S)
            assert job.status is JobState.LOST
            assert "scheduler" in said(job)
            with pytest.raises(lightwork.JobLost):
                job.get()
        with pytest.raises(lightwork.LightworkError):
            cluster.submit(str(tmp_path), "late", 0)
        wait_until(lambda: not marked(mark), "what was below the scheduler is gone")
        cluster.close()


@pytest.mark.parametrize("name", list(WAYS))
def test_the_client(name: str, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(
        textwrap.dedent("""
            import sys, time
            import lightwork

            def note_and_sleep(directory, n):
                import subprocess, time
                subprocess.Popen(["sleep", "600"], start_new_session=True)
                open(f"{directory}/started-{n}", "w").close()
                time.sleep(600)

            if __name__ == "__main__":
                cluster = lightwork.JobCluster(note_and_sleep, slots=2)
                jobs = [cluster.submit(sys.argv[1], n) for n in range(10)]
                cluster.wait()
        """)
    )
    with nothing_left(WAYS[name]) as mark:
        client = subprocess.Popen([sys.executable, str(program), str(tmp_path)])
        try:
            wait_until(lambda: len(list(tmp_path.glob("started-*"))) == 2, "both first jobs have started")
            assert len(marked(mark)) >= 4  # client, scheduler, and what runs below
        finally:
            client.kill()
            client.wait()
        wait_until(lambda: not marked(mark), "everything below a killed client is gone", 3 * PROMISED_S)


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(
        textwrap.dedent("""
            import sys, time
            import lightwork

            def forever(directory, n):
                import time
                open(f"{directory}/started-{n}", "w").close()
                try:
                    while True:
                        time.sleep(1)
                except KeyboardInterrupt:
                    open(f"{directory}/interrupted-{n}", "w").close()
                    raise

            if __name__ == "__main__":
                with lightwork.JobCluster(forever, slots=2) as cluster:
                    jobs = [cluster.submit(sys.argv[1], n) for n in range(10)]
                    cluster.wait()
        """)
    )
    with nothing_left({}):
        client = subprocess.Popen([sys.executable, str(program), str(tmp_path)], stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: len(list(tmp_path.glob("started-*"))) == 2, "both first jobs have started")
            client.send_signal(signal.SIGINT)
            _, errors = client.communicate(timeout=LIMIT_S)
        finally:
            client.kill()
            client.wait()
        assert client.returncode != 0
        assert "KeyboardInterrupt" in errors, errors


def test_busy_worker_is_not_blamed_for_a_stopped_parent(hosted: str) -> None:
    """A worker that the system killed (out of memory, say) costs its job one attempt, and no other job anything."""
    with lightwork.JobCluster(time.sleep, slots=1) as cluster:
        job = cluster.submit(5.0)
        wait_until(lambda: job.status is JobState.RUNNING, "the job runs")
        (pid,) = worker_of(cluster)
        psutil.Process(pid).kill()
        assert job.get(LIMIT_S) is None
        assert job.status is JobState.FINISHED
        assert job.attempts == 2
