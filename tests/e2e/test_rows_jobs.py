"""What a job and a cluster tell their user (rows F-D, F-M, R15, R16 and R18 of the feature table)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork import JobState
from tests.e2e.helpers import LIMIT_S, nothing_left, wait_until

DOTS = "…"


def add(a: int, b: int = 1) -> int:
    return a + b


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def wait_for_file(path: str) -> str:
    while not os.path.exists(path):
        time.sleep(0.01)
    return "gone"


def divide(n: int) -> float:
    print("about to divide")
    print("a warning", file=sys.stderr)
    return 1 / n


def write_everywhere() -> None:
    print("from Python", DOTS, flush=True)
    os.write(1, b"from C \xff\n")
    subprocess.run(["sh", "-c", "echo from a child; echo trouble >&2"], check=True)


def test_job_returns_none_and_get_raises_with_the_source_line(way: str) -> None:
    with lightwork.JobCluster(divide, slots=1) as cluster:
        job: Any = cluster.submit(0)
        assert job() is None and job.result is None and job.status is JobState.FAILED
        assert job.exception == job.execution_trace
        assert "ZeroDivisionError" in job.exception and "return 1 / n" in job.exception
        assert "test_rows_jobs.py" in job.exception
        with pytest.raises(ZeroDivisionError) as caught:
            job.get()
        assert isinstance(caught.value.__cause__, lightwork.RemoteTraceback)
        assert "return 1 / n" in str(caught.value.__cause__)
        assert (job.stdout, job.stderr) == ("about to divide\n", "a warning\n")
        good = cluster.submit(4)
        assert good() == good.result == good.get() == 0.25
        assert good.exception is None
        assert (good.stdout, good.stderr) == ("about to divide\n", "a warning\n")


def test_output_of_every_level_is_text_and_bytes(way: str) -> None:
    with lightwork.JobCluster(write_everywhere, slots=1) as cluster:
        job = cluster.submit()
        job.get(LIMIT_S)
        assert job.stdout == f"from Python {DOTS}\nfrom C \\xff\nfrom a child\n"
        assert job.stdout_bytes == f"from Python {DOTS}\n".encode() + b"from C \xff\nfrom a child\n"
        assert job.stderr == "trouble\n" and job.stderr_bytes == b"trouble\n"
        program = cluster.options(computation="/bin/echo").submit("to", "you")
        assert program.get(LIMIT_S) == 0
        assert (program.stdout, program.stdout_bytes) == ("to you\n", b"to you\n")


def test_identity_is_the_user_s_to_choose(hosted: str) -> None:
    with lightwork.JobCluster(add, slots=1) as cluster:
        jobs = [cluster.submit(1), cluster.submit_job_id("two", 2, b=2), cluster.options(id=(3,)).submit(3)]
        assert [job.id for job in jobs] == [0, "two", (3,)]
        jobs[0].id = {"any": "thing"}
        assert [job.get(LIMIT_S) for job in jobs] == [2, 4, 4]
        assert jobs[0].id == {"any": "thing"}
        assert len({job.uid for job in jobs}) == 3


def test_times_states_and_place(hosted: str) -> None:
    before = time.time()
    with lightwork.JobCluster(nap, slots=1) as cluster:
        first: Any = cluster.submit(2.0)
        second: Any = cluster.submit(0.01)
        assert second.status is JobState.QUEUED and second.start_time is None and not second.finish.is_set()
        wait_until(lambda: first.status is JobState.RUNNING, "the first job runs")
        assert second.status is JobState.QUEUED and first.result is None and first.stdout == ""
        assert isinstance(first.finish, threading.Event)
        assert first.finish.wait(LIMIT_S) and second.finish.wait(LIMIT_S)
        assert (first.status, first.attempts) == (JobState.FINISHED, 1)
        for job, seconds in ((first, 2.0), (second, 0.01)):
            assert before - 1 < job.submit_time <= job.start_time < job.end_time < time.time() + 1
            assert seconds <= job.end_time - job.start_time < seconds + LIMIT_S
        assert second.start_time >= first.end_time - 0.05, "one slot: one after the other"
        assert first.node == cluster.status().nodes[0].name
        assert first.host == first.ip_addr == "127.0.0.1"


def test_a_timeout_of_get_leaves_the_job_alone(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(wait_for_file, slots=1) as cluster:
        job = cluster.submit(str(tmp_path / "go"))
        with pytest.raises(lightwork.NotReady):
            job.get(0.05)
        (tmp_path / "go").touch()
        assert job.get(LIMIT_S) == "gone"


def test_clear_resets_the_event(hosted: str) -> None:
    with lightwork.JobCluster(add, slots=1) as cluster:
        job = cluster.submit(1)
        assert job.finish.wait(LIMIT_S)
        assert job(clear=True) == 2
        assert not job.finish.is_set()


def test_submit_raises_or_gives_a_job(hosted: str) -> None:
    with lightwork.JobCluster(add, slots=1) as cluster:
        with pytest.raises(lightwork.CannotTravel, match="lock"):
            cluster.submit(threading.Lock())
        assert cluster.submit(1).get(LIMIT_S) == 2
    with pytest.raises(lightwork.ClusterClosed):
        cluster.submit(1)


def test_files_and_names_of_one_job_are_gone_with_it(hosted: str, tmp_path: Path) -> None:
    (tmp_path / "only.txt").write_text("for one job")

    def look() -> tuple[bool, str, str]:
        found = os.path.exists("only.txt")
        return found, open("only.txt").read() if found else "", os.getcwd()

    with lightwork.JobCluster(look, slots=1) as cluster:
        found, text, directory = cluster.options(depends=[str(tmp_path / "only.txt")]).submit().get(LIMIT_S)
        assert (found, text) == (True, "for one job")
        assert cluster.submit().get(LIMIT_S)[0] is False
        wait_until(lambda: not os.path.exists(directory), "the job's directory is removed")


def test_wait_and_close_with_a_timeout(hosted: str) -> None:
    with lightwork.JobCluster(nap, slots=1) as cluster:
        job = cluster.submit(2.0)
        assert cluster.wait(0.05) is False and cluster.close(timeout=0.05) is False
        assert cluster.status().jobs_pending == 1
        assert cluster() is True, "cluster() is wait()"
        assert job.status is JobState.FINISHED and cluster.status().jobs_pending == 0
        assert cluster.submit(0.0).get(LIMIT_S) == 0.0, "a close that timed out leaves it open"


def test_close_can_terminate(hosted: str) -> None:
    cluster = lightwork.JobCluster(nap, slots=1)
    running, queued = cluster.submit(600), cluster.submit(600)
    wait_until(lambda: running.status is JobState.RUNNING, "the first runs")
    began = time.monotonic()
    assert cluster.close(terminate=True) is True
    assert time.monotonic() - began < LIMIT_S
    assert [running.status, queued.status] == [JobState.CANCELLED] * 2
    cluster.shutdown()  # once more does no harm


def test_status_and_stats_count(hosted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with lightwork.JobCluster(nap, slots=2) as cluster:
        jobs = [cluster.submit(0.05) for _ in range(8)]
        assert cluster.wait(LIMIT_S) and all(job.status is JobState.FINISHED for job in jobs)
        (node,) = cluster.status().nodes
        assert (node.slots, node.jobs_done, node.busy) == (2, 8, 0)
        assert 0.4 <= node.job_time_ns / 1e9 < 8 * LIMIT_S
        cluster.print_status(wall_time=2.0)
        cluster.stats()
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:3] == ["Node", "Slots", "Jobs"] and table[1].split()[1:3] == ["2", "8"]
    assert "wall time: 2" in table[2] and f"speed-up: {node.job_time_ns / 2e9:.2f}" in table[2]
    assert cluster.name == "nap"


def test_a_cluster_may_have_a_name(hosted: str) -> None:
    with lightwork.JobCluster(add, name="tuesday", slots=1) as cluster:
        assert cluster.name == "tuesday"


PROGRAM = """
import lightwork, sys, time
def work(n):
    import time
    time.sleep(0.2)
    print("ran", n)
    open(f"{sys.argv[1]}/{n}", "w").close()
if __name__ == "__main__":
    directory = sys.argv[1]
    def note(n, directory=directory):
        open(f"{directory}/{n}", "w").close()
    cluster = lightwork.JobCluster(note, slots=1)
    jobs = [cluster.submit(n) for n in range(5)]
    {end}
"""


def run_program(tmp_path: Path, end: str) -> subprocess.CompletedProcess[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("{end}", end))
    ast.parse(program.read_text())
    (tmp_path / "cwd").mkdir()
    (tmp_path / "done").mkdir()
    command = [sys.executable, str(program), str(tmp_path / "done")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path / "cwd")


def test_the_end_of_the_program_waits_for_its_jobs_and_leaves_nothing_about(tmp_path: Path) -> None:
    with nothing_left({}):
        ended = run_program(tmp_path, "pass")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["0", "1", "2", "3", "4"]
    assert list((tmp_path / "cwd").iterdir()) == []


def test_a_crash_leaves_nothing_about(tmp_path: Path) -> None:
    with nothing_left({}):
        ended = run_program(tmp_path, "import os; jobs[0](); os.kill(os.getpid(), 9)")
    assert ended.returncode == -9
    assert list((tmp_path / "cwd").iterdir()) == []


def test_the_block_swallows_no_exception(hosted: str) -> None:
    with pytest.raises(KeyError, match="mine"), lightwork.JobCluster(nap, slots=1) as cluster:
        job: Any = cluster.submit(600)
        raise KeyError("mine")
    assert job.status is JobState.CANCELLED
