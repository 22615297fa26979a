"""The durable core, story by story: what is repeated over the next link, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.client.durable import TAKEN_JOBS, DurableCore
from lightwork.client.keeping import JOB_BYTES, Tag
from lightwork.client.records import Record
from lightwork.model.errors import JobCancelled, JobLost, JobNotRun, ProtocolError
from lightwork.model.states import JobState
from lightwork.wire.messages import (
    Accepted,
    Cancel,
    Close,
    Computation,
    Define,
    Detach,
    Earlier,
    JobOptions,
    Named,
    Opened,
    Place,
    Recall,
    RefusedJobs,
    Results,
    Running,
    Submit,
)

FINISHED = int(JobState.FINISHED)


class Under:
    def __init__(self, digest: str = "d", **options: Any) -> None:
        self.computation = Computation(digest, "function", digest)
        self.options = JobOptions(**options)


UNDER = Under()


def opened(first: int = 0, incarnation: int = 1) -> DurableCore[Any]:
    core: DurableCore[Any] = DurableCore()
    core.opened(Opened(incarnation, first))
    return core


def add(core: DurableCore[Any], count: int = 1, **tag: Any) -> list[Record]:
    records = [Record(UNDER) for _ in range(count)]
    for record in records:
        core.add(record, UNDER, b"x", Tag(**tag)) if tag else core.add(record, UNDER, b"x")
    return records


def sent_by(core: DurableCore[Any]) -> list[Any]:
    """What is sent now."""
    core.check()
    messages = [message for message, _ in core.outgoing()]
    core.outgoing().clear()
    core.check()
    return messages


def results(sequence: int, *jobs: int, state: int = FINISHED) -> tuple[Results, bytes]:
    count = len(jobs)
    columns = ([0] * count, [1] * count, [1] * count, [1] * count, [1] * count)
    return Results(sequence, "a", list(jobs), [state] * count, *columns), b"v" * count


def relink(core: DurableCore[Any]) -> list[Any]:
    """The link breaks, another is there: what goes over it first."""
    core.lost()
    core.check()
    assert (sent_by(core), core.taken_due(idle=True)) == ([], None), "nothing without a link"
    core.opened(Opened(core.incarnation, 0))
    return sent_by(core)


def earlier(*jobs: tuple[int, int, str, bool]) -> tuple[Earlier, bytes]:
    """Number, state, key, again."""
    numbers, states, keys, again = (list(column) for column in zip(*jobs, strict=True))
    blank = [b""] * len(jobs)
    message = Earlier(
        [("d", "f", "function")], numbers, [0] * len(jobs), states, keys, blank, blank, again, [2] * len(jobs)
    )
    return message, b"ab" * len(jobs)


def test_numbers_begin_where_the_scheduler_says() -> None:
    core: DurableCore[Any] = DurableCore()
    assert (core.ready, core.hello_incarnation) == (False, 0)
    core.opened(Opened(3, 17, 2))
    assert (core.ready, core.hello_incarnation, core.next) == (False, 0, 17)
    core.earlier(*earlier((4, 0, "", False)))
    assert not core.ready
    core.earlier(*earlier((9, FINISHED, "k", True)))
    assert (core.ready, core.hello_incarnation, core.left_behind()) == (True, 3, (1, 1))
    assert [(past.number, past.key, past.again, past.arguments) for past in core.past.values()] == [
        (4, "", False, b"ab"),
        (9, "k", True, b"ab"),
    ]
    (job,) = add(core)
    assert job.number == 17


def test_a_link_that_breaks_before_all_was_told_begins_another_life() -> None:
    core: DurableCore[Any] = DurableCore()
    core.opened(Opened(1, 5, 2))
    core.earlier(*earlier((0, 0, "", False)))
    core.lost()
    assert core.hello_incarnation == 0
    core.opened(Opened(2, 6, 0))
    assert (core.ready, core.next, core.past) == (True, 6, {})


def test_earlier_jobs_that_do_not_add_up_are_refused() -> None:
    core: DurableCore[Any] = DurableCore()
    core.opened(Opened(1, 5, 1))
    message, body = earlier((0, 0, "", False))
    with pytest.raises(ProtocolError):
        core.earlier(message, body + b"!")


def test_another_life_over_a_later_link_is_nonsense() -> None:
    core = opened(incarnation=2)
    core.lost()
    with pytest.raises(ProtocolError):
        core.opened(Opened(3, 0))


def test_what_is_not_accepted_is_repeated_with_its_computation() -> None:
    core = opened()
    add(core, 3)
    define, submit = sent_by(core)
    assert (type(define), submit.first, len(submit.lengths)) == (Define, 0, 3)
    again = relink(core)
    assert again == [define, submit]
    assert core.accepted(Accepted(3)) == []
    assert core.keeping.waiting_bytes == 0
    assert relink(core) == []
    add(core)
    assert [type(message) for message in sent_by(core)] == [Define, Submit], "it is defined anew over each link"


def test_jobs_submitted_without_a_link_go_over_the_next_one() -> None:
    core = opened()
    core.lost()
    jobs = add(core, 2)
    assert core.keeping.waiting_bytes == 2 * (1 + JOB_BYTES)
    assert sent_by(core) == []
    assert [type(message) for message in relink(core)] == [Define, Submit]
    assert core.results(*results(1, 0, 1)) == jobs


def test_keys_names_prints_and_large_arguments_travel_in_columns() -> None:
    core = opened()
    add(core)
    add(core, key="k", print=b"p", label=b"l")
    core.add(Record(UNDER), UNDER, b"", Tag(apart=1 << 20))
    _, submit = sent_by(core)
    assert (submit.keys, submit.prints, submit.ids) == (["", "k", ""], [b"", b"p", b""], [b"", b"l", b""])
    assert submit.apart == [Place(2, 0, 1 << 20)]
    assert core.heavy_bytes == 1 << 20
    assert core.keeping.waiting_bytes == 2 + (1 << 20) + 3 * JOB_BYTES
    assert core.accepted(Accepted(3)) == [2], "its copy is not needed any more"
    add(core)
    assert sent_by(core)[0].keys == []


def test_of_a_submit_only_what_is_open_is_repeated() -> None:
    core = opened()
    add(core, 2)
    add(core, 1, key="k")
    add(core, 2)
    core.add(Record(UNDER), UNDER, b"", Tag(apart=77, label=b"l"))
    sent_by(core)
    ended = core.refused_jobs(RefusedJobs([1, 4], "full", "make room"))
    assert [(job.number, job.state, str(job.extra.trouble)) for job in ended] == [
        (1, JobState.FAILED, "full\nhint: make room"),
        (4, JobState.FAILED, "full\nhint: make room"),
    ]
    assert isinstance(ended[0].extra.trouble, JobNotRun)
    _, *submits = relink(core)
    assert [(one.first, len(one.lengths)) for one in submits] == [(0, 1), (2, 2), (5, 1)]
    assert [one.keys for one in submits] == [[""], ["k", ""], [""]]
    assert [one.apart for one in submits] == [[], [], [Place(0, 0, 77)]]
    core.refused_jobs(RefusedJobs([0, 2, 3, 5], "full"))
    assert relink(core) == []
    assert (core.keeping.waiting_bytes, core.heavy_bytes, core.unfinished()) == (0, 0, 0)


def test_a_cancel_is_repeated_behind_its_job_until_that_has_ended() -> None:
    core = opened()
    jobs = add(core, 2)
    sent_by(core)
    assert core.cancel(jobs[:1]) == [Cancel([0])]
    core.lost()
    jobs += add(core)
    assert core.cancel(jobs[2:]) == [Cancel([2])]
    core.opened(Opened(1, 0))
    _, first, second, cancel = sent_by(core)
    assert (first.first, second.first, cancel) == (0, 2, Cancel([0, 2]))
    core.results(*results(1, 0, state=int(JobState.CANCELLED)))
    assert relink(core)[-1] == Cancel([2])


def test_results_count_anew_on_each_link_and_come_once() -> None:
    core = opened()
    one, two = add(core, 2)
    sent_by(core)
    assert core.results(*results(1, 0)) == [one]
    relink(core)
    assert core.results(*results(1, 0, 1)) == [two]
    assert core.results(*results(1, 0, 1)) == []


def test_taken_names_jobs_and_is_told_again_if_the_result_comes_again() -> None:
    core = opened()
    one, two = add(core, 2)
    sent_by(core)
    core.results(*results(1, 0, 1))
    core.take(one)
    taken = core.taken_due(idle=True)
    assert taken is not None
    assert (taken.jobs, taken.sequence) == ([0], 0)
    assert core.taken_due(idle=True) is None
    core.take(two)
    core.take(two)
    assert core.taken_due(idle=False) is None
    taken = core.taken_due(idle=True)
    assert taken is not None
    assert (taken.jobs, taken.sequence) == ([1], 1)
    relink(core)
    core.results(*results(1, 0, 1))
    taken = core.taken_due(idle=True)
    assert taken is not None
    assert taken.jobs == [0, 1], "the link had lost it, or the scheduler's death"


def test_a_result_that_comes_again_before_it_was_taken_is_not_told() -> None:
    core = opened()
    (job,) = add(core)
    sent_by(core)
    core.results(*results(1, 0))
    relink(core)
    core.results(*results(1, 0))
    due = core.taken_due(idle=True)
    assert due is None or due.jobs == []
    core.take(job)
    due = core.taken_due(idle=True)
    assert due is not None
    assert due.jobs == [0]


def test_many_taken_jobs_do_not_wait_for_an_idle_line() -> None:
    core = opened()
    jobs = add(core, TAKEN_JOBS + 1)
    sent_by(core)
    core.results(*results(1, *range(TAKEN_JOBS + 1)))
    for job in jobs[:-1]:
        core.take(job)
    assert core.due()
    taken = core.taken_due(idle=False)
    assert taken is not None
    assert len(taken.jobs) == TAKEN_JOBS


def test_the_end_of_a_job_whose_files_are_coming_may_come_again() -> None:
    core = opened()
    (job,) = add(core)
    sent_by(core)
    job.more().files_left = 1
    core.results(*results(1, 0))
    relink(core)
    assert core.results(*results(1, 0)) == []
    due = core.taken_due(idle=True)
    assert due is None or due.jobs == []
    assert core.release(job)
    core.take(job)
    due = core.taken_due(idle=True)
    assert due is not None
    assert due.jobs == [0]


def test_a_new_name_of_a_job() -> None:
    core = opened()
    add(core, 2)
    core.rename(1, b"early")
    submit = sent_by(core)[-1]
    assert submit.ids == [b"", b"early"]
    core.rename(0, b"late")
    assert core.due()
    assert sent_by(core) == [Named([0], [b"late"])]
    assert relink(core)[-1] == Named([0], [b"late"]), "it may have been lost"
    add(core)
    sent_by(core)
    core.accepted(Accepted(3))
    assert relink(core) == [], "a later job is on disk, and so is the name"
    core.rename(0, b"later")
    core.lost()
    core.rename(0, b"latest")
    core.opened(Opened(1, 0))
    assert sent_by(core) == [Named([0], [b"latest"])]


def test_recalled_jobs() -> None:
    core: DurableCore[Any] = DurableCore()
    core.opened(Opened(2, 10, 3))
    core.earlier(*earlier((1, 0, "", False), (2, FINISHED, "k", True), (3, FINISHED, "", False)))
    running, ended = Record(UNDER, number=1), Record(UNDER, number=2)
    core.recall(running)
    core.recall(ended)
    assert (core.unfinished(), core.left_behind()) == (2, (0, 1))
    assert sent_by(core) == [Recall([2])], "the other one has not ended"
    assert core.cancel([running, ended]) == [Cancel([1])]
    assert relink(core) == [Cancel([1]), Recall([1, 2])], "now it may have"
    assert core.results(*results(1, 1, 2)) == [running, ended]
    core.take(ended)
    due = core.taken_due(idle=True)
    assert due is not None
    relink(core)
    again = core.taken_due(idle=True)
    assert again is not None
    assert again.jobs == [2], "nothing else reminds us of a job of an earlier life"


def test_jobs_that_nobody_asked_for_are_known_to_have_ended() -> None:
    core: DurableCore[Any] = DurableCore()
    core.opened(Opened(2, 10, 2))
    core.earlier(*earlier((1, 0, "", False), (2, 0, "", False)))
    core.running(Running("a", [1], [5]))
    assert core.past[1].state == JobState.RUNNING
    core.requeued([1])
    assert core.past[1].state == JobState.QUEUED
    assert core.results(*results(1, 1)) == []
    assert core.left_behind() == (1, 1)
    assert core.taken_due(idle=True) is None or not core.taken_due(idle=True)
    assert relink(core) == [Recall([2])]
    job = Record(UNDER, number=1)
    core.recall(job)
    assert sent_by(core) == [Recall([1])]
    assert core.results(*results(1, 1)) == [job]


def test_the_last_word_goes_behind_everything_and_is_repeated() -> None:
    core = opened()
    add(core)
    core.leave(Close(cancel=True))
    assert [type(message) for message in sent_by(core)] == [Define, Submit, Close]
    assert [type(message) for message in relink(core)] == [Define, Submit, Close]
    core = opened()
    core.lost()
    core.leave(Detach())
    core.opened(Opened(1, 0))
    assert sent_by(core) == [Detach()]


def test_what_cannot_be_sent_is_not_repeated() -> None:
    core = opened()
    (job,) = add(core)
    outbox = core.outgoing()
    outbox.popleft()
    assert core.unsendable(outbox.popleft()[0], JobNotRun("too long")) == [job]
    assert relink(core) == []
    add(core)
    outbox = core.outgoing()
    ended = core.unsendable(outbox.popleft()[0], JobNotRun("too long"))
    assert [one.number for one in ended] == [1]
    assert relink(core) == []


def test_a_computation_that_was_defined_without_jobs_is_defined_again() -> None:
    core = opened()
    core.define(UNDER.computation)
    core.define(UNDER.computation)
    assert sent_by(core) == [Define(UNDER.computation)]
    assert relink(core) == [Define(UNDER.computation)]


def test_when_the_session_is_over_everything_open_ends() -> None:
    core = opened()
    jobs = add(core, 2)
    sent_by(core)
    core.lost()
    jobs += add(core, 1, key="k")
    assert {job.number for job in core.gone(JobState.LOST, JobLost("gone"))} == {0, 1, 2}
    core.check()
    assert (core.unfinished(), core.keeping.waiting_bytes, sent_by(core)) == (0, 0, [])
    assert core.gone(JobState.CANCELLED, JobCancelled()) == []


def test_an_interrupted_add_leaves_no_key_behind() -> None:
    """Ctrl-C between the tag and the job: the next job of that number is another one."""
    core = opened()
    core.keeping.tag(0, Tag(key="k"))
    add(core)
    assert sent_by(core)[-1].keys == []
