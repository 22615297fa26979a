"""Large arguments, results and data sets: shared memory carries them, nobody in the middle holds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import lightwork
from tests.e2e.helpers import LIMIT_S, wait_until

MB = 1 << 20
PRIVATE_MAX = 200 * MB


def double(array: Any) -> Any:
    array += array  # users keep writing into what they were given
    return array


def echo(data: Any) -> Any:
    return data


def nothing(n: int) -> int:
    return n


def private_bytes(pid: int) -> int:
    """Memory that is this process's alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _round_trip(cluster: lightwork.JobCluster, size: int) -> None:
    wait_until(lambda: "keeper" in cluster.status().pids, "the heartbeat names the keeper")
    middle = {cluster.status().pids[name] for name in ("host", "agent", "keeper")}
    peak = 0
    array = np.arange(size // 8, dtype=np.int64)
    with_array = cluster.submit(array)
    with_bytes = cluster.options(computation=echo).submit(bytes(array.view(np.uint8)[:size]))
    tiny = cluster.options(computation=nothing)
    flowed = 0
    while not (with_array.finish.is_set() and with_bytes.finish.is_set()):
        assert tiny.submit(flowed).get(LIMIT_S) == flowed
        flowed += 1
        if flowed % 50 == 0:
            peak = max(peak, *map(private_bytes, middle))
    peak = max(peak, *map(private_bytes, middle))
    assert flowed > 10, "no-op jobs did not flow"
    result = with_array.get(10 * LIMIT_S)
    assert result[-1] == 2 * (size // 8 - 1) and result[1] == 2
    assert array[1] == 1, "the caller's own array was changed"
    result[0] = 7  # and into what they get back
    assert len(with_bytes.get(10 * LIMIT_S)) == size
    assert peak < PRIVATE_MAX, f"a process in the middle holds {peak / MB:.0f} MB"


@pytest.mark.slow
def test_256_megabytes(hosted: str) -> None:
    with lightwork.JobCluster(double, slots=3) as cluster:
        _round_trip(cluster, 256 * MB)


@pytest.mark.soak
def test_2_gigabytes(hosted: str) -> None:
    with lightwork.JobCluster(double, slots=3) as cluster:
        _round_trip(cluster, 2048 * MB)


@pytest.mark.parametrize("size", [100, 255 * 1024, 257 * 1024, 3 * MB, 40 * MB])
def test_every_size_in_every_way(way: str, size: int) -> None:
    data = os.urandom(size)
    with lightwork.JobCluster(echo, slots=2) as cluster:
        jobs = [cluster.submit(data) for _ in range(3)]
        assert all(job.get(2 * LIMIT_S) == data for job in jobs)


def test_results_are_kept_and_given_back(hosted: str) -> None:
    """A hundred results of 10 MB through one cluster: those that nobody holds any more make room for the others."""
    with lightwork.JobCluster(double, slots=2) as cluster:
        kept = [cluster.submit(np.full(5 * MB // 8, n)).get(LIMIT_S) for n in range(5)]
        for n in range(100):
            assert cluster.submit(np.full(10 * MB // 8, n)).get(LIMIT_S)[3] == 2 * n
        assert [int(array[-1]) for array in kept] == [0, 2, 4, 6, 8]
        shared = psutil.Process(cluster.status().pids["host"]).memory_info().shared
        assert shared < 600 * MB


def load(size: int) -> Any:
    return np.ones(size // 8)


def use(n: int) -> float:
    return float(lightwork.node_value()[n::1000].sum())


@pytest.mark.slow
def test_data_of_setup_is_shared_by_the_slots(hosted: str) -> None:
    size = 500 * MB
    with lightwork.JobCluster(use, setup=load, setup_args=(size,), slots=4) as cluster:
        jobs = [cluster.submit(n) for n in range(40)]
        assert all(job.get(4 * LIMIT_S) > 0 for job in jobs)
        host = psutil.Process(cluster.status().pids["host"])
        below = [host, *host.children(recursive=True)]
        proportional = sum(_pss(process.pid) for process in below)
    assert size < proportional < 800 * MB, f"{proportional / MB:.0f} MB"


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
