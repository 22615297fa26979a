"""The client's pure core: identity, batches, results once, taken, what a lost line means."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from lightwork.client.core import HEAVY, SUBMIT_BYTES_MAX, TAKEN_EVERY, ClientCore
from lightwork.client.records import Record
from lightwork.config.limits import SUBMIT_JOBS_MAX
from lightwork.model.errors import JobLost, ProtocolError
from lightwork.model.states import JobState
from lightwork.wire.messages import Computation, Define, JobOptions, Place, Results, Running, Submit


class Under:
    def __init__(self, digest="d", **options):
        self.computation = Computation(digest, "function", digest)
        self.options = JobOptions(**options)


def new_core() -> Any:
    return ClientCore()


def record():
    return Record(None)


def add(core, under, count=1, payload=b"x"):
    records = [record() for _ in range(count)]
    for made in records:
        core.add(made, under, payload)
    return records


def sent_by(core):
    """What is sent now."""
    messages = list(core.outgoing())
    core.outgoing().clear()
    return messages


def results(sequence, jobs, states=None, bodies=None):
    count = len(jobs)
    bodies = bodies or [b"v%d" % job for job in jobs]
    states = states or [int(JobState.FINISHED)] * count
    columns = ([0] * count, [1] * count, [1] * count, [1] * count, list(map(len, bodies)))
    return Results(sequence, "a", list(jobs), states, *columns), b"".join(bodies)


def test_numbers_count_up_and_a_computation_is_defined_once():
    core, under = new_core(), Under()
    first = add(core, under, 3, b"abc")
    assert [made.number for made in first] == [0, 1, 2]
    define, submit = sent_by(core)
    assert isinstance(define[0], Define)
    assert submit == (Submit("d", 0, [3, 3, 3], under.options), b"abcabcabc")
    add(core, under, 2)
    assert [(message.first, message.lengths) for message, _ in sent_by(core)] == [(3, [1, 1])]
    assert sent_by(core) == []
    assert [made.raw for made in first] == [None] * 3, "arguments are let go once they are sent"


def test_jobs_of_other_options_travel_in_other_messages_in_order():
    core, one, two = new_core(), Under("one"), Under("one", timeout_ns=5)
    for under in (one, two, two, one):
        add(core, under)
    messages = [message for message, _ in sent_by(core)]
    assert [type(message).__name__ for message in messages] == ["Define", "Submit", "Submit", "Submit"]
    assert [(m.first, len(m.lengths), m.options.timeout_ns) for m in messages[1:]] == [(0, 1, 0), (1, 2, 5), (3, 1, 0)]


def test_a_message_has_so_many_jobs_and_bytes_at_most():
    core, under = new_core(), Under()
    add(core, under, 2 * SUBMIT_JOBS_MAX + 1)
    sizes = [(m.first, len(m.lengths)) for m, _ in sent_by(core) if isinstance(m, Submit)]
    assert sizes == [(0, SUBMIT_JOBS_MAX), (SUBMIT_JOBS_MAX, SUBMIT_JOBS_MAX), (2 * SUBMIT_JOBS_MAX, 1)]
    add(core, under, 3, b"x" * (SUBMIT_BYTES_MAX // 2))
    add(core, under, 1, b"x" * (SUBMIT_BYTES_MAX + 1))
    messages = sent_by(core)
    assert [len(m.lengths) for m, _ in messages] == [2, 1, 1]
    assert all(sum(m.lengths) == len(body) for m, body in messages)


def test_a_place_in_the_arena_goes_with_its_job():
    core, under = new_core(), Under()
    add(core, under)
    large = record()
    large.more().place = Place(0, 4096, 300_000)
    core.add(large, under, b"reference")
    submit = sent_by(core)[1][0]
    assert submit.places == [Place(1, 4096, 300_000)]


def test_each_result_comes_once():
    core, under = new_core(), Under()
    jobs = add(core, under, 3)
    sent_by(core)
    ended = core.results(*results(1, [2, 0]))
    assert [made.number for made in ended] == [2, 0]
    assert (jobs[2].raw, jobs[0].raw, jobs[1].state) == (b"v2", b"v0", 0)
    assert core.results(*results(1, [2, 0], bodies=[b"other", b"other"])) == [], "a repeated batch"
    assert core.results(*results(2, [2, 77], bodies=[b"late", b"foreign"])) == [], "ended already; never ours"
    assert jobs[2].raw == b"v2"
    assert core.unfinished() == 1
    assert core.ended == 2


def test_results_that_do_not_add_up_are_refused():
    core = new_core()
    add(core, Under())
    sent_by(core)
    message, body = results(1, [0])
    with pytest.raises(ProtocolError):
        core.results(message, body + b"!")


def test_running_and_requeued_follow_the_table():
    core = new_core()
    one, two = add(core, Under(), 2)
    sent_by(core)
    core.results(*results(1, [0]))
    assert core.running(Running("a", [0, 1, 9], [5, 6, 7])) == [two]
    assert (one.state, two.state, two.news.message.starts_ns[two.index]) == (JobState.FINISHED, JobState.RUNNING, 6)
    two.more().provisional = "half"
    core.requeued([0, 1])
    assert (one.state, two.state, two.extra.provisional) == (JobState.FINISHED, JobState.QUEUED, None)


def test_taken_is_told_in_order_of_batches():
    core = new_core()
    jobs = add(core, Under(), 4)
    sent_by(core)
    core.results(*results(1, [0, 1]))
    core.results(*results(2, [2, 3]))
    core.take(jobs[2])
    core.take(jobs[3])
    assert core.taken_due(idle=True) is None, "batch 1 is not taken"
    core.take(jobs[0])
    core.take(jobs[0])
    assert core.taken_due(idle=True) is None, "job 0 counts once"
    core.take(jobs[1])
    assert core.taken_due(idle=True).sequence == 2
    assert core.taken_due(idle=True) is None, "told already"


def test_taken_waits_for_an_idle_line_but_not_for_ever():
    core = new_core()
    jobs = add(core, Under(), TAKEN_EVERY)
    sent_by(core)
    for number, job in enumerate(jobs):
        core.results(*results(number + 1, [number]))
        assert core.taken_due(idle=False) is None
        core.take(job)
    assert core.taken_due(idle=False).sequence == TAKEN_EVERY


def test_regions_and_spooled_files_are_given_back():
    core = new_core()
    core.free(4096)
    core.fetched(17)
    told = core.taken_due(idle=False)
    assert (told.regions, told.spooled) == ([4096], [17])
    assert core.taken_due(idle=True) is None


def test_a_job_with_files_ends_when_they_are_here():
    core = new_core()
    (job,) = add(core, Under())
    sent_by(core)
    job.more().files_left = 2
    assert core.results(*results(1, [0])) == []
    assert (job.state, core.unfinished(), core.ended) == (JobState.QUEUED, 1, 0)
    assert core.release(job)
    assert (job.state, core.unfinished(), core.ended) == (JobState.FINISHED, 0, 1)
    assert not core.release(job)


def test_a_job_whose_files_are_lost_has_failed():
    core = new_core()
    (job,) = add(core, Under())
    sent_by(core)
    job.more().files_left = 1
    core.results(*results(1, [0]))
    job.more().trouble = OSError("disk full")
    core.release(job)
    assert job.state == JobState.FAILED
    assert (core.failed, core.first_failed) == (1, job)


def test_when_the_line_is_lost_everything_open_ends():
    core, under = new_core(), Under()
    ended, held, running = add(core, under, 3)
    sent_by(core)
    held.more().files_left = 1
    core.results(*results(1, [0, 1]))
    core.running(Running("a", [2], [1]))
    (unsent,) = add(core, under)
    why = JobLost("gone")
    assert core.gone(JobState.LOST, why) == [unsent, running, held]
    assert {job.state for job in (held, running, unsent)} == {JobState.LOST}
    assert all(job.extra.trouble is why for job in (held, running, unsent))
    assert ended.state == JobState.FINISHED
    assert (core.unfinished(), sent_by(core), core.failed) == (0, [], 3)
    assert core.gone(JobState.LOST, why) == []


def test_cancel_names_what_has_not_ended():
    core = new_core()
    jobs = add(core, Under(), 3)
    sent_by(core)
    core.results(*results(1, [1]))
    assert [message.jobs for message in core.cancel(jobs)] == [[0, 2]]
    assert core.cancel([jobs[1]]) == []


def test_large_arguments_are_counted_until_their_jobs_end():
    core = new_core()
    add(core, Under(), 2, b"x" * HEAVY)
    add(core, Under())
    sent_by(core)
    assert core.heavy_bytes == 2 * HEAVY
    core.results(*results(1, [1, 2]))
    assert core.heavy_bytes == HEAVY
    core.gone(JobState.LOST, JobLost())
    assert (core.heavy_bytes, core.heavy) == (0, {})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_any_order_of_events_keeps_the_counts(seed):
    """Random submits, sends, results (some repeated, some foreign), starts, requeues and takes: the books balance."""
    chance = random.Random(seed)
    core, plans = new_core(), [Under("a"), Under("b", timeout_ns=1)]
    jobs, sequence, told, last = [], 0, 0, None
    sent: list[int] = []
    for _ in range(60):
        action = chance.randrange(7)
        if action < 2:
            jobs += add(core, chance.choice(plans), chance.randint(1, 5))
        elif action == 2:
            for message, _ in sent_by(core):
                if isinstance(message, Submit):
                    sent += range(message.first, message.first + len(message.lengths))
        elif action == 3 and sent:
            sequence += 1
            numbers = chance.sample(sent, chance.randint(1, min(5, len(sent))))
            last = results(sequence, numbers, [chance.randint(2, 7) for _ in numbers])
            core.results(*last)
        elif action == 4 and last is not None:
            assert core.results(*last) == []
        elif action == 5 and sent:
            number = chance.choice(sent)
            core.running(Running("a", [number], [1])) if chance.random() < 0.5 else core.requeued([number])
        elif jobs:
            core.take(chance.choice(jobs))
            due = core.taken_due(idle=True)
            told = max(told, due.sequence) if due else told
        ended = [job for job in jobs if job.state >= JobState.FINISHED]
        assert sent == list(range(len(sent)))
        assert core.unfinished() == len(jobs) - len(ended)
        assert core.ended == len(ended)
        assert core.failed == sum(job.state not in (JobState.FINISHED, JobState.CANCELLED) for job in ended)
        assert told <= sequence
    for job in jobs:
        core.take(job)
    due = core.taken_due(idle=True)
    assert max(told, due.sequence if due else 0) == sequence


def test_an_interrupt_while_sending_repeats_and_loses_nothing():
    """Ctrl-C may strike between any two steps: what was not taken out of the outbox is sent, if need be again."""
    core, under = new_core(), Under()
    add(core, under, 3)
    outbox = core.outgoing()
    assert [type(message).__name__ for message, _ in outbox] == ["Define", "Submit"]
    outbox.popleft()
    add(core, under)
    assert [getattr(message, "first", None) for message, _ in core.outgoing()] == [0, 3]
