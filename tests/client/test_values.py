"""Large results from nodes that share no memory with us: they come as streams, and the job ends when they are here."""

from __future__ import annotations

import gc
import pickle
import threading

import numpy as np
import pytest

from lightwork.client import values
from lightwork.model.errors import JobLost
from lightwork.model.states import JobState
from lightwork.payload.gather import LargePayload, gather
from lightwork.wire.messages import File, Taken
from lightwork.wire.outcome import APART, ENVELOPE, RETURNED, Outcome, Stream, encode_outcome
from tests.client.test_arena import size_of

MB = 1 << 20
FINISHED = int(JobState.FINISHED)


def payload_of(value):
    payload = gather(value, lambda file, take: pickle.Pickler(file, 5, buffer_callback=take))
    return payload.to_bytes() if isinstance(payload, LargePayload) else payload


def end(fake, number, value, *, token=7, status=APART, outcome=b"", size=0, files=()):
    """End a job whose value lies on its node."""
    payload = payload_of(value)
    place = len(files)
    fake.files[f"{token}/{place}"] = payload
    rows = [*files, File("", "", size or len(payload))]
    fake.end(number, how=(FINISHED, RETURNED | status, outcome), files=[(0, rows)], tokens=[token])


def freed(fake):
    return [token for message in fake.told(Taken) for token in message.spooled]


@pytest.fixture
def started(make, tmp_path):
    cluster, fake = make(size_of, hold=True, outputs_dir=tmp_path)
    job = cluster.submit(b"")
    fake.wait_jobs(1)
    return cluster, fake, job


def kept(cluster):
    return cluster._session._incoming._arrivals._values._held


def test_an_array_is_a_writable_view_of_the_memory_it_came_into(started):
    cluster, fake, job = started
    end(fake, 0, {"a": np.arange(MB, dtype=np.float64), "b": 5})
    value = job()
    assert (value["a"].sum(), value["b"], job.status) == (MB * (MB - 1) / 2, 5, JobState.FINISHED)
    assert not value["a"].flags.owndata
    value["a"][:] = 1
    assert job()["a"] is value["a"]
    fake.wait(lambda: freed(fake) == [7])
    assert job.files == []
    assert len(kept(cluster)) == 1


def test_memory_goes_with_the_last_view(started):
    cluster, fake, job = started
    end(fake, 0, np.zeros(MB))
    view = job()[5:7]
    job.raw = None
    gc.collect()
    assert len(kept(cluster)) == 1
    del view
    gc.collect()
    assert len(kept(cluster)) == 0


def test_a_value_without_arrays_is_a_copy_and_its_memory_is_free_at_once(started):
    cluster, fake, job = started
    end(fake, 0, b"x" * 2 * MB)
    assert job.get() == b"x" * 2 * MB
    gc.collect()
    assert len(kept(cluster)) == 0


def test_with_output_and_files(started, tmp_path):
    _, fake, job = started
    fake.files["7/0"] = b"left"
    envelope = encode_outcome(Outcome(b"", Stream(b"printed")))
    left = File("left.txt", "", 4)
    end(fake, 0, "y" * MB, status=APART | ENVELOPE, outcome=envelope, files=[left])
    assert (job(), job.stdout) == ("y" * MB, "printed")
    assert [path.read_bytes() for path in job.files] == [b"left"]
    fake.wait(lambda: freed(fake) == [7])


def test_the_end_waits_for_the_value(make):
    ended = []
    cluster, fake = make(size_of, hold=True, callback=lambda job: ended.append(len(job.result)))
    job = cluster.submit(b"")
    fake.wait_jobs(1)
    with fake._lock:
        end(fake, 0, b"x" * MB)
        assert not job.finish.wait(0.1)
        assert job.status == JobState.QUEUED
    assert cluster.wait(10)
    assert ended == [MB]


@pytest.mark.parametrize("how", ["missing", "short", "long", "huge", "empty"])
def test_a_value_that_does_not_come_loses_its_job(started, how):
    cluster, fake, job = started
    size = {"short": 3 * MB, "long": MB, "huge": 1 << 60, "empty": -1}.get(how, 0)
    with fake._lock:
        end(fake, 0, b"x" * 2 * MB, size=size)
        if how == "missing":
            fake.files["7/0"] = None
    assert job() is None
    assert job.status == JobState.LOST
    with pytest.raises(JobLost, match="could not be brought here from node here"):
        job.get()
    fake.wait(lambda: freed(fake) == [7])
    gc.collect()
    assert len(kept(cluster)) == 0


def test_a_line_that_breaks_meanwhile_ends_the_job(started):
    _, fake, job = started
    with fake._lock:
        end(fake, 0, b"x" * 2 * MB)
        fake.die()
    assert job() is None
    assert job.status == JobState.LOST


def test_beyond_a_quarter_of_memory_values_are_mapped_files(make, monkeypatch):
    monkeypatch.setattr(values, "default_capacity", lambda: 6 * MB)
    cluster, fake = make(size_of, hold=True)
    jobs = [cluster.submit(b"") for _ in range(4)]
    fake.wait_jobs(4)
    for number in range(4):
        end(fake, number, np.full(MB // 8, number, dtype=np.float64), token=number + 1)
    results = [job() for job in jobs]
    assert [result.sum() for result in results] == [number * MB // 8 for number in range(4)]
    assert len(kept(cluster)) == 2, "3 MB of memory are enough for two"
    results[3][:] = 7
    assert results[3].sum() == 7 * MB // 8


def test_two_threads_get_one_value(started):
    _, fake, job = started
    end(fake, 0, np.zeros(MB))
    found = []
    threads = [threading.Thread(target=lambda: found.append(job.get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({id(one) for one in found}) == 1


def test_a_value_that_cannot_be_rebuilt_is_told(started):
    _, fake, job = started
    fake.files["7/0"] = b"\x80\x05no pickle" * 1000
    fake.end(0, how=(FINISHED, APART, b""), files=[(0, [File("", "", 11_000)])], tokens=[7])
    assert job() is None
    assert "cannot be rebuilt here" in job.exception
