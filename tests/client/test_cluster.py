"""JobCluster and Job as their users meet them, over a scheduler that does what the test says."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import time

import pytest

from lightwork.client.cluster import JobCluster
from lightwork.model.errors import (
    CannotTravel,
    ClusterClosed,
    JobCancelled,
    JobTimeout,
    NotReady,
    ProgramError,
    RemoteTraceback,
    UserError,
)
from lightwork.model.states import JobState
from lightwork.wire.messages import Cancel, Close, Define, Requeued, Submit, Taken
from lightwork.wire.outcome import EXITED, RETURNED, TIMED_OUT, Outcome, Stream, encode_fields, encode_outcome
from tests.client.fake_scheduler import ended, raised, value


def double(n, plus=0):
    return 2 * n + plus


def divide(a, b):
    return a / b


def test_what_a_function_returns_comes_back(make):
    cluster, _ = make(double)
    job = cluster.submit(4, plus=1)
    assert (job(), job.result, job.get(), job.status, job.exception) == (9, 9, 9, JobState.FINISHED, None)
    assert (job.stdout, job.stderr, job.stdout_bytes) == ("", "", b"")
    assert (job.node, job.host, job.ip_addr) == ("here", "127.0.0.1", "127.0.0.1")
    assert job.attempts == 1
    assert abs(job.submit_time - time.time()) < 10
    assert job.submit_time <= job.start_time <= job.end_time == job.start_time + 0.001


def test_the_seeds_loop(make):
    cluster, _ = make(double)
    jobs = []
    for n in range(20):
        job = cluster.submit(n)
        job.id = n
        jobs.append(job)
    assert [(job.id, job()) for job in jobs] == [(n, 2 * n) for n in range(20)]


def test_ids_are_numbers_at_first_and_uids_are_unique(make):
    cluster, _ = make(double)
    one, two, three = cluster.submit(1), cluster.submit_job_id("mine", 2), cluster.options(id=(1, 2)).submit(3)
    assert [one.id, two.id, three.id] == [0, "mine", (1, 2)]
    session, _, number = two.uid.rpartition("/")
    assert (number, one.uid.rpartition("/")[0]) == ("1", session)
    two.id = "other"
    assert (two.id, two.uid.rpartition("/")[2]) == ("other", "1")


def test_a_failed_job_returns_none_and_get_raises_its_own_error(make):
    cluster, _ = make(divide)
    job = cluster.submit(1, 0)
    assert job() is None
    assert (job.status, job.result) == (JobState.FAILED, None)
    with pytest.raises(ZeroDivisionError) as caught:
        job.get()
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "Traceback" in job.exception
    assert job.execution_trace == job.exception


def test_a_program_s_result_is_its_exit_code(make, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    cluster, fake = make(str(program), hold=True)
    good, bad = cluster.submit("a", 1, tmp_path), cluster.submit()
    fake.wait_jobs(2)
    fake.end(0, how=ended(JobState.FINISHED, RETURNED, Outcome(b"", stdout=Stream(b"hel", b"lo", 3))))
    how = Outcome(b"", stderr=Stream(b"sorry\n"), failure={"exit_code": b"3", "type": b"ProgramError"})
    fake.end(1, how=ended(JobState.FAILED, EXITED, how))
    assert (good(), good.get(), bad(), bad.result) == (0, 0, 3, 3)
    assert good.stdout.startswith("hel")
    assert good.stdout.endswith("lo")
    with pytest.raises(ProgramError) as caught:
        bad.get()
    assert (caught.value.exit_code, bad.stderr) == (3, "sorry\n")
    with pytest.raises(UserError):
        cluster.submit(name="value")


def test_get_gives_up_after_its_timeout(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    began = time.monotonic()
    with pytest.raises(NotReady):
        job.get(timeout=0.1)
    assert 0.1 <= time.monotonic() - began < 3
    with pytest.raises(TimeoutError):
        job.get(0)
    fake.end(0)
    assert job.get(timeout=10) == 2


def test_states_follow_the_scheduler(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    assert (job.status, job.node, job.start_time, job.end_time, job.attempts) == (JobState.QUEUED, None, None, None, 0)
    fake.start(0)
    fake.wait(lambda: job.status == JobState.RUNNING)
    assert (job.node, job.attempts) == ("here", 1)
    assert job.start_time > 0
    fake.send(Requeued([0], "its worker died"))
    fake.wait(lambda: job.status == JobState.QUEUED)
    fake.end(0, attempts=2)
    fake.wait(lambda: job.status == JobState.FINISHED)
    assert (job.attempts, job.result) == (2, 2)


def test_timed_out_and_cancelled_jobs_say_so(make):
    cluster, fake = make(double, hold=True)
    late, unwanted = cluster.submit(1), cluster.submit(2)
    fake.wait_jobs(2)
    sentence = {"message": b"it ran longer than 3 s"}
    fake.end(0, how=ended(JobState.TIMED_OUT, TIMED_OUT, Outcome(b"", failure=sentence)))
    assert unwanted.cancel()
    fake.wait(lambda: fake.told(Cancel))
    fake.cancelled(fake.told(Cancel)[0].jobs)
    assert (late(), unwanted()) == (None, None)
    with pytest.raises(JobTimeout, match="longer than 3 s"):
        late.get()
    with pytest.raises(JobCancelled):
        unwanted.get()
    assert not unwanted.cancel()
    assert "longer than" in late.exception


def test_cancel_takes_one_or_many(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(5)]
    assert cluster.cancel(jobs[0])
    assert cluster.cancel(jobs[1:3])
    fake.wait(lambda: len(fake.told(Cancel)) == 2)
    assert [message.jobs for message in fake.told(Cancel)] == [[0], [1, 2]]
    submitted = [index for index, message in enumerate(fake.messages) if isinstance(message, Submit)]
    cancelled = [index for index, message in enumerate(fake.messages) if isinstance(message, Cancel)]
    assert submitted[0] < cancelled[0], "a job is submitted before it is cancelled"


def test_options_are_the_job_s_own(make):
    cluster, fake = make(double, hold=True, timeout=7, memory="1G", outputs="*.png", output_limit="2K")
    cluster.submit(1)
    cluster.options(timeout=2.5, stdin="text", env={"B": "2", "A": "1"}, id="x").submit(2)
    fake.wait_jobs(2)
    one, two = fake.jobs[0].options, fake.jobs[1].options
    assert (one.timeout_ns, one.memory_bytes, one.outputs) == (7_000_000_000, 1 << 30, ("*.png",))
    assert (one.output_limit_bytes, one.stdin, one.env) == (2048, b"", ())
    assert (two.timeout_ns, two.stdin, two.env) == (2_500_000_000, b"text", (("A", "1"), ("B", "2")))
    assert two.memory_bytes == 1 << 30


def test_one_cluster_runs_many_functions(make):
    cluster, fake = make(double)
    other = cluster.options(computation=divide)
    jobs = [cluster.submit(3), other.submit(3, 4), cluster.submit(5), other.submit(1, 2)]
    assert [job.get() for job in jobs] == [6, 0.75, 10, 0.5]
    assert len(fake.told(Define)) == 2
    assert list(other.map([1, 2], [2, 2])) == [0.5, 1.0]


def test_a_cluster_without_a_computation(make):
    cluster, _ = make()
    assert cluster.options(computation=double).submit(4).get() == 8
    with pytest.raises(UserError, match="no computation"):
        cluster.submit(1)


def test_equal_options_share_a_message(make):
    cluster, fake = make(double, hold=True)
    with fake._lock:  # so that nothing is sent meanwhile
        for n in range(50):
            cluster.options(id=n, env={"A": "1"}).submit(n)
    fake.wait_jobs(50)
    assert len(fake.told(Submit)) < 25
    assert len(cluster._definitions._plans) == 2, "the cluster's own, and this one"


def test_what_cannot_travel_is_refused_at_submit(make):
    cluster, _fake = make(double)
    with pytest.raises(CannotTravel):
        cluster.submit(threading.Lock())
    assert cluster.submit(1)() == 2
    assert cluster.wait(10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": "3"},
        {"memory": "lots"},
        {"memory": -1},
        {"callback": 3},
        {"callback": print, "job_status": print},
        {"dest_path": "a", "transfer_dest": "b"},
        {"isolation": "vm"},
        {"outputs": ["/etc/*"]},
        {"outputs": ["../x"]},
        {"reentrant": "yes"},
        {"slots": 0},
        {"setup": 1},
        {"output_limit": "1X"},
    ],
)
def test_wrong_options_are_refused(make, wrong):
    with pytest.raises(UserError):
        make(double, **wrong)


def test_options_that_do_not_exist_are_type_errors(make):
    for name in ("key", "weight", "exclusive"):
        with pytest.raises(TypeError):
            make(double, **{name: None})
    cluster, _ = make(double)
    with pytest.raises(TypeError):
        cluster.options(weight=1)


def test_await_gives_what_get_gives(make):
    cluster, fake = make(divide, hold=True)

    async def main():
        good, bad = cluster.submit(1, 2), cluster.submit(1, 0)
        waiting = asyncio.gather(good, bad, return_exceptions=True)
        await asyncio.sleep(0.05)
        fake.wait_jobs(2)
        fake.end(0, 1)
        value, error = await waiting
        return value, error, await good

    value, error, again = asyncio.run(main())
    assert (value, type(error), again) == (0.5, ZeroDivisionError, 0.5)


def test_a_cancelled_await_leaves_the_job_alone(make):
    cluster, fake = make(double, hold=True)

    async def main():
        job = cluster.submit(1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_plain(job), 0.05)
        return job

    async def _plain(job):
        return await job

    job = asyncio.run(main())
    fake.end(0)
    assert job() == 2


def test_finish_is_an_event(make):
    cluster, fake = make(double, hold=True)
    job, other = cluster.submit(1), cluster.submit(2)
    assert isinstance(job.finish, threading.Event)
    assert not job.finish.wait(0.01)
    fake.end(0, 1)
    assert job.finish.wait(10)
    fake.wait(lambda: other.status == JobState.FINISHED)
    assert other.finish.is_set(), "made after the end"
    job(clear=True)
    assert not job.finish.is_set()
    assert job() == 2


def test_status_and_stats(make, capsys):
    cluster, fake = make(double, hold=True, name="my cluster")
    fake.waiting.append("all slots are busy")
    cluster.submit(1)
    status = cluster.status()
    assert (status.nodes[0].name, status.jobs_pending, status.waiting) == ("here", 1, ("all slots are busy",))
    assert cluster.name == "my cluster"
    fake.end(0)
    cluster.stats()
    out = capsys.readouterr().out
    assert re.search(r"^Node +Slots +Jobs", out, re.M)
    assert re.search(r"^here +2 ", out, re.M)
    assert "speed-up" in out
    assert cluster.print_status.__func__ is cluster.stats.__func__
    cluster.close()
    cluster.stats()
    assert "here" in capsys.readouterr().out, "what was known at the end is still shown"


def test_close_waits_and_ends_the_session(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    threading.Timer(0.1, lambda: fake.end(0)).start()
    assert cluster.close()
    assert (job.result, fake.told(Close)) == (2, [Close(False)])
    assert cluster.close(), "again"
    cluster.shutdown()
    with pytest.raises(ClusterClosed):
        cluster.submit(2)
    with pytest.raises(ClusterClosed):
        cluster.options(id=3)
    assert cluster.wait(1)
    assert not cluster.cancel(job)


def test_close_with_a_timeout_leaves_it_open(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    assert not cluster.close(timeout=0.1)
    assert not cluster.wait(0.1)
    assert not cluster(0.01)
    fake.end(0)
    assert cluster.close(timeout=10)
    assert job() == 2


def test_close_can_cancel(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(3)]
    assert cluster.close(terminate=True)
    assert {job.status for job in jobs} == {JobState.CANCELLED}
    assert fake.told(Close) == [Close(True)]


def test_what_the_scheduler_leaves_open_at_its_goodbye_is_cancelled(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.jobs.clear()
    cluster.close(terminate=True)
    assert job.status == JobState.CANCELLED
    with pytest.raises(JobCancelled):
        job.get()


def test_leaving_the_block_closes_and_swallows_nothing(make):
    cluster, fake = make(double)
    with cluster as inside:
        assert inside is cluster
        job = cluster.submit(1)
    assert (job.result, fake.told(Close)) == (2, [Close(False)])
    other, fake = make(double, hold=True)
    with pytest.raises(KeyError, match="mine"):
        with other:
            job = other.submit(1)
            raise KeyError("mine")
    assert job.status == JobState.CANCELLED
    assert fake.told(Close) == [Close(True)]


def test_a_scheduler_that_says_no_goodbye_holds_nobody(make, monkeypatch):
    from lightwork.client import session

    monkeypatch.setattr(session, "CANCELLED_S", 0.2)
    cluster, fake = make(double, hold=True)
    fake.says_goodbye = False
    job = cluster.submit(1)
    fake.wait_jobs(1)
    fake.jobs.clear()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        with cluster:
            raise KeyboardInterrupt
    assert time.monotonic() - began < 4
    assert job.status == JobState.CANCELLED
    assert cluster._server.ended == [False]


def test_the_closing_line_names_the_first_failure(make, capfd):
    cluster, _ = make(divide)
    for n in (1, 2, 0, 0, 4):
        cluster.submit(1, n)
    cluster.close()
    line = "2 of 5 jobs failed; first: job 2 on here: ZeroDivisionError; job.get() raises it\n"
    assert capfd.readouterr().err == f"lightwork: {line}"
    cluster, _ = make(divide)
    cluster.submit(1, 1)
    cluster.close()
    assert capfd.readouterr().err == ""


def test_results_are_told_as_taken_once_user_code_has_them(make):
    cluster, fake = make(double, hold=True)
    jobs = [cluster.submit(n) for n in range(4)]
    fake.wait_jobs(4)
    fake.end(0, 1)
    fake.end(2)
    cluster.wait(0.2)
    assert jobs[0]() == 0
    time.sleep(0.1)
    assert not fake.told(Taken), "job 1 of the batch is not taken"
    assert jobs[1].result == 2
    fake.wait(lambda: [message.sequence for message in fake.told(Taken)] == [1])
    assert jobs[2].exception is None
    fake.wait(lambda: fake.told(Taken)[-1].sequence == 2)
    _ = jobs[3].result
    assert jobs[3].status == JobState.QUEUED


def test_a_result_that_cannot_be_opened_here_is_told(make):
    cluster, fake = make(double, hold=True)
    job, envelope = cluster.submit(1), cluster.submit(2)
    fake.wait_jobs(2)
    fake.end(0, how=(int(JobState.FINISHED), RETURNED, b"\x80\x05cno_such_module\nthing\n."))
    fake.end(1, how=(int(JobState.FINISHED), RETURNED | 0x100, b"too short"))
    assert (job(), envelope()) == (None, None)
    assert "no_such_module" in job.exception
    assert "outcome" in envelope.exception
    for failed in (job, envelope):
        with pytest.raises(Exception, match=r"no_such_module|outcome"):
            failed.get()


def test_output_of_a_job_is_text_and_bytes(make):
    cluster, fake = make(double, hold=True)
    job = cluster.submit(1)
    fake.wait_jobs(1)
    import pickle

    out = Outcome(pickle.dumps(2), Stream("grüße\n".encode()), Stream(b"\xff"))
    fake.end(0, how=ended(JobState.FINISHED, RETURNED, out))
    assert job() == 2
    assert (job.stdout, job.stderr, job.stderr_bytes) == ("grüße\n", "\\xff", b"\xff")


def test_every_public_name_has_a_docstring():
    from lightwork.client.job import Job

    for kind in (JobCluster, Job):
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert member.__doc__, f"{kind.__name__}.{name}"


def test_memory_of_a_queued_job(make):
    import tracemalloc

    cluster, fake = make(double, hold=True)
    cluster.submit(0)
    fake.wait_jobs(1)
    keep = [None] * 20_000
    with fake._lock:  # it keeps its own copies, which are not ours to count
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for n in range(len(keep)):
            keep[n] = cluster.submit(n)
        cluster._session.hurry()
        used = (tracemalloc.get_traced_memory()[0] - before) / len(keep)
        tracemalloc.stop()
    assert used < 300, f"{used:.0f} bytes a job"


_ = (raised, value, encode_fields, encode_outcome)
