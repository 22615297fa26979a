"""Bytes per queued job: resident memory of client and scheduler before and after, with one long job in front."""

from __future__ import annotations

import sys
import time

import psutil

import lightwork
from benchmarks.ways import measured, row

JOBS = 200_000


def hold(seconds: float) -> None:
    """Keeps the only slot."""
    time.sleep(seconds)


def queued() -> tuple[float, float]:
    """Per job: client, scheduler."""
    with lightwork.JobCluster(hold, slots=1) as cluster:
        running = cluster.submit(600)
        time.sleep(0.5)
        us, scheduler = psutil.Process(), psutil.Process(cluster.status().pids["host"])
        before = us.memory_info().rss, scheduler.memory_info().rss
        jobs = [cluster.submit(0) for _ in range(JOBS)]
        while cluster.status().queued < JOBS:
            time.sleep(0.05)
        after = us.memory_info().rss, scheduler.memory_info().rss
        cluster.cancel([running, *jobs])
        return (after[0] - before[0]) / JOBS, (after[1] - before[1]) / JOBS


def main() -> None:
    """The table."""
    client, scheduler = measured("benchmarks.memory", "queued")
    row("bytes per queued job", "jobs", "client", "scheduler")
    row("hosted", f"{JOBS:,}", client, scheduler)


if __name__ == "__main__":
    if sys.argv[1:] == ["queued"]:
        print(*queued())
