"""Jobs that wait to be tried again: how long, in which order, and how they come back into their lines."""

from __future__ import annotations

import random
import time

import pytest

from lightwork.model.states import JobState
from lightwork.scheduler.core.delays import STEP_NS, Delays
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.queue import Queue
from lightwork.scheduler.core.retries import back_off_ns
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.wire.messages import Computation, JobOptions
from tests.e2e.helpers import PROMISED_S

SECOND_NS = 1_000_000_000


def group() -> Group:
    session = Session("s")
    session.computations["f"] = ComputationRecord(Computation("f", "function", "f"))
    return session.group("f", JobOptions())


def job(of: Group, ordinal: int) -> Job:
    return Job(ordinal, of, b"", ordinal)


def test_waits_grow_and_end_at_a_minute() -> None:
    waits = [back_off_ns("s", 1, retried) / SECOND_NS for retried in range(1, 12)]
    for usual, wait in zip((0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60), waits, strict=True):
        assert 0.75 * usual <= wait <= 1.25 * usual
    assert back_off_ns("s", 1, 1000) <= 75 * SECOND_NS


def test_waits_are_spread_and_always_the_same() -> None:
    waits = [back_off_ns("s", number, 1) for number in range(1000)]
    assert waits == [back_off_ns("s", number, 1) for number in range(1000)]
    assert min(waits) < 0.4 * SECOND_NS
    assert max(waits) > 0.6 * SECOND_NS
    assert 0.48 * SECOND_NS < sum(waits) / 1000 < 0.52 * SECOND_NS


def test_they_come_when_they_are_due_and_never_before() -> None:
    delays, of = Delays(), group()
    first, second = job(of, 1), job(of, 2)
    delays.add(second, 10 * SECOND_NS)
    delays.add(first, 5 * SECOND_NS)
    due_ns = delays.next_ns()
    assert 5 * SECOND_NS <= due_ns < 5 * SECOND_NS + STEP_NS
    assert delays.due(due_ns - 1) == []
    assert delays.due(due_ns) == [first]
    assert (delays.size, list(delays)) == (1, [second])


def test_what_has_ended_is_never_seen_again() -> None:
    delays, of = Delays(), group()
    one, other = job(of, 1), job(of, 2)
    delays.add(one, 1)
    delays.add(other, SECOND_NS)
    assert delays.drop(one)
    assert not delays.drop(one)
    assert delays.next_ns() >= SECOND_NS
    assert delays.soonest(10) == [other]
    assert delays.due(2 * SECOND_NS) == [other]
    assert delays.next_ns() == delays.size == 0


def test_those_that_failed_together_come_back_together() -> None:
    delays, of = Delays(), group()
    for number in range(1000):
        delays.add(job(of, number), back_off_ns("s", number, 1))
    turns = 0
    while delays.size:
        turns += 1
        assert delays.due(delays.next_ns())
    assert turns <= 0.25 * SECOND_NS / STEP_NS + 2


@pytest.mark.parametrize("seed", range(20))
def test_a_line_stays_in_order_whatever_comes_back(seed: int) -> None:
    chance, of, queue = random.Random(seed), group(), Queue()
    jobs = [job(of, ordinal) for ordinal in range(200)]
    queue.add(of, list(jobs))
    away: list[Job] = []
    for _ in range(60):
        if queue.size and chance.random() < 0.6:
            away += queue.take(of, chance.randint(1, 20), 1 << 62)
        elif away:
            chance.shuffle(away)
            back, away = away[: chance.randint(1, 30)], away[30:] if len(away) > 30 else []
            queue.put_back(back)
        for _, line in queue.lines():
            ordinals = [one.ordinal for one in line]
            assert ordinals == sorted(ordinals)
            assert len(line) == queue.size
    queue.put_back(away)
    assert all(one.state is JobState.QUEUED for one in jobs)


def test_coming_back_costs_little_wherever_it_is_in_the_line() -> None:
    of, queue = group(), Queue()
    queue.add(of, [job(of, 2 * ordinal) for ordinal in range(200_000)])
    began = time.perf_counter()
    for at in range(0, 4_000, 4):  # at both ends
        queue.put_back([job(of, at + 1)])
        queue.put_back([job(of, 400_000 - at - 1)])
    assert time.perf_counter() - began < PROMISED_S  # it takes 20 ms
    ordinals = [one.ordinal for _, line in queue.lines() for one in line]
    assert ordinals == sorted(ordinals)
