"""`job.history`, and what stats() says of second tries."""

from __future__ import annotations

import time

import pytest

from lightwork.client.history import HOW, Attempt
from lightwork.client.options import retries_of
from lightwork.model.errors import UserError
from lightwork.model.states import JobState
from lightwork.wire import messages as say, outcome
from tests.client.fake_scheduler import ended, raised, value


def double(n):
    return 2 * n


def test_a_job_that_has_not_ended_has_none(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    cluster.status()
    fake.start(0)
    assert job.history == []
    fake.end(0)
    job()
    assert [attempt[:1] + attempt[3:] for attempt in job.history] == [("here", "returned", "")]
    assert abs((job.history[0].start or 0) - time.time()) < 60
    assert job.history[0].duration == 0.001


def test_earlier_attempts_come_first_and_belong_to_their_job(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(3)]
    cluster.status()
    earlier = [
        say.Attempt("a", 5_000_000_000, 2_000_000_000, outcome.RAISED, "ValueError: no"),
        say.Attempt("b", 0, 0, outcome.DIED, "node b is lost"),
    ]
    fake.sequence += 1
    states, statuses, bodies = zip(*[value(1), value(2), raised(KeyError("x"))])
    message = say.Results(
        fake.sequence,
        "c",
        [0, 1, 2],
        list(states),
        list(statuses),
        [9_000_000_000] * 3,
        [1_000_000_000] * 3,
        [1, 3, 2],
        list(map(len, bodies)),
    )
    message.histories = [(1, earlier), (2, earlier[:1])]
    fake.send(message, b"".join(bodies))
    assert [job() for job in jobs] == [1, 2, None]
    first = Attempt("a", 5.0, 2.0, "raised", "ValueError: no")
    assert jobs[0].history == [Attempt("c", 9.0, 1.0, "returned", "")]
    assert jobs[1].history == [
        first,
        Attempt("b", None, 0.0, "died", "node b is lost"),
        Attempt("c", 9.0, 1.0, "returned"),
    ]
    assert jobs[2].history == [first, Attempt("c", 9.0, 1.0, "raised", "KeyError: 'x'")]


def test_one_that_was_not_started_again_has_no_last_attempt(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    cluster.status()
    failure = {"type": b"JobCancelled", "message": b"cancelled while it waited"}
    state, status, body = ended(JobState.CANCELLED, outcome.CANCELLED, outcome.Outcome(b"", failure=failure))
    fake.sequence += 1
    message = say.Results(fake.sequence, "", [0], [state], [status], [0], [0], [1], [len(body)])
    message.histories = [(0, [say.Attempt("a", 1, 1, outcome.EXITED)])]
    fake.send(message, body)
    job()
    assert [(attempt.node, attempt.how) for attempt in job.history] == [("a", "exited")]


def test_every_way_to_end_has_a_word():
    kinds = {number for name, number in vars(outcome).items() if name.isupper() and isinstance(number, int)}
    ways = {number for number in kinds if number <= outcome.UNSENDABLE}
    assert set(HOW) == ways


def test_stats_tell_of_retries_and_twins(make, capsys):
    cluster, fake = make(double)
    cluster.submit(1)()
    cluster.stats()
    assert "again" not in capsys.readouterr().out
    fake.counts = {"retried": 3, "twins_started": 2, "twins_won": 1}
    cluster.stats()
    out = capsys.readouterr().out
    assert "tried again: 3 times" in out
    assert "second attempts of slow jobs: 2 (1 were faster)" in out
    assert cluster.status().twins_won == 1


def test_retries_reach_the_scheduler(make):
    cluster, fake = make(double, hold=True, retries=2)
    cluster.submit(1)
    cluster.options(retries=5).submit(2)
    cluster.options(retries=0).submit(3)
    cluster.options(timeout=1).submit(4)
    cluster.status()
    assert [fake.jobs[number].options.retries for number in range(4)] == [2, 5, 0, 2]


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", 1001])
def test_what_is_no_number_of_retries(wrong):
    with pytest.raises(UserError, match="retries"):
        retries_of(wrong)
    assert retries_of(1000) == 1000
