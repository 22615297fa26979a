"""Users' callbacks: one thread, arrival order, provisional before final, errors told, nothing deadlocks."""

from __future__ import annotations

import pickle
import threading
import time
from typing import Any

import pytest

from lightwork.model.errors import WouldDeadlock
from lightwork.model.states import ClusterEvent, JobState
from lightwork.wire.messages import Cancel, Provisional, Submit, Taken


def double(n):
    return 2 * n


def test_ten_thousand_jobs_have_one_final_call_each_before_wait_returns(make):
    told: list[Any] = []
    cluster, _ = make(double, callback=told.append)
    jobs = [cluster.submit(n) for n in range(10_000)]
    assert cluster.wait(60)
    assert told == jobs, "in order of arrival"
    assert all(job.status == JobState.FINISHED for job in told)


def test_callbacks_run_in_one_thread_of_their_own(make):
    threads = set()
    cluster, _ = make(double, job_status=lambda job: threads.add(threading.get_ident()))
    for n in range(300):
        cluster.submit(n)
    cluster.wait(30)
    assert len(threads) == 1
    assert threads.isdisjoint({threading.main_thread().ident, cluster._session.connection._thread.ident})


def test_provisional_results_come_before_the_final_one_whatever_has_arrived(make):
    heard = []
    gate = threading.Event()

    def hear(job):
        gate.wait(10)
        heard.append((job.status, job.result, job.provisional))

    cluster, fake = make(double, callback=hear, hold=True)
    job = cluster.submit(21)
    fake.wait_jobs(1)
    fake.start(0)
    for step in ("a", "b"):
        fake.send(Provisional(0), pickle.dumps(step))
    fake.end(0)
    fake.wait(lambda: job.status == JobState.FINISHED)
    assert (job.result, job.provisional) == (42, "b"), "outside of the callback: as it is"
    gate.set()
    assert cluster.wait(10)
    assert heard == [(JobState.RUNNING, "a", "a"), (JobState.RUNNING, "b", "b"), (JobState.FINISHED, 42, "b")]


def test_the_latest_provisional_result_is_the_result_so_far(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    assert (job.result, job.provisional) == (None, None)
    fake.send(Provisional(0), pickle.dumps([1, 2]))
    fake.wait(lambda: job.result == [1, 2])
    fake.end(0)
    assert job() == 2


def test_an_error_in_a_callback_is_told_and_raised_by_wait(make, capfd):
    def fail(job):
        if job.id == 3:
            raise LookupError("mine")

    cluster, _ = make(double, callback=fail)
    jobs = [cluster.submit(n) for n in range(6)]
    with pytest.raises(LookupError, match="mine") as caught:
        cluster.wait(10)
    assert "in the callback about job 3" in caught.value.__notes__
    assert cluster.wait(10), "told once"
    assert [job() for job in jobs] == [2 * n for n in range(6)]
    err = capfd.readouterr().err
    assert "the callback about job 3 raised" in err
    assert "LookupError: mine" in err


def test_a_callback_may_submit(make):
    seen = []

    def chain(job):
        seen.append(job.result)
        if job.result < 100:
            cluster.submit(job.result)

    cluster, _ = make(double, callback=chain)
    cluster.submit(1)
    assert cluster.wait(30)
    assert seen == [2, 4, 8, 16, 32, 64, 128]


def test_a_callback_may_cancel(make):
    other: Any
    cluster, fake = make(double, callback=lambda job: other.cancel(), hold=True)
    one, other = cluster.submit(1), cluster.submit(2)
    fake.wait_jobs(2)
    fake.end(0)
    fake.wait(lambda: fake.told(Cancel))
    fake.cancelled([1])
    assert cluster.wait(10)
    assert (one.status, other.status) == (JobState.FINISHED, JobState.CANCELLED)


def test_a_callback_that_waits_is_told_that_it_would_deadlock(make):
    errors: list[Any] = []
    one: Any
    other: Any

    def waits(job):
        if job is one:
            for call in (other, other.get, cluster.wait, cluster.close, lambda: list(cluster.map([1]))):
                try:
                    call()
                except WouldDeadlock as error:
                    errors.append(error)
            assert job() == 2, "its own job has ended"

    cluster, fake = make(double, callback=waits, hold=True)
    one, other = cluster.submit(1), cluster.submit(2)
    fake.wait_jobs(2)
    fake.end(0)
    fake.wait(lambda: len(errors) == 5)
    fake.wait_jobs(2)  # the other one, and the map's, which may still be under way
    fake.end(*fake.jobs)
    assert cluster.wait(10)
    assert "callback" in str(errors[0])


def test_job_may_return_before_its_callback_has(make):
    gate = threading.Event()
    cluster, _ = make(double, callback=lambda job: gate.wait(10))
    assert cluster.submit(1)() == 2
    assert not cluster.wait(0.05)
    gate.set()
    assert cluster.wait(10)


def test_a_job_is_taken_when_its_callback_has_returned(make):
    gate = threading.Event()
    cluster, fake = make(double, callback=lambda job: gate.wait(10))
    cluster.submit(1)
    time.sleep(0.2)
    assert not fake.told(Taken)
    gate.set()
    fake.wait(lambda: fake.told(Taken))


def test_cluster_status_hears_of_everything(make):
    heard = []
    cluster, fake = make(double, cluster_status=lambda *event: heard.append(event), hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.start(0)
    fake.send(Provisional(0), pickle.dumps("half"))
    fake.end(0)
    assert cluster.wait(10)
    kinds = [kind for kind, _, _ in heard]
    assert sorted(kinds) == sorted(
        [
            ClusterEvent.NODE_READY,
            ClusterEvent.JOB_CREATED,
            ClusterEvent.JOB_RUNNING,
            ClusterEvent.JOB_PROVISIONAL,
            ClusterEvent.JOB_ENDED,
        ]
    )
    by_kind = {kind: (node, about) for kind, node, about in heard}
    assert by_kind[ClusterEvent.JOB_CREATED] == (None, job)
    assert by_kind[ClusterEvent.NODE_READY][0].name == "here"
    assert by_kind[ClusterEvent.JOB_ENDED][0].name == "here"
    assert by_kind[ClusterEvent.JOB_ENDED][1] is job


def test_submit_in_a_callback_never_blocks(make, monkeypatch):
    from lightwork.client import session

    monkeypatch.setattr(session, "OPEN_BYTES_MAX", 10_000)
    done = threading.Event()

    def more(job):
        if job is first:
            for _ in range(20):
                cluster.submit(b"x" * 5000)
            done.set()

    cluster, fake = make(len, callback=more, hold=True)
    first = cluster.submit(b"")
    fake.wait_jobs(1)
    fake.end(0)
    assert done.wait(10)
    fake.wait_jobs(20)
    fake.end(*fake.jobs)
    assert cluster.wait(10)


def test_submit_waits_while_too_much_is_open(make, monkeypatch):
    from lightwork.client import session, waiting

    said: list[str] = []
    monkeypatch.setattr(waiting, "_write", said.append)
    monkeypatch.setattr(session, "OPEN_BYTES_MAX", 12_000)
    cluster, fake = make(len, hold=True)
    cluster._session.waits.patience.first_s = 0.1
    fake.waiting.append("both slots are busy")
    went: list[Any] = []
    thread = threading.Thread(target=lambda: went.extend(cluster.submit(b"x" * 5000) for _ in range(5)))
    thread.start()
    fake.wait_jobs(3)
    fake.wait(lambda: any("before more are submitted" in text for text in said))
    assert len(fake.jobs) == 3, "15,000 bytes are open"
    fake.end(0, 1, 2)
    thread.join(10)
    assert len(went) == 5
    fake.wait(lambda: sum(len(message.lengths) for message in fake.told(Submit)) == 5)


class Poison:
    def __reduce__(self):
        return _burst, ()


def _burst():
    raise ZeroDivisionError("while it was unpickled")


def test_a_provisional_result_that_cannot_be_opened_is_the_callback_s_error(make, capfd):
    told: list[Any] = []
    cluster, fake = make(double, hold=True, callback=lambda job: told.append((job.status, job.result)))
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.start(0)
    fake.send(Provisional(0), pickle.dumps(Poison()))
    fake.send(Provisional(0), pickle.dumps("good"))
    fake.end(0)
    with pytest.raises(ZeroDivisionError, match="while it was unpickled") as caught:
        cluster.wait(10)
    assert caught.value.__notes__ == ["in the callback about job 0"]
    assert told == [(JobState.RUNNING, "good"), (JobState.FINISHED, 2)]
    assert job() == 2
    assert "while it was unpickled" in capfd.readouterr().err
    assert cluster.close()
