"""A stream of tiny jobs while a node comes and goes: scheduler and agent need no more at the end than after warm-up."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import psutil
import pytest

from tests.e2e_net.farm import Client
from tests.support.durable import DurableFarm, kill
from tests.support.lab import Program, needs_lab

CHURN_S = 5.0
LIMIT = 3.0  # times as long as planned
WARM = 0.3  # of the time
STREAM = """
def tiny(n):
    return n

if __name__ == "__main__":
    number, seconds = int(ARGUMENTS[0]), float(ARGUMENTS[1])
    begun = time.monotonic()

    def paced():
        for n in range(number):
            ahead = begun + n * seconds / number - time.monotonic()
            if ahead > 0.01:
                time.sleep(ahead)
            yield cluster.submit(n)

    with lightwork.SharedJobCluster(tiny, scheduler="s") as cluster:
        say(streaming=True)
        total = right = 0
        for job in cluster.as_completed(paced(), limit=5000):
            total += 1
            right += job() == job.id
        say(ended=[total, right], took=time.monotonic() - begun)
"""


class Sample(NamedTuple):
    """What a process needs."""

    rss: int
    descriptors: int
    threads: int


def sample(pid: int) -> Sample:
    """At this moment."""
    process = psutil.Process(pid)
    with process.oneshot():
        return Sample(process.memory_info().rss, process.num_fds(), process.num_threads())


def stream(jobs: int, seconds: float) -> None:
    """One run; every complaint at its end."""
    needs_lab()
    with DurableFarm("a", "b", timers="") as farm:
        scheduler = farm.scheduler()
        node, other = farm.joins("a"), farm.joins("b")
        user = farm.user(STREAM, str(jobs), str(seconds))
        user.wait_for("streaming")
        journal = psutil.Process(scheduler.pid).children()[0].pid
        watched = {"scheduler": scheduler.pid, "journal": journal, "agent": node.pid, "client": user.program.pid}
        samples = _watch(farm, user, other, watched, seconds)
        user.wait()
        assert user.get("ended") == [jobs, jobs], user.told()
        print(f"{jobs:,} jobs in {user.get('took'):.1f} s")
        growing = [line for name, found in samples.items() for line in _growth(name, found)]
        assert not growing, growing


def _watch(
    farm: DurableFarm, user: Client, other: Program, watched: dict[str, int], seconds: float
) -> dict[str, list[Sample]]:
    """Samples, once a second, until the stream is over; and the other node dies and comes back all the time."""
    samples: dict[str, list[Sample]] = {name: [] for name in watched}
    began = churned = time.monotonic()
    gentle = False
    while user.get("ended") is None:
        assert user.program.popen.poll() is None, user.told()
        assert time.monotonic() - began < LIMIT * seconds, f"the stream does not end: {user.told()}"
        for name, pid in watched.items():
            if name != "client" or user.program.popen.poll() is None:
                samples[name].append(sample(pid))
        if time.monotonic() - churned > CHURN_S:
            churned, gentle = time.monotonic(), not gentle
            if gentle:
                other.signal(15)
                other.wait()
            else:
                kill(other)
            other = farm.joins("b", ready="")
        time.sleep(1.0)
    return samples


def _growth(name: str, samples: list[Sample]) -> list[str]:
    first = samples[int(len(samples) * WARM) : int(len(samples) * (WARM + 0.2)) + 1]
    last = samples[int(len(samples) * 0.8) : -1]
    assert first and last, "it was over at once"
    before = Sample(*(int(statistics.median(column)) for column in zip(*first, strict=True)))
    after = Sample(*(int(statistics.median(column)) for column in zip(*last, strict=True)))
    most = Sample(int(before.rss * 1.05) + (6 << 20), before.descriptors + 3, before.threads + 1)
    print(f"{name}: {before} -> {after}")
    return [
        f"{name}: {what} {old:,} -> {new:,}"
        for what, old, new, limit in zip(Sample._fields, before, after, most, strict=True)
        if new > limit
    ]


@pytest.mark.slow
def test_one_minute_of_tiny_jobs() -> None:
    stream(50_000, 60.0)


@pytest.mark.soak
def test_ten_minutes_of_tiny_jobs() -> None:
    stream(500_000, 600.0)
