"""`as_completed`: from lists, iterators, and producers that react to results."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.model.errors import UserError
from lightwork.model.states import JobState
from lightwork.wire.messages import Taken


def double(n):
    return 2 * n


def test_jobs_come_as_they_end(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(4)]
    fake.wait_jobs(4)
    fake.end(2)
    fake.end(0, 3)
    completed = cluster.as_completed(jobs)
    assert {next(completed).id for _ in range(3)} == {0, 2, 3}
    fake.end(1)
    assert [job.id for job in completed] == [1]


def test_jobs_that_have_ended_already_count(make):
    cluster, _ = make(double)
    jobs = [cluster.submit(n) for n in range(10)]
    cluster.wait(10)
    assert {job.result for job in cluster.as_completed(jobs)} == {2 * n for n in range(10)}
    assert list(cluster.as_completed([])) == []


def test_a_million_could_be_submitted_on_the_way(make):
    cluster, _ = make(double)
    most = 0

    def count():
        nonlocal most
        for n in range(3000):
            job = cluster.submit(n)
            most = max(most, n - done)
            yield job

    done = 0
    total = 0
    for job in cluster.as_completed(count(), limit=50):
        done += 1
        total += job.result
    assert (done, total) == (3000, 2 * sum(range(3000)))
    assert most <= 51


def test_a_producer_sees_what_has_ended(make):
    cluster, _ = make(double)

    def produce():
        value = 1
        while value < 1000:
            yield cluster.submit(value)
            ended = yield
            assert [job.status for job in ended] == [JobState.FINISHED]
            value = ended[0].result

    assert [job.result for job in cluster.as_completed(produce())] == [2**n for n in range(1, 11)]


def test_a_producer_with_several_open_jobs_is_told_of_each_once(make):
    cluster, _ = make(double)
    told: list[Any] = []

    def produce():
        for n in range(20):
            told.extend((yield cluster.submit(n)) or ())
        while len(told) < 20:
            told.extend((yield))

    completed = list(cluster.as_completed(produce(), limit=4))
    assert sorted(job.id for job in completed) == list(range(20))
    assert [job.id for job in told] == [job.id for job in completed]


def test_a_producer_that_waits_for_nothing_is_told(make):
    cluster, _ = make(double)

    def produce():
        yield None

    with pytest.raises(UserError, match="none of its jobs is open"):
        list(cluster.as_completed(produce()))


def test_an_error_of_the_producer_is_raised(make):
    cluster, _ = make(double)

    def produce():
        yield cluster.submit(1)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        list(cluster.as_completed(produce()))


def test_wrong_calls(make):
    cluster, _ = make(double)
    with pytest.raises(UserError, match="takes jobs"):
        list(cluster.as_completed([1]))
    with pytest.raises(UserError):
        cluster.as_completed([], limit=0)


def test_a_job_is_taken_when_the_next_is_asked_for(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(2)]
    fake.wait_jobs(2)
    fake.end(0)
    fake.end(1)
    completed = cluster.as_completed(jobs)
    next(completed)
    assert not cluster._session.core._taken
    next(completed)
    fake.wait(lambda: fake.told(Taken))
    assert cluster._session.core._taken == 1
