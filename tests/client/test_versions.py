"""Nodes with other versions of Python: what is packed for them, and what is refused before it is submitted."""

from __future__ import annotations

import sys

import pytest

from lightwork.model.errors import CannotTravel
from lightwork.security.secret import generate
from lightwork.wire.messages import Attempted, Define, NodeStatus, Submit, Tailor
from tests.client.fake_scheduler import NODE

OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"
OLD = NodeStatus("old", slots=2, pythons=("3.8", "3.9"))
SAME = NodeStatus("same", slots=2, pythons=("3.8", OURS))


def double(n):
    return 2 * n


def call(function, *args):
    return function(*args)


def prepare(value):
    return value


def sourceless():
    """A function that has no source anywhere."""
    names: dict = {}
    exec("def made(n):\n    return 2 * n\n", names)
    return names["made"]


def test_source_is_packed_where_other_machines_may_work(make):
    cluster, fake = make(double, secret=generate())
    cluster.submit(1)()
    far = fake.told(Define)[0].computation
    assert far.untravellable == ""
    assert b"double" in far.source, "by name; its module goes along as a file"
    cluster, fake = make(double)
    cluster.submit(1)()
    near = fake.told(Define)[0].computation
    assert (near.source, bool(near.untravellable)) == (b"", True)


def test_what_cannot_go_to_any_node_is_refused_at_submit(make):
    cluster, fake = make(sourceless(), secret=generate(), node=OLD)
    cluster.status()
    with pytest.raises(CannotTravel) as caught:
        cluster.submit(1)
    for part in (f"Python {OURS}", "3.8 and 3.9", "made"):
        assert part in str(caught.value)
    assert fake.told(Submit) == []
    fake.add_node(SAME)
    cluster.status()
    assert cluster.submit(1)() == 2
    with pytest.raises(CannotTravel):
        cluster.submit_node("old", 1)
    assert cluster.submit_node("same", 1)() == 2


def test_one_that_may_still_come_may_have_it(make):
    cluster, fake = make(sourceless(), secret=generate(), node=OLD, hold=True)
    fake.attempted = [Attempted("tcp:lab1:9701", "trying")]
    cluster.status()
    cluster.submit(1)
    fake.attempted = [Attempted("tcp:lab1:9701", "refused", "another secret")]
    with pytest.raises(CannotTravel):
        cluster.submit(1)


def test_nothing_is_refused_while_no_version_is_known(make):
    cluster, _fake = make(sourceless(), secret=generate(), node=NODE)
    cluster.status()
    assert cluster.submit(1)() == 2


def test_on_this_machine_alone_nobody_asks(make):
    cluster, _fake = make(sourceless(), node=OLD)
    cluster.status()
    assert cluster.submit(1)() == 2


def test_a_job_with_bytecode_in_its_arguments_goes_to_our_version_and_the_others_anywhere(make):
    cluster, fake = make(call, secret=generate(), node=SAME)
    cluster.status()
    jobs = [cluster.submit(max, 1, 2), cluster.submit(lambda n: n + 1, 1), cluster.submit(min, 1, 2)]
    jobs += [cluster.submit(lambda n: n + 2, 1)]
    assert [job() for job in jobs] == [2, 2, 1, 3]
    defined = {one.computation.digest: one.computation for one in fake.told(Define)}
    assert len(defined) == 2
    kinds = [bool(defined[one.computation].untravellable) for one in fake.told(Submit) for _ in one.lengths]
    assert kinds == [False, True, False, True]
    fake.drop_node(SAME)
    fake.add_node(OLD)
    cluster.status()
    assert cluster.submit(max, 1, 2)() == 2
    with pytest.raises(CannotTravel, match="arguments"):
        cluster.submit(lambda n: n, 1)
    with pytest.raises(CannotTravel, match="arguments"):
        list(cluster.map([lambda n: n], [1]))


def test_a_node_s_own_setup_goes_as_source_too(make):
    _cluster, fake = make(double, nodes=[("lab1", None, 0, [], ("mine",))], secret=generate(), setup=prepare)
    from lightwork.wire.messages import OfferNode

    fake.send(OfferNode(0, OLD))
    fake.wait(lambda: fake.told(Tailor))
    made = fake.told(Tailor)[0].tailoring
    assert b"mine" in made.setup
    assert b"mine" in made.setup_source
    assert b"prepare" in made.setup_source
