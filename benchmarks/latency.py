"""One job after another; and from the start of a process to its first result. In microseconds and milliseconds."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import time

import lightwork
from benchmarks.throughput import no_op
from benchmarks.ways import WAYS, measured, median, row

ROUNDS = 2_000
STARTS = 7
FIRST = "import lightwork\nwith lightwork.JobCluster(abs, slots=2) as c: print(c.submit(-1).get(), flush=True)"
FIRST_EXECUTOR = (
    "import concurrent.futures as f\nwith f.ProcessPoolExecutor(2) as p: print(p.submit(abs, -1).result(), flush=True)"
)


def executor() -> list[float]:
    """Round trips of the yardstick."""
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        pool.submit(no_op, 0).result()
        return [_timed(lambda: pool.submit(no_op, 1).result()) for _ in range(ROUNDS)]


def ours() -> list[float]:
    """Round trips of a cluster."""
    with lightwork.JobCluster(no_op, slots=2) as cluster:
        cluster.submit(0).get()
        return [_timed(lambda: cluster.submit(1).get()) for _ in range(ROUNDS)]


def _timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return (time.perf_counter() - began) * 1e6


def _start_ms(code: str, environment: dict[str, str]) -> float:
    import os

    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, **environment}
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return (time.perf_counter() - began) * 1e3


def main() -> None:
    """Two tables."""
    widths = (24, 12, 12, 12)
    row("round trip", "p50 us", "p99 us", "x executor", widths=widths)
    middle, worst = measured("benchmarks.latency", "executor")
    row("ProcessPoolExecutor", middle, worst, 1.0, widths=widths)
    for way in WAYS:
        p50, p99 = measured("benchmarks.latency", "ours", way=way)
        row(way, p50, p99, p50 / middle, widths=widths)
    print()
    row("start to first result", "median ms", widths=widths)
    row("ProcessPoolExecutor", median([_start_ms(FIRST_EXECUTOR, {}) for _ in range(STARTS)]), widths=widths)
    for way, environment in WAYS.items():
        row(way, median([_start_ms(FIRST, environment) for _ in range(STARTS)]), widths=widths)


if __name__ == "__main__":
    times = sorted(executor() if sys.argv[1] == "executor" else ours())
    print(times[len(times) // 2], times[len(times) * 99 // 100])
