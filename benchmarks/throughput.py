"""No-op jobs submitted one by one. The yardstick is Pool.apply_async with two processes, measured before and after."""

from __future__ import annotations

import multiprocessing
import sys
import time

import lightwork
from benchmarks.ways import WAYS, measured, median, row

JOBS = (20_000, 200_000)
POOL_JOBS = 40_000
TURNS = 3


def no_op(n: int) -> int:
    """Nothing."""
    return n


def pool() -> float:
    """Jobs per second of the yardstick."""
    with multiprocessing.Pool(2) as workers:
        workers.apply(no_op, (0,))
        began = time.perf_counter()
        results = [workers.apply_async(no_op, (n,)) for n in range(POOL_JOBS)]
        for result in results:
            result.get()
        return POOL_JOBS / (time.perf_counter() - began)


def ours(count: int) -> float:
    """Jobs per second of a cluster with two slots that has been used before."""
    with lightwork.JobCluster(no_op, slots=2) as cluster:
        for job in [cluster.submit(n) for n in range(2_000)]:
            job()
        began = time.perf_counter()
        jobs = [cluster.submit(n) for n in range(count)]
        for n, job in enumerate(jobs):
            if job() != n:
                raise AssertionError(f"job {n} returned {job()}")
        return count / (time.perf_counter() - began)


def main() -> None:
    """The table."""
    row("way", "jobs", "jobs/s", "x Pool")
    yardstick = []
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(TURNS):
        yardstick += measured("benchmarks.throughput", "pool")
        for way in WAYS:
            for count in JOBS:
                rates.setdefault((way, count), []).extend(measured("benchmarks.throughput", str(count), way=way))
    pool_rate = median(yardstick)
    row("Pool.apply_async", f"{POOL_JOBS:,}", f"{pool_rate:,.0f}", 1.0)
    for (way, count), found in rates.items():
        row(way, f"{count:,}", f"{median(found):,.0f}", median(found) / pool_rate)


if __name__ == "__main__":
    print(pool() if sys.argv[1] == "pool" else ours(int(sys.argv[1])))
