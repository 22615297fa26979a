"""Large arguments and results in shared memory: who has which region, and when it is given back."""

from __future__ import annotations

import gc
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest

from lightwork.model.errors import ArenaFull
from lightwork.model.states import JobState
from lightwork.payload.gather import LargePayload, gather
from lightwork.payload.reading import unpack_value
from lightwork.wire.messages import Provisional, Submit, Taken
from lightwork.wire.outcome import ARENA_REFERENCE, ENVELOPE, IN_ARENA, RETURNED, Outcome, Stream, encode_outcome
from tests.client.fake_scheduler import RealArenas

MB = 1 << 20


def size_of(data):
    return len(data)


@pytest.fixture
def arenas():
    made = RealArenas()
    yield made
    made.close()


def in_arena(arenas, value, *, envelope=False):
    """How a job ended whose large result a worker wrote there; and the region."""
    payload = gather(value, lambda file, take: pickle.Pickler(file, 5, buffer_callback=take))
    assert isinstance(payload, LargePayload)
    offset = arenas.results.allocate(payload.size)
    payload.write_into(arenas.results.view(offset, payload.size))
    reference = ARENA_REFERENCE.pack(offset, payload.size)
    if envelope:
        whole = encode_outcome(Outcome(reference, Stream(b"printed")))
        return (int(JobState.FINISHED), RETURNED | IN_ARENA | ENVELOPE, whole), offset
    return (int(JobState.FINISHED), RETURNED | IN_ARENA, reference), offset


def freed(fake):
    return [offset for message in fake.told(Taken) for offset in message.regions]


def test_large_arguments_lie_in_the_arena_until_their_job_has_ended(make, arenas):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    job = cluster.submit(b"x" * MB)
    fake.wait_jobs(1)
    (submit,) = fake.told(Submit)
    place = submit.places[0]
    assert ARENA_REFERENCE.unpack(fake.jobs[0].payload) == (place.offset, place.size)
    assert unpack_value(arenas.arguments.view(place.offset, place.size)) == ((b"x" * MB,), {})
    assert arenas.arguments.regions.used >= MB
    fake.end(0, how=(int(JobState.FINISHED), RETURNED, pickle.dumps(MB)))
    assert job() == MB
    fake.wait(lambda: arenas.arguments.regions.used == 0)


def test_submit_waits_for_room(make, arenas):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    jobs: list[Any] = []
    thread = threading.Thread(target=lambda: jobs.extend(cluster.submit(b"x" * (3 * MB)) for _ in range(4)))
    thread.start()
    fake.wait_jobs(2)
    time.sleep(0.1)
    assert len(fake.jobs) == 2, "8 MB have no room for three of them"
    for number in range(4):
        fake.wait(lambda number=number: number in fake.jobs)
        fake.end(number, how=(int(JobState.FINISHED), RETURNED, pickle.dumps(number)))
    thread.join(10)
    assert [job() for job in jobs] == [0, 1, 2, 3]


def test_arguments_larger_than_the_arena_travel_in_the_message(make, arenas):
    cluster, fake = make(size_of, arenas=arenas)
    assert cluster.submit(b"x" * (9 * MB))() == 9 * MB
    assert not fake.told(Submit)[0].places
    with pytest.raises(ArenaFull, match="shared memory"):
        cluster.submit(b"x" * (70 * MB))
    assert cluster.submit(b"1")() == 1


@pytest.mark.parametrize("envelope", [False, True])
def test_a_region_is_free_when_the_last_array_is_gone(make, arenas, envelope):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    job = cluster.submit(b"")
    fake.wait_jobs(1)
    data = np.arange(MB // 4, dtype=np.float64)
    how, offset = in_arena(arenas, data, envelope=envelope)
    fake.end(0, how=how)
    array = job()
    assert (array == data).all()
    array += 1
    assert job.result is array
    assert job.stdout == ("printed" if envelope else "")
    time.sleep(0.1)
    assert freed(fake) == []
    del array, job
    gc.collect()
    cluster.cancel([])
    cluster.status()
    fake.wait(lambda: freed(fake) == [offset])


def test_a_result_that_nobody_ever_opens_is_freed_with_its_job(make, arenas):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    job = cluster.submit(b"")
    fake.wait_jobs(1)
    how, offset = in_arena(arenas, b"y" * MB)
    fake.end(0, how=how)
    assert cluster.wait(10)
    assert cluster._session.payloads.unopened() == 1
    del job
    gc.collect()
    cluster.status()
    fake.wait(lambda: freed(fake) == [offset])
    assert cluster._session.payloads.unopened() == 0


def test_two_threads_that_open_one_result_free_it_once(make, arenas):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    job = cluster.submit(b"")
    fake.wait_jobs(1)
    how, offset = in_arena(arenas, b"y" * MB)
    got = []
    threads = [threading.Thread(target=lambda: got.append(job())) for _ in range(8)]
    for thread in threads:
        thread.start()
    fake.end(0, how=how)
    for thread in threads:
        thread.join(10)
    assert len(got) == 8
    assert all(value is got[0] for value in got)
    cluster.status()
    fake.wait(lambda: freed(fake))
    assert freed(fake) == [offset]


def test_results_outlive_the_cluster(make, arenas):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    jobs = [cluster.submit(b""), cluster.submit(b"")]
    fake.wait_jobs(2)
    for number, letter in enumerate((b"y", b"z")):
        fake.end(number, how=in_arena(arenas, letter * MB)[0])
    assert jobs[0]() == b"y" * MB
    cluster.close()
    assert jobs[1]() == b"z" * MB


def test_provisional_results_that_nobody_saw_are_freed(make, arenas):
    cluster, fake = make(size_of, hold=True, arenas=arenas)
    job = cluster.submit(b"")
    fake.wait_jobs(1)
    offsets = []
    for letter in (b"a", b"b"):
        (_, _, reference), offset = in_arena(arenas, letter * MB)
        offsets.append(offset)
        fake.send(Provisional(0, in_arena=True), reference)
    fake.wait(lambda: job.result == b"b" * MB)
    cluster.status()
    fake.wait(lambda: sorted(freed(fake)) == sorted(offsets))
    fake.end(0, how=(int(JobState.FINISHED), RETURNED, pickle.dumps(1)))
    assert job() == 1
