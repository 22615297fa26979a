"""20 arguments of 50 MB, each echoed: arrays and bytes, against ProcessPoolExecutor in the same run."""

from __future__ import annotations

import concurrent.futures
import sys
import time
from typing import Any

import numpy as np

import lightwork
from benchmarks.ways import measured, row

SIZE = 50 << 20
COUNT = 20
TURNS = 3


def echo(data: Any) -> Any:
    """The same."""
    return data


def data_of(kind: str) -> Any:
    """50 MB of it."""
    array = np.random.default_rng(0).integers(0, 255, SIZE, dtype=np.uint8)
    return array if kind == "array" else array.tobytes()


def executor(kind: str) -> float:
    """Seconds of the yardstick, its best turn."""
    data = data_of(kind)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        return min(
            _timed(lambda: [len(f.result()) for f in [pool.submit(echo, data) for _ in range(COUNT)]])
            for _ in range(TURNS)
        )


def ours(kind: str) -> float:
    """Seconds of a cluster, its best turn."""
    data = data_of(kind)
    with lightwork.JobCluster(echo, slots=2) as cluster:
        return min(
            _timed(lambda: [len(job.get()) for job in [cluster.submit(data) for _ in range(COUNT)]])
            for _ in range(TURNS)
        )


def _timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    """The table."""
    row("20 x 50 MB there and back", "executor s", "ours s", "ratio", widths=(28, 12, 12, 12))
    for kind in ("array", "bytes"):
        (theirs,) = measured("benchmarks.payloads", "executor", kind)
        (own,) = measured("benchmarks.payloads", "ours", kind)
        row(kind, theirs, own, theirs / own, widths=(28, 12, 12, 12))


if __name__ == "__main__":
    print((executor if sys.argv[1] == "executor" else ours)(sys.argv[2]))
