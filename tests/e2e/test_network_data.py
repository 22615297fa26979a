"""Data over the network: arguments, results, files both ways, between a cluster and real nodes over TLS."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import lightwork
from lightwork import JobState
from lightwork.config.paths import node_directory
from lightwork.model.states import ClusterEvent
from tests.e2e.helpers import LIMIT_S, wait_until
from tests.e2e.test_large import double, echo, private_bytes
from tests.support.nodes import NodeProgram, Start

MB = 1 << 20
MIDDLE_MAX = 60 * MB  # of memory of its own, for a process that only passes data on


def test_every_size_both_ways(start: Start) -> None:
    one, two = start("one"), start("two")
    with lightwork.JobCluster(echo, nodes=[one.address, two.address]) as cluster:
        for size in (100, 255 * 1024, 257 * 1024, 3 * MB, 50 * MB):
            data = os.urandom(size)
            jobs = [cluster.submit(data) for _ in range(5)]
            assert all(job.get(2 * LIMIT_S) == data for job in jobs)


def test_arrays_are_writable_there_and_here(start: Start) -> None:
    one = start("one")
    array = np.arange(MB, dtype=np.int64)
    with lightwork.JobCluster(double, nodes=[one.address]) as cluster:
        result = cluster.submit(array).get(LIMIT_S)
        assert result[-1] == 2 * (MB - 1)
        assert array[1] == 1
        result[0] = 7


def test_the_scheduler_holds_nothing_and_small_jobs_overtake(start: Start) -> None:
    one = start("one")
    array = np.arange(100 * MB // 8, dtype=np.int64)
    with lightwork.JobCluster(double, nodes=[one.address]) as cluster:
        tiny = cluster.options(computation=echo)
        assert tiny.submit(1).get(LIMIT_S) == 1
        host = cluster.status().pids["host"]
        large = cluster.submit(array)
        peak, flowed, slowest = 0, 0, 0.0
        while not large.finish.is_set():
            began = time.monotonic()
            assert tiny.submit(flowed).get(LIMIT_S) == flowed
            slowest = max(slowest, time.monotonic() - began)
            peak, flowed = max(peak, private_bytes(host)), flowed + 1
        assert large.get()[-1] == 2 * (100 * MB // 8 - 1)
        assert flowed > 10
        assert slowest < LIMIT_S
        assert peak < MIDDLE_MAX, f"{peak / MB:.0f} MB"


def test_many_large_results_flow_and_nothing_piles_up(start: Start) -> None:
    one = start("one")
    with lightwork.JobCluster(double, nodes=[one.address]) as cluster:
        kept = [cluster.submit(np.full(5 * MB // 8, n)).get(LIMIT_S) for n in range(4)]
        for base in range(0, 30, 6):
            jobs = [cluster.submit(np.full(10 * MB // 8, base + n)) for n in range(6)]
            assert [int(job.get(LIMIT_S)[3]) for job in jobs] == [2 * (base + n) for n in range(6)]
        assert [int(array[-1]) for array in kept] == [0, 2, 4, 6]
        wait_until(lambda: spooled(one) == [], "the node keeps nothing that was taken")


def spooled(node: NodeProgram) -> list[str]:
    """What the node has in its spool."""
    return os.listdir(node_directory(node.name) / "spool")


def fail_with(data: bytes) -> None:
    raise ValueError(data[:3])


def test_a_failing_job_with_large_arguments(start: Start) -> None:
    one = start("one")
    with lightwork.JobCluster(fail_with, nodes=[one.address]) as cluster:
        jobs = [cluster.submit(b"abc" * MB) for _ in range(5)]
        for job in jobs:
            with pytest.raises(ValueError, match="abc"):
                job.get(LIMIT_S)


def test_a_map_of_large_items(start: Start) -> None:
    one, two = start("one"), start("two")
    with lightwork.JobCluster(double, nodes=[one.address, two.address]) as cluster:
        items = [np.full(MB // 8, n) for n in range(40)]
        sums = [int(array[0]) for array in cluster.map(double, items, chunksize=4)]
        assert sums == [2 * n for n in range(40)]


def slow_echo(data: bytes) -> int:
    import time

    time.sleep(30)
    return len(data)


def test_cancelled_while_its_arguments_travel(start: Start) -> None:
    one = start("one", slots=1)
    with lightwork.JobCluster(slow_echo, nodes=[one.address]) as cluster:
        jobs = [cluster.submit(b"x" * 40 * MB) for _ in range(4)]
        time.sleep(0.2)
        for job in jobs:
            job.cancel()
        assert cluster.wait(LIMIT_S)
        assert {job.status for job in jobs} == {JobState.CANCELLED}
        assert cluster.options(computation=echo).submit(b"y" * MB).get(LIMIT_S) == b"y" * MB


def busy(name: str, size: int) -> int:
    with open(name, "wb") as file:
        file.write(name.encode() * size)
    lightwork.send_provisional({"half": b"p" * size})
    lightwork.send_file(name)
    with open("left.out", "w") as file:
        file.write("left")
    return size


@pytest.mark.parametrize("size", [10, 2 * MB])
def test_files_and_intermediate_results(start: Start, tmp_path: Path, size: int) -> None:
    one, two = start("one"), start("two")
    seen: list[Any] = []

    def told(event: Any, node: Any, job: Any) -> None:
        if event == ClusterEvent.JOB_PROVISIONAL:
            seen.append(len(job.result["half"]))

    options: dict[str, Any] = {"outputs": "*.out", "outputs_dir": tmp_path / "out", "cluster_status": told}
    with lightwork.JobCluster(busy, nodes=[one.address, two.address], **options) as cluster:
        jobs = [cluster.submit_job_id(f"job{n}", f"sent{n}", size) for n in range(6)]
        assert [job.get(LIMIT_S) for job in jobs] == [size] * 6
        assert cluster.wait(LIMIT_S)
        for n, job in enumerate(jobs):
            assert (tmp_path / "out" / f"job{n}" / "left.out").read_text() == "left"
            assert (tmp_path / "out" / f"sent{n}").read_bytes() == b"sent%d" % n * size
            assert len(job.files) == 2
        assert seen == [size] * 6
        wait_until(lambda: spooled(one) == spooled(two) == [], "the nodes keep nothing that has arrived")


def read(name: str) -> tuple[int, bytes]:
    with open(name, "rb") as file:
        data = file.read()
    return len(data), data[-5:]


def test_a_dependency_goes_to_each_node_once(start: Start, tmp_path: Path) -> None:
    """Three nodes on one machine have no wires to count on; but a process's reads can be counted."""
    data = os.urandom(40 * MB) + b"tail!"
    (tmp_path / "big.bin").write_bytes(data)
    three = [start(name) for name in ("one", "two", "three")]
    with lightwork.JobCluster(read, nodes=[node.address for node in three], depends=[str(tmp_path / "big.bin")]) as one:
        before = [node.process.io_counters().read_chars for node in three]
        jobs = [one.submit_node(node.name, "big.bin") for node in three for _ in range(4)] if _ready(one, three) else []
        assert [job.get(2 * LIMIT_S) for job in jobs] == [(len(data), b"tail!")] * 12
        other = one.options(computation=size_of, depends=[str(tmp_path / "big.bin")])
        assert other.submit("big.bin").get(LIMIT_S) == len(data)
        for node, count in zip(three, before, strict=True):
            came = node.process.io_counters().read_chars - count
            assert came < 3.3 * len(data), f"{came / MB:.0f} MB: once from the network, and copies of it"
        host = psutil.Process(one.status().pids["host"])
        assert private_bytes(host.pid) < MIDDLE_MAX


def size_of(name: str) -> int:
    return os.path.getsize(name)


def test_results_larger_than_shared_memory_go_through_files(
    hosted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this machine, too."""
    monkeypatch.setattr("lightwork.store.arena.default_capacity", lambda: 8 * MB)
    with lightwork.JobCluster(make, slots=2) as cluster:
        jobs = [cluster.submit(size) for size in (20 * MB, 3 * MB, 1000)]
        assert [len(job.get(LIMIT_S)) for job in jobs] == [20 * MB, 3 * MB, 1000]


def make(size: int) -> bytes:
    return b"m" * size


def _ready(cluster: lightwork.JobCluster, nodes: list[NodeProgram]) -> bool:
    names = {node.name for node in nodes}
    wait_until(lambda: names <= {node.name for node in cluster.status().nodes}, "all nodes are connected")
    return True
