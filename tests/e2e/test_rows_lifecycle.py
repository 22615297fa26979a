"""Setup and cleanup, callbacks and events, clusters beside each other (rows F-J4, F-J5, F-J13, F-J14 and more)."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lightwork
from lightwork import Job, JobState
from tests.e2e.helpers import LIMIT_S, wait_until

prepared: list[str] = []


def prepare(directory: str, *words: str) -> dict[str, Any]:
    prepared.append(" ".join(words))
    with open(f"{directory}/setups", "a") as file:
        file.write(f"{os.getpid()}\n")
    return {"words": words, "pid": os.getpid()}


def tidy(directory: str, *words: str) -> None:
    with open(f"{directory}/cleanups", "a") as file:
        file.write(f"{' '.join(words)}|{prepared}\n")


def use() -> tuple[list[str], Any]:
    return prepared, lightwork.node_value()


def also_use() -> list[str]:
    return prepared


def broken_setup() -> None:
    raise RuntimeError("no data on this node")


def half(n: int) -> float:
    return n / 2


def steps(n: int) -> int:
    lightwork.send_provisional(n)
    time.sleep(0.1)
    return n


def test_setup_and_cleanup_run_once_with_their_arguments(hosted: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"setup": prepare, "setup_args": (str(tmp_path), "a", "b"), "cleanup": tidy}
    with lightwork.JobCluster(use, slots=2, **options) as cluster:
        for job in [cluster.submit() for _ in range(40)]:
            words, value = job.get(LIMIT_S)
            assert words == ["a b"] and value["words"] == ("a", "b")
        assert cluster.options(computation=also_use).submit().get(LIMIT_S) == ["a b"], "another function of the cluster"
        assert not (tmp_path / "cleanups").exists()
    assert len((tmp_path / "setups").read_text().splitlines()) == 1
    assert (tmp_path / "cleanups").read_text() == "a b|['a b']\n", "once, and it sees what setup made"
    assert prepared == []


def test_cleanup_without_setup(hosted: str, tmp_path: Path) -> None:
    mark = str(tmp_path / "cleaned")

    def cleanup() -> None:
        with open(mark, "a") as file:
            file.write("once\n")

    with lightwork.JobCluster(half, cleanup=cleanup, slots=2) as cluster:
        assert [job.get(LIMIT_S) for job in [cluster.submit(n) for n in range(10)]] == [n / 2 for n in range(10)]
    assert Path(mark).read_text() == "once\n"


def test_a_setup_that_raises_is_told_at_once_and_fails_the_jobs(way: str, capfd: pytest.CaptureFixture[str]) -> None:
    with lightwork.JobCluster(half, setup=broken_setup, slots=2) as cluster:
        jobs = [cluster.submit(n) for n in range(5)]
        for job in jobs:
            wait_until(job.finish.is_set, f"{job} ends")
            assert job.status is JobState.FAILED
            assert "no data on this node" in str(job.exception)
            with pytest.raises(lightwork.SetupFailed):
                job.get()
        told = capfd.readouterr().err
        assert "RuntimeError: no data on this node" in told and "in broken_setup" in told, told
        assert told.count("no data on this node") < 5, "once, not for each job"


class Listener:
    """Callbacks of every kind that Python has."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def __call__(self, job: Job) -> None:
        self.heard.append(job.id)

    def method(self, job: Job) -> None:
        self(job)

    def with_more(self, extra: str, job: Job, optional: int = 3) -> None:
        self(job)


def test_callbacks_may_be_any_callable(hosted: str) -> None:
    listener = Listener()
    kinds: list[dict[str, Any]] = [
        {"callback": listener},
        {"job_status": listener.method},
        {"callback": lambda job: listener(job)},
        {"job_status": functools.partial(listener.with_more, "extra")},
    ]
    for kind in kinds:
        with lightwork.JobCluster("true", slots=1, **kind) as cluster:
            cluster.submit()
    assert listener.heard == [0] * len(kinds)


def test_order_between_jobs_by_submitting_from_a_callback(hosted: str) -> None:
    order: list[tuple[str, int]] = []

    def after(job: Job) -> None:
        order.append(("ended", job.result))
        if len(order) < 6:
            order.append(("submitted", cluster.submit(job.result).id))

    with lightwork.JobCluster(half, callback=after, slots=2) as cluster:
        cluster.submit(16)
        assert cluster.wait(LIMIT_S)
    assert order == [("ended", 8), ("submitted", 1), ("ended", 4), ("submitted", 2), ("ended", 2), ("submitted", 3),
                     ("ended", 1)]  # fmt: skip


def test_cluster_status_hears_of_jobs_and_nodes(hosted: str) -> None:
    heard: list[tuple[str, str | None, Any]] = []
    threads = set()

    def hear(event: Any, node: Any, job: Job | None) -> None:
        threads.add(threading.current_thread())
        heard.append((event.name, node.name if node else None, job.id if job else None))

    with lightwork.JobCluster(steps, cluster_status=hear, slots=1) as cluster:
        jobs = [cluster.submit(n) for n in range(2)]
        assert cluster.wait(LIMIT_S)
        name = jobs[0].node
    counts = Counter(event for event, _, _ in heard)
    assert counts["JOB_CREATED"] == counts["JOB_RUNNING"] == counts["JOB_PROVISIONAL"] == counts["JOB_ENDED"] == 2
    assert counts["NODE_READY"] == 1
    for number in range(2):
        of_job = [event for event, _, job in heard if job == number]
        assert of_job == ["JOB_CREATED", "JOB_RUNNING", "JOB_PROVISIONAL", "JOB_ENDED"]
    assert {node for event, node, _ in heard if event in ("JOB_RUNNING", "JOB_ENDED", "NODE_READY")} == {name}
    assert len(threads) == 1


def test_clusters_in_threads_beside_each_other(hosted: str) -> None:
    results: dict[int, list[float]] = {}

    def work(number: int) -> None:
        with lightwork.JobCluster(half, slots=1) as cluster:
            results[number] = [job.get(LIMIT_S) for job in [cluster.submit(n * number) for n in range(50)]]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [n * number / 2 for n in range(50)] for number in range(3)}


def test_the_slots_share_unequal_jobs(hosted: str) -> None:
    """Implicit balancing: short jobs do not wait behind a long one while a slot is free."""
    with lightwork.JobCluster(time.sleep, slots=2) as cluster:
        long_one = cluster.submit(600)
        short = [cluster.submit(0.005) for _ in range(60)]
        for job in short:
            assert job.get(LIMIT_S) is None
        assert not long_one.finish.is_set(), "the short ones went by another slot"
        cluster.cancel(long_one)


def test_a_log_of_events_and_commands_on_demand(
    hosted: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIGHTWORK_DEBUG", "1")
    with lightwork.JobCluster(half, slots=1) as cluster:
        cluster.submit(1).get(LIMIT_S)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "log" in line]
    log = Path(line.split()[-1])
    text = log.read_text()
    log.unlink()
    log.parent.rmdir()
    assert "> JobsSubmitted" in text and "< Assign" in text and "> AttemptsEnded" in text


def test_isolation_gives_each_job_a_fresh_process(hosted: str) -> None:
    def remember() -> int:
        import builtins

        builtins.seen = getattr(builtins, "seen", 0) + 1  # type: ignore[attr-defined]
        return int(builtins.seen)  # type: ignore[attr-defined]

    for isolation, expected in (("process", {1}), ("worker", {1, 2, 3, 4})):
        with lightwork.JobCluster(remember, isolation=isolation, slots=1) as cluster:
            assert {job.get(LIMIT_S) for job in [cluster.submit() for _ in range(4)]} == expected
