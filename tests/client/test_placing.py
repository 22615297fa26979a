"""`priority=`, `where=`, `resources=`, `wait_for_nodes=`: how they travel, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.client import options as given
from lightwork.model.errors import CannotBePlaced, ClusterError, UserError, WhereError
from lightwork.model.states import JobState
from lightwork.wire import outcome
from lightwork.wire.messages import JobOptions, Submit
from lightwork.wire.outcome import Outcome
from tests.client import fake_scheduler

PLACING = {"priority": 5, "where": "memory>=8G", "resources": {"gpus": 1, "cpus": 2}, "wait_for_nodes": True}


def double(n):
    return 2 * n


def placed(options: JobOptions) -> tuple[Any, ...]:
    return options.priority, options.where, options.resources, options.wait_for_nodes


def test_a_cluster_says_it_for_all_its_jobs(make):
    cluster, fake = make(double, **PLACING)
    assert cluster.submit(1)() == 2
    assert list(cluster.map([1, 2])) == [2, 4]
    wanted = (5, "memory >= 8G", (("cpus", 2000), ("gpu", 1)), True)
    assert {placed(submit.options) for submit in fake.told(Submit)} == {wanted}


def test_options_say_it_for_some(make):
    cluster, fake = make(double, **PLACING)
    some = cluster.options(priority=-1000, where="  ", resources={}, wait_for_nodes=False)
    assert some.submit(1)() == 2
    assert cluster.options(resources={"cpus": 0.25}).submit(1)() == 2
    assert cluster.options(timeout=3).submit(1)() == 2
    assert [placed(submit.options) for submit in fake.told(Submit)] == [
        (-1000, "", (), False),
        (5, "memory >= 8G", (("cpus", 250),), True),
        (5, "memory >= 8G", (("cpus", 2000), ("gpu", 1)), True),
    ]


def test_without_them_nothing_is_said(make):
    cluster, fake = make(double, resources={"cpus": 1})
    assert cluster.submit(1)() == 2
    assert placed(fake.told(Submit)[0].options) == placed(JobOptions())


WRONG = [
    ({"priority": 1001}, "priority=1001"),
    ({"priority": 1.5}, "priority=1.5"),
    ({"priority": True}, "priority=True"),
    ({"priority": "high"}, "priority='high'"),
    ({"where": ["os"]}, "must be text"),
    ({"where": b"os"}, "must be text"),
    ({"where": "oss == 3"}, "oss is no name"),
    ({"resources": [1]}, "must be a dict"),
    ({"resources": {"gpu": 0}}, "gpu=0"),
    ({"wait_for_nodes": "yes"}, "wait_for_nodes='yes'"),
]


@pytest.mark.parametrize(("wrong", "what"), WRONG)
def test_what_is_wrong_is_an_error_at_once(make, wrong, what):
    with pytest.raises(UserError, match=what):
        make(double, **wrong)
    cluster, fake = make(double)
    with pytest.raises(UserError, match=what):
        cluster.options(**wrong)
    assert fake.told(Submit) == []


def test_the_place_of_a_mistake_is_known(make):
    with pytest.raises(
        WhereError, match=r"\n  memory >= 8G and gppu == 1\n {19}\^\nhint: did you mean gpu\?"
    ) as caught:
        make(double, where="memory >= 8G and gppu == 1")
    assert caught.value.position == 17


def test_text_that_has_no_utf_8_form(make):
    with pytest.raises(WhereError, match=r"cannot be sent(.|\n)*\?\"\n {14}\^$"):
        make(double, where='label.x == "\udc80"')


@pytest.mark.parametrize("weight", [0, -1, 0.001, 101, "2", True, None, float("nan"), float("inf")])
def test_weights(weight: Any):
    with pytest.raises(UserError, match="weight"):
        given.weight_of(weight)


def test_terms_are_said_if_they_must_be():
    assert given.terms(None, False, lasting=False) is None
    assert given.terms(1, False, lasting=False) is None
    terms = given.terms(2, False, lasting=False)
    assert terms is not None
    assert (terms.weight, terms.exclusive) == (2.0, False)
    assert given.terms(None, True, lasting=False) is not None
    assert given.terms(None, False, lasting=True) is not None, "an earlier life may have said something else"
    wrong: Any = 1
    with pytest.raises(UserError, match="exclusive=1"):
        given.terms(None, wrong, lasting=False)


def test_a_job_that_nobody_can_run_says_so(make):
    fields = {
        "type": b"CannotBePlaced",
        "message": b"no node has 9 gpu; the most is 2 on lab1",
        "hint": b"ask for less",
    }
    how = fake_scheduler.ended(JobState.FAILED, outcome.NOT_RUN | outcome.ENVELOPE, Outcome(b"", failure=fields))
    cluster, _fake = make(double, answer=lambda job: how, resources={"gpu": 9})
    job = cluster.submit(1)
    assert job() is None
    assert job.status is JobState.FAILED
    with pytest.raises(CannotBePlaced, match="no node has 9 gpu; the most is 2 on lab1\nhint: ask for less") as caught:
        job.get()
    assert isinstance(caught.value, ClusterError)
    assert "no node has 9 gpu" in (job.exception or "")
