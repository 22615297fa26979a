"""`map`: chunks, order, windows, errors that name the item."""

from __future__ import annotations

import itertools

import pytest

from lightwork.client import mapping
from lightwork.client.mapping import Sizer
from lightwork.model.errors import UserError
from lightwork.wire.messages import Cancel, Submit


def double(n):
    return 2 * n


def power(a, b):
    return a**b


def picky(n):
    if n == 17:
        raise ValueError("not 17")
    return n


def submitted(fake):
    return sum(len(message.lengths) for message in fake.told(Submit))


def test_results_come_in_order(make):
    cluster, _ = make(double)
    assert list(cluster.map(range(2000))) == [2 * n for n in range(2000)]
    assert list(cluster.map([])) == []
    assert list(cluster.map(iter("ab"))) == ["aa", "bb"]


def test_unordered_results_are_all_there(make):
    cluster, _ = make(double)
    assert sorted(cluster.map(range(2000), ordered=False)) == [2 * n for n in range(2000)]


def test_several_iterables_and_another_function(make):
    cluster, _ = make(double)
    assert list(cluster.map(power, [2, 3, 4], itertools.count(1))) == [2, 9, 64]
    assert list(cluster.options(computation=power).map([2, 3], [5, 6])) == [32, 729]


def test_one_item_a_chunk_gives_jobs_with_their_own_arguments(make):
    cluster, fake = make(double)
    assert list(cluster.map(range(50), chunksize=1)) == [2 * n for n in range(50)]
    assert submitted(fake) == 50
    assert not any(message.options.chunk for message in fake.told(Submit))


def test_fixed_chunks(make):
    cluster, fake = make(double)
    assert list(cluster.map(range(50), chunksize=20)) == [2 * n for n in range(50)]
    assert submitted(fake) == 3
    assert all(message.options.chunk for message in fake.told(Submit))


def test_small_items_share_jobs_once_they_are_measured(make):
    cluster, fake = make(double)
    assert len(list(cluster.map(iter(range(30_000))))) == 30_000
    assert submitted(fake) < 6000


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("chunksize", [1, 5, None])
def test_an_error_names_its_item_and_ends_the_map(make, ordered, chunksize):
    cluster, fake = make(picky, hold=True)
    results = cluster.map(range(40), ordered=ordered, chunksize=chunksize)
    fake.wait_jobs(8)
    fake.hold = False
    for number in list(fake.jobs):
        job = fake.jobs[number]
        how = fake.answer(job)
        if how[0] == 3 and job.options.chunk:
            from tests.client.fake_scheduler import raised

            how = raised(ValueError("not 17"), item=str(17 % (chunksize or 1)))
        fake.end(number, how=how)
    got = []
    with pytest.raises(ValueError, match="not 17") as caught:
        for result in results:
            got.append(result)
    assert "in item 17 of the map" in caught.value.__notes__
    if ordered:
        assert got == list(range(17 - 17 % (chunksize or 1)))
    assert list(results) == []


def test_no_more_than_a_window_is_under_way(make, monkeypatch):
    monkeypatch.setattr(mapping, "WINDOW_JOBS", 10)
    cluster, fake = make(double, hold=True)
    pulled = []

    def items():
        for n in range(100):
            pulled.append(n)
            yield n

    results = cluster.map(items(), chunksize=1)
    fake.wait_jobs(10)
    assert len(pulled) == 10, "the work begins at once, and goes so far"
    fake.end(*range(10))
    assert next(results) == 0
    fake.wait_jobs(1)
    assert len(pulled) == 11
    fake.hold = False
    fake.end(10)
    assert list(results) == [2 * n for n in range(1, 100)]


def test_large_results_narrow_the_window(make):
    def large(n):
        return b"x" * (1 << 20)

    cluster, fake = make(large)
    fake.batch = 4
    results = cluster.map(range(500), chunksize=1)
    assert [len(next(results)) for _ in range(3)] == [1 << 20] * 3
    results.close()
    assert submitted(fake) < 1100


def test_a_map_that_nobody_finishes_cancels_what_is_left(make):
    cluster, fake = make(double, hold=True)
    results = cluster.map(range(30), chunksize=1)
    fake.wait_jobs(30)
    fake.end(0)
    assert next(results) == 0
    results.close()
    fake.wait(lambda: fake.told(Cancel))
    assert fake.told(Cancel)[0].jobs == list(range(1, 30))


def test_wrong_calls(make, tmp_path):
    cluster, _ = make(double)
    for call in (lambda: cluster.map(), lambda: cluster.map([1], chunksize=0)):
        with pytest.raises(UserError):
            call()
    program = tmp_path / "p"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    other, _ = make(str(program))
    with pytest.raises(UserError):
        other.map(["a"], chunksize=5)
    assert list(other.map(["a", "b"])) == [0, 0]


def test_the_size_of_a_chunk_follows_from_measured_time():
    sizer = Sizer(None, slots=2, total=None)
    assert [sizer.next() for _ in range(10)] == [1] * 10, "nothing is measured"
    sizer.measured(1, 0.001)
    assert sizer.next() == 50
    sizer.measured(50, 5.0)
    assert 1 <= sizer.next() <= 2
    few = Sizer(None, slots=2, total=100)
    first = [few.next() for _ in range(8)]
    few.measured(1, 1e-6)
    assert first == [1] * 8
    assert few.next() == 12, "the rest is shared among the slots, some chunks each"
    assert Sizer(7, 2, None).next() == 7
