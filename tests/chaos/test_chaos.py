"""Whatever is killed, stopped or cut off: each job ends once, as promised, and nothing is left behind.

LIGHTWORK_TEST_SEED=N repeats what was done to whom (not when each process got to run).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence

import pytest

from tests.chaos import oracle
from tests.chaos.aftermath import Aftermath
from tests.chaos.company import BEHIND, CLIENTS, LEASES_S, LOST_S, NODES, Client, Company
from tests.chaos.conductor import Conductor
from tests.chaos.history import SCHEDULER_HOST, History
from tests.chaos.judge import Complaint, Given, Lives, judge, starts
from tests.chaos.plan import Size, plan
from tests.chaos.program import key_of_job, kind_of
from tests.chaos.report import report
from tests.support.lab import needs_lab

SHORT = Size(
    62.0,
    schedulers=5,
    nodes=10,
    workers=30,
    clients=5,
    keepers=2,
    journals=1,
    stops=8,
    cuts=5,
    relays=3,
    relay_cuts=3,
    jobs=350,
)
LONG = Size(
    240.0,
    schedulers=20,
    nodes=40,
    workers=100,
    clients=10,
    keepers=6,
    journals=4,
    stops=30,
    cuts=15,
    relays=10,
    relay_cuts=10,
    jobs=1600,
)
CONVERGE_S = 120.0


def perform(size: Size, told: Callable[[str], None] = print) -> None:
    """One performance, from the first process to the last complaint."""
    needs_lab()
    seed = int(os.environ.get("LIGHTWORK_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    faults = plan(seed, size, NODES, [client.name for client in CLIENTS], [SCHEDULER_HOST, *NODES, "u", "v"])
    with Company(seed, size.jobs, size.seconds / size.jobs) as company:
        conductor = Conductor(company, faults)
        conductor.begin()
        conductor.perform()
        healed = time.monotonic()
        troubles = conductor.wait_for_clients(CONVERGE_S)
        told(f"seed {seed}: all clients have ended {time.monotonic() - healed:.1f} s after the last fault")
        told(_summary(company, conductor))
        complaints = _judged(company, conductor)
        after = Aftermath(company)
        troubles += after.looked() if not troubles else []
        troubles += _planned(size, conductor)
        assert not troubles and not complaints, report(seed, company, conductor, troubles, complaints)


def _judged(company: Company, conductor: Conductor) -> list[Complaint]:
    runs = oracle.runs(company.oracle)
    history = History(conductor.events, LEASES_S, BEHIND, LOST_S)
    found = []
    for client in CLIENTS:
        last = company.lives[client.name]
        delivered = oracle.deliveries(company.deliveries(client))
        if client.lasting:
            found += judge(_jobs(company, client, last), runs, delivered, Lives(1, last), history)
            continue
        for life in range(1, last + 1):  # each has jobs of its own; what earlier ones submitted went with them
            mine = [one for one in delivered if one.life == life]
            jobs = _jobs(company, client, life)
            if life < last:
                found += [
                    Complaint(job.key, text) for job in jobs for text in starts(job, runs.get(job.key, []), history)
                ]
            else:
                found += judge(jobs, runs, mine, Lives(last, last), history)
    return found


def _jobs(company: Company, client: Client, life: int) -> list[Given]:
    """All that a life of a client submits."""
    return [
        Given(
            key_of_job(client.name, life, index, lasting=client.lasting),
            kind_of(company.seed, client.name, index),
            client.reentrant,
        )
        for index in range(company.jobs)
    ]


def _planned(size: Size, conductor: Conductor) -> Sequence[str]:
    """What was to be done and could not be: then the test has tested less than it says."""
    kills = {
        "scheduler": size.schedulers,
        "node": size.nodes,
        "worker": size.workers,
        "client": size.clients,
        "relay": size.relays,
    }
    wanted = {**{("kill", kind): number for kind, number in kills.items()}, ("cut", "link"): size.relay_cuts}
    done = {fault: conductor.done.get(fault, 0) for fault in wanted}
    return [f"done: {done}, and not {wanted}"] if any(done[fault] < wanted[fault] for fault in wanted) else []


def _summary(company: Company, conductor: Conductor) -> str:
    runs = oracle.runs(company.oracle)
    done = ", ".join(f"{number} x {what} {kind}" for (what, kind), number in sorted(conductor.done.items()))
    again = sum(len(mine) > 1 for mine in runs.values())
    return f"{done}\n{len(runs):,} jobs, {again} of them started more than once; lives: {company.lives}"


@pytest.mark.slow
def test_two_minutes_of_it() -> None:
    perform(SHORT)


@pytest.mark.soak
def test_many_minutes_of_it() -> None:
    perform(LONG)
