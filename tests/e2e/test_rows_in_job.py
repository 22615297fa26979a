"""What a job can ask, tell and share while it runs, and what it may do about a cancel (rows F-I)."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing import sharedctypes
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork import Job, JobState
from tests.e2e.helpers import LIMIT_S, wait_until

table: dict[str, int] = {}
shared: Any = None
setups: list[int] = []


def steps(count: int) -> str:
    for n in range(count):
        lightwork.send_provisional({"step": n})
    return "the end"


def who() -> dict[str, Any]:
    job = lightwork.current_job()
    fields = "number uid attempt session node address directory computation".split()
    return {"cwd": os.getcwd(), **{name: getattr(job, name) for name in fields}}


def which(sleep_s: float = 0.0) -> tuple[int | None, int | None]:
    time.sleep(sleep_s)
    job = lightwork.current_job()
    return job.number, job.attempt


def also_which() -> tuple[int | None, int | None]:
    return which()


def best_so_far(directory: str, keep: bool) -> int:
    best = 0
    try:
        while True:
            best += 1
            if best == 3:
                Path(directory, "started").touch()
            time.sleep(0.01)
    except KeyboardInterrupt:
        if keep:
            return best
        raise


def load_table(size: int) -> str:
    global shared
    setups.append(os.getpid())
    table.update((f"row {n}", n) for n in range(size))
    shared = sharedctypes.Value("i", 0)
    return f"{size} rows"


def look_up(n: int) -> tuple[int, Any, int, list[int]]:
    with shared.get_lock():
        shared.value += 1
    return table[f"row {n}"], lightwork.node_value(), os.getpid(), setups


def shared_value() -> int:
    return int(shared.value)


def uses_module_names() -> list[str]:
    return [os.name, time.__name__, multiprocessing.__name__]


def talk() -> None:
    print("heard by the user")
    from lightwork.worker.context import node_log

    node_log("heard by the node alone")


def test_provisional_results_come_in_order_and_before_the_final_one(way: str) -> None:
    calls: list[tuple[JobState, Any, Any]] = []

    def hear(job: Job) -> None:
        calls.append((job.status, job.provisional, job.result))

    with lightwork.JobCluster(steps, callback=hear, slots=1) as cluster:
        job = cluster.submit(5)
        assert cluster.wait(LIMIT_S)
        assert job.get() == "the end"
    running = [(JobState.RUNNING, {"step": n}, {"step": n}) for n in range(5)]
    assert calls[:5] == running
    assert len(calls) == 6 and calls[5][0] is JobState.FINISHED and calls[5][2] == "the end"


def test_the_latest_provisional_result_is_the_result_until_the_end(hosted: str, tmp_path: Path) -> None:
    def slow(gate: str) -> str:
        lightwork.send_provisional("half")
        while not os.path.exists(gate):
            time.sleep(0.01)
        return "whole"

    gate = tmp_path / "gate"
    with lightwork.JobCluster(slow, slots=1) as cluster:
        job = cluster.submit(str(gate))
        wait_until(lambda: job.result == "half", "the provisional result is here")
        assert job.status is JobState.RUNNING and not job.finish.is_set()
        gate.touch()
        assert job.get(LIMIT_S) == job.result == "whole"


def test_current_job_tells_who_and_where(way: str) -> None:
    with lightwork.JobCluster(who, slots=2) as cluster:
        jobs = [cluster.submit() for _ in range(6)]
        for number, job in enumerate(jobs):
            told = job.get(LIMIT_S)
            assert told["number"] == number and told["uid"] == job.uid and told["attempt"] == 1
            assert job.uid == f"{told['session']}/{number}"
            assert (told["node"], told["address"]) == (job.node, job.ip_addr)
            assert told["computation"] == "who"
            assert told["directory"] == told["cwd"] != os.getcwd()


def test_current_job_has_its_number_among_many_of_several_functions(hosted: str) -> None:
    with lightwork.JobCluster(which, slots=2) as cluster:
        other = cluster.options(computation=also_which)
        jobs = [cluster.submit() if n % 3 else other.submit() for n in range(3_000)]
        jobs += [cluster.submit() for _ in range(3_000)]
        assert [job.get(LIMIT_S) for job in jobs] == [(n, 1) for n in range(6_000)]


def test_current_job_counts_its_attempts(hosted: str) -> None:
    def die_once(directory: str) -> Any:
        if not os.path.exists(f"{directory}/died"):
            open(f"{directory}/died", "w").close()
            os.kill(os.getpid(), 9)
        return which()

    import tempfile

    with tempfile.TemporaryDirectory() as directory, lightwork.JobCluster(die_once, slots=1) as cluster:
        jobs = [cluster.submit(directory) for _ in range(3)]
        assert [job.get(LIMIT_S) for job in jobs] == [(0, 2), (1, 1), (2, 1)]
        assert [job.attempts for job in jobs] == [2, 1, 1]


def test_outside_a_job_they_say_so() -> None:
    for call in (lightwork.current_job, lightwork.node_value, lambda: lightwork.send_provisional(1)):
        with pytest.raises(lightwork.NotInJob):
            call()


def test_a_cancelled_job_may_return_its_best_result(way: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(best_so_far, slots=1) as cluster:
        for keep in (True, False):
            directory = tmp_path / str(keep)
            directory.mkdir()
            job = cluster.submit(str(directory), keep)
            wait_until((directory / "started").exists, "the job runs")
            assert cluster.cancel(job) is True
            wait_until(job.finish.is_set, "the cancelled job ends")
            assert cluster.cancel(job) is False
            if keep:
                assert job.status is JobState.FINISHED and job.get() >= 3
                continue
            assert job.status is JobState.CANCELLED and job() is None
            with pytest.raises(lightwork.JobCancelled):
                job.get()


def test_a_queued_job_is_cancelled_at_once(hosted: str, tmp_path: Path) -> None:
    with lightwork.JobCluster(best_so_far, slots=1) as cluster:
        running = cluster.submit(str(tmp_path), True)
        wait_until((tmp_path / "started").exists, "the first job runs")
        queued = [cluster.submit(str(tmp_path / f"{n}"), True) for n in range(5)]
        assert cluster.cancel(queued) is True
        for job in queued:
            wait_until(job.finish.is_set, f"{job} ends")
            assert job.status is JobState.CANCELLED and job.start_time is None
        assert running.status is JobState.RUNNING
        assert running.cancel() is True and running.get(LIMIT_S) >= 3


def test_what_setup_makes_is_the_jobs_and_shared_ctypes_are_updated_by_all(hosted: str) -> None:
    with lightwork.JobCluster(look_up, setup=load_table, setup_args=(50,), slots=2) as cluster:
        found = [job.get(LIMIT_S) for job in [cluster.submit(n) for n in range(50)]]
        assert [row[0] for row in found] == list(range(50))
        assert {row[1] for row in found} == {"50 rows"}  # node_value()
        assert len({tuple(row[3]) for row in found}) == 1 and len(found[0][3]) == 1, "setup ran once, for all workers"
        assert not {row[2] for row in found} & set(found[0][3]), "jobs run in processes of their own"
        assert cluster.options(computation=shared_value).submit().get(LIMIT_S) == 50
    assert not table and not setups and shared is None


def test_without_setup_there_is_no_node_value(hosted: str) -> None:
    with lightwork.JobCluster(lambda: lightwork.node_value(), slots=1) as cluster:
        assert cluster.submit().get(LIMIT_S) is None


def test_modules_that_the_function_s_module_imports_are_there(hosted: str) -> None:
    with lightwork.JobCluster(uses_module_names, slots=1) as cluster:
        assert cluster.submit().get(LIMIT_S) == [os.name, "time", "multiprocessing"]


def test_a_line_for_the_node_is_not_the_job_s_output(hosted: str) -> None:
    with lightwork.JobCluster(talk, slots=1) as cluster:
        job = cluster.submit()
        job.get(LIMIT_S)
        assert job.stdout == "heard by the user\n" and job.stderr == ""
