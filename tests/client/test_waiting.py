"""No silent wait, and no lost wake-up: threads that wait for jobs, alone and together."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import threading
import time
from typing import Any

import pytest

from lightwork.client import connection
from lightwork.model.states import JobState
from lightwork.wire.messages import AskStatus, Attempted


def double(n):
    return 2 * n


def test_a_long_wait_says_what_for_and_why(make, capfd):
    cluster, fake = make(double, hold=True)
    cluster._session.waits.patience.first_s = 0.2
    fake.waiting.append("job 0: no node has 64 GiB")
    fake.attempted = [Attempted("lab1:9701", "unreachable", "nobody listens there"), Attempted("here:9701", "joined")]
    job = cluster.submit(1)
    threading.Timer(0.6, lambda: fake.end(0)).start()
    assert job() == 2
    err = capfd.readouterr().err
    assert "waiting for job 0 since" in err
    assert "0 running and 1 queued on 1 node: here (0 of 2 slots busy)" in err
    assert "\n  job 0: no node has 64 GiB\n  lab1:9701: nobody listens there\n" in err
    assert "here:9701" not in err


def test_what_was_said_is_not_repeated_soon(make, capfd):
    cluster, fake = make(double, hold=True)
    cluster._session.waits.patience.first_s = 0.1
    cluster.submit(1)
    assert not cluster.wait(1.0)
    said = capfd.readouterr().err.count("waiting for")
    assert 2 <= said <= 4, "after 0.1, 0.2, 0.4 and 0.8 s, or later; not every 0.1 s"
    fake.end(0)


def test_close_says_it_steadily(make, capfd):
    cluster, fake = make(double, hold=True)
    cluster._session.waits.patience.first_s = 0.1
    cluster.submit(1)
    assert not cluster.close(timeout=2.0)
    said = capfd.readouterr().err.count("waiting for 1 job since")
    assert said >= 7, "every 0.1 s; 5 times if ever more rarely"
    fake.end(0)


def test_a_scheduler_that_does_not_answer_is_named(make, capfd, monkeypatch):
    from lightwork.client import waiting

    monkeypatch.setattr(waiting, "STATUS_S", 0.1)
    cluster, fake = make(double, hold=True)
    cluster._session.waits.patience.first_s = 0.1
    fake.answers_status = False
    cluster.submit(1)
    assert not cluster.wait(2.0)
    assert "the scheduler does not answer" in capfd.readouterr().err
    fake.end(0)


def test_a_short_wait_says_nothing_and_asks_nothing(make, capfd):
    cluster, fake = make(double)
    assert cluster.submit(1)() == 2
    assert cluster.wait(5)
    assert capfd.readouterr().err == ""
    assert not fake.told(AskStatus)


def test_many_threads_wait_at_once(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(40)]
    results = {}
    threads = [threading.Thread(target=lambda job=job: results.update({job.id: job()})) for job in jobs for _ in "ab"]
    for thread in threads:
        thread.start()
    fake.wait_jobs(40)
    for number in reversed(range(40)):
        fake.end(number)
        if number % 7 == 0:
            time.sleep(0.005)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert results == {n: 2 * n for n in range(40)}


def test_threads_that_submit_and_wait_do_not_lose_each_other(make):
    cluster, _ = make(double)
    wrong = []

    def work(seed):
        for n in range(150):
            if cluster.submit(seed * 1000 + n)() != 2 * (seed * 1000 + n):
                wrong.append((seed, n))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong
    assert time.monotonic() - began < 30
    assert cluster._session.core.next == 900


def test_single_jobs_after_pauses_never_wait_for_a_tick(make):
    """Whatever the background thread is doing just then: no answer takes as long as one of its rests."""
    cluster, _ = make(double)

    def median():
        times = []
        for pause_ms in range(60):
            time.sleep(pause_ms / 1000)
            began = time.perf_counter()
            cluster.submit(1)()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    assert any(median() < 0.008 for _ in range(3)), "half a rest of the background thread would be 10 ms"


def test_a_job_nobody_waits_for_is_sent_and_its_end_is_noticed(make):
    cluster, fake = make(double, hold=True)
    first = cluster.submit(0)
    jobs = [cluster.submit(n) for n in range(1, 10)]
    fake.wait_jobs(10)
    fake.end(*range(10))
    fake.wait(lambda: all(job.status == JobState.FINISHED for job in [first, *jobs]), within_s=3)


def test_a_waiting_thread_sends_what_others_submit(make):
    cluster, fake = make(double, hold=True)
    first = cluster.submit(0)
    waiter = threading.Thread(target=first)
    waiter.start()
    time.sleep(0.05)
    for n in range(1, 30):
        cluster.submit(n)
    fake.wait_jobs(30)
    fake.end(*range(30))
    waiter.join(10)
    assert not waiter.is_alive()
    assert cluster.wait(10)


class Interrupting:
    """Sends us SIGINT again and again; the handler counts, and raises where our code is."""

    def __init__(self, first, every=0.0, *, anywhere=False):
        self.hits = 0
        self._times = first, every
        self._anywhere = anywhere

    def _interrupt(self, number, frame):
        if self._anywhere or os.path.join("lightwork", "client") in frame.f_code.co_filename:
            self.hits += 1
            raise KeyboardInterrupt  # elsewhere it would hit the test's own machinery

    def __enter__(self):
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self._alarm = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, *self._times)
        return self

    def __exit__(self, *error):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, self._before)
        signal.signal(signal.SIGALRM, self._alarm)


@pytest.fixture
def rare_looks(monkeypatch):
    """A thread that waits looks around by itself only so late: it is an interrupt that ends its wait sooner."""
    monkeypatch.setattr(connection, "LOOK_S", 20.0)
    return 20.0


@pytest.mark.skipif(sys.platform == "win32", reason="setitimer")
def test_an_interrupt_while_waiting_leaves_everything_usable(make, rare_looks):
    cluster, fake = make(double, hold=True)
    cluster._session.waits.patience.first_s = rare_looks
    job = cluster.submit(1)
    for _ in range(20):
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            with Interrupting(0.01, anywhere=True):
                job()
        assert time.monotonic() - began < 5
    fake.end(0)
    assert job() == 2
    again = cluster.submit(4)
    fake.wait_jobs(1)
    fake.end(1)
    assert again() == 8
    assert not cluster._session.connection._waiting


@pytest.mark.skipif(sys.platform == "win32", reason="setitimer")
def test_an_interrupt_reaches_a_thread_that_stands_by(make, rare_looks):
    cluster, fake = make(double, hold=True)
    cluster._session.waits.patience.first_s = rare_looks
    job = cluster.submit(1)
    reader = threading.Thread(target=job)
    reader.start()
    time.sleep(0.05)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        with Interrupting(0.05, anywhere=True):
            job()
    assert time.monotonic() - began < 5
    fake.end(0)
    reader.join(10)
    assert not reader.is_alive()


@pytest.mark.skipif(sys.platform == "win32", reason="setitimer")
def test_a_handler_that_does_not_raise_is_called_and_the_wait_goes_on(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    seen = []

    def note(number, frame):
        seen.append(number)
        fake.end(0)

    before = signal.signal(signal.SIGINT, note)
    try:
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        assert job() == 2
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


@pytest.mark.skipif(sys.platform == "win32", reason="setitimer")
def test_interrupts_between_any_two_steps_of_submit_and_wait_lose_no_job(make):
    """Ctrl-C as often as one likes: what `submit` returned has a result, and the line still works."""
    ended: list[Any] = []
    cluster, _ = make(double, callback=ended.append)
    jobs: list[Any] = []
    with Interrupting(0.0005, 0.00037) as interrupting:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            try:
                job = cluster.submit(len(jobs))
                jobs.append((job, job.number))
                if len(jobs) % 50 == 0:
                    job()
            except KeyboardInterrupt:
                pass
    assert interrupting.hits > 100
    assert cluster.wait(20)
    assert len({number for _, number in jobs}) == len(jobs)
    assert all(job.status == JobState.FINISHED for job, _ in jobs)
    assert len(ended) == len(set(ended)) >= len(jobs)
