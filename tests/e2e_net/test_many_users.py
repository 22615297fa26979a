"""Many programs at once on one scheduler, over four nodes: who gets how much, who goes first, who is alone."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import pytest

from tests.e2e.helpers import wait_until
from tests.support.durable import DurableFarm

NODES = ("a", "b", "c", "d")
SLOTS = 3  # of each
WEIGHTS = (1.0, 1.0, 2.0, 2.0, 3.0, 3.0)
MINUTE_S = 60.0
WITHIN = 0.05
SETTLE_S = 3.0
SLACK_S = 25.0  # the programs start, and are asked

STEADY = """
import random

if __name__ == "__main__":
    weight, jobs, begin_s, for_s = (float(word) for word in ARGUMENTS)
    chance = random.Random(int(weight * 10))
    with shared(weight=weight, name=f"w{weight}") as cluster:
        many = [submit(cluster, f"{os.getpid()}.{n}", chance.uniform(0.1, 0.5)) for n in range(int(jobs))]
        time.sleep(max(0, begin_s + for_s - time.monotonic()))
        now = time.time()
        say(runs=[[job.start_time, job.end_time or now] for job in many if job.start_time])
        say(session=cluster._session.name)
        cluster.close(terminate=True)
"""
URGENT = """
if __name__ == "__main__":
    rounds = int(ARGUMENTS[0])
    with shared(priority=5) as cluster:
        for n in range(rounds):
            asked = time.time()
            job = submit(cluster, f"urgent{os.getpid()}.{n}", 0.1)
            job()
            say(asked=asked, start=job.start_time)
            time.sleep(1.5)
    say(done=True)
"""
ALWAYS = """
if __name__ == "__main__":
    limit_s, name = float(ARGUMENTS[0]), ARGUMENTS[1]
    with shared(name=name) as cluster:
        jobs = [submit(cluster, f"{name}.{n}", 0.3) for n in range(30)]
        say(going=True)
        n = 30
        while not os.path.exists(ARGUMENTS[2]):
            open_jobs = [job for job in jobs if not job.end_time]
            if len(open_jobs) < 30:
                jobs.append(submit(cluster, f"{name}.{n}", 0.3))
                n += 1
            else:
                time.sleep(0.02)
        cluster.wait()
        say(runs=[[job.start_time, job.end_time] for job in jobs], submitted=[job.submit_time for job in jobs])
"""
ALONE = """
if __name__ == "__main__":
    with shared(exclusive=True, name="alone") as cluster:
        opened = time.time()
        jobs = [submit(cluster, f"alone.{n}", 0.3) for n in range(40)]
        cluster.wait()
        say(runs=[[job.start_time, job.end_time] for job in jobs], opened=opened)
"""


class Span(NamedTuple):
    """Seconds since 1970."""

    begin: float
    end: float


def spans(told: Any) -> list[Span]:
    return [Span(*one) for one in told]


def within(runs: list[Span], window: Span) -> float:
    """Their slot time in the window, in seconds."""
    return sum(max(0.0, min(run.end, window.end) - max(run.begin, window.begin)) for run in runs)


def sessions(farm: DurableFarm) -> dict[str, dict[str, Any]]:
    """What `lightwork sessions` says, by name."""
    command = ["lightwork", "sessions", "--scheduler", "s", "--json"]
    program = farm["u"].start(command, env=farm.environment(None, None))
    assert program.wait(30) == 0, program.err
    return {one["name"]: one for found in json.loads(program.out)["schedulers"] for one in found["sessions"]}


@pytest.mark.slow
def test_slot_time_goes_by_weights_and_what_is_urgent_goes_first() -> None:
    with DurableFarm(*NODES) as farm:
        farm.scheduler()
        for name in NODES:
            farm.joins(name, slots=SLOTS)
        begin = time.monotonic()
        users = [farm.user(STEADY, str(weight), "2500", str(begin), str(MINUTE_S + SLACK_S)) for weight in WEIGHTS]
        urgent = [farm.user(URGENT, "15") for _ in range(2)]
        wait_until(lambda: len(farm.runs()) > 20 * len(WEIGHTS), "the load is there")
        time.sleep(SETTLE_S)
        first, window_begin = sessions(farm), time.time()
        time.sleep(MINUTE_S)
        last, window = sessions(farm), Span(window_begin, time.time())

        told = [spans(user.wait_for("runs")) for user in users]
        names = [user.wait_for("session") for user in users]
        by_records = [within(runs, window) for runs in told]
        by_account = [last[name]["slot_time_s"] - first[name]["slot_time_s"] for name in names]
        for kind, times in (("records", by_records), ("account", by_account)):
            shares = [spent / sum(times) for spent in times]
            wanted = [weight / sum(WEIGHTS) for weight in WEIGHTS]
            off = [abs(share - due) / due for share, due in zip(shares, wanted, strict=True)]
            assert max(off) < WITHIN, f"{kind}: {shares}, and not {wanted}"

        others = sorted(run.begin for runs in told for run in runs)
        for user in urgent:
            user.wait_for("done")
        passed = sorted(
            sum(line["asked"] + 0.05 < begun < line["start"] for begun in others)
            for user in urgent
            for line in user.said[:-1]
        )
        assert passed[len(passed) // 2] <= len(NODES) * SLOTS, f"jobs were begun before one that goes first: {passed}"


def test_one_that_is_exclusive_is_alone() -> None:
    with DurableFarm(*NODES) as farm:
        farm.scheduler()
        for name in NODES:
            farm.joins(name, slots=SLOTS)
        stop = farm["u"].work / "stop"
        users = [farm.user(ALWAYS, "60", f"always{n}", str(stop)) for n in range(2)]
        for user in users:
            user.wait_for("going")
        alone = farm.user(ALONE)
        mine = spans(alone.wait_for("runs"))
        opened = alone.get("opened")
        before = {key: len(runs) for key, runs in farm.runs().items()}
        wait_until(lambda: len(farm.runs()) > len(before) + 20, "the others go on")
        stop.touch()
        for user in users:
            user.wait_for("runs")
        all_alone = Span(min(run.begin for run in mine), max(run.end for run in mine))
        others = [run for user in users for run in spans(user.get("runs"))]
        assert within(others, all_alone) == 0.0
        assert any(run.begin > all_alone.end for run in others)
        late = [
            run.begin
            for user in users
            for run, submitted in zip(spans(user.get("runs")), user.get("submitted"), strict=True)
            if submitted > opened
        ]
        assert late and min(late) >= all_alone.end
        together = max(sum(run.begin <= one.begin < run.end for run in mine) for one in mine)
        assert together >= len(NODES) * SLOTS - 2, "it has all slots at once"
