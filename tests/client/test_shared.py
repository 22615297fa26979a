"""SharedJobCluster over real sockets: links that break, schedulers that are restarted, sessions that are taken over."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lightwork.client.reaching
import lightwork.client.relinking
from lightwork.client import ending
from lightwork.client.shared import SharedJobCluster
from lightwork.config import limits
from lightwork.model.errors import (
    ClusterClosed,
    JobLost,
    JobNotRun,
    NotReady,
    SaysNothing,
    SchedulerGone,
    UserError,
    WrongCredential,
)
from lightwork.model.states import JobState
from lightwork.payload.labels import unpack_label
from lightwork.transport.dial import connect
from lightwork.wire.messages import (
    Cancel,
    Close,
    ControlNode,
    Fetch,
    File,
    Goodbye,
    Named,
    Refused,
    Results,
    Seek,
    SentFile,
    Submit,
    Taken,
)
from tests.client.fake_durable import FakeDurable


def double(n: int) -> int:
    return 2 * n


def length(data: bytes) -> int:
    return len(data)


_made: list[SharedJobCluster] = []


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDurable]:
    with FakeDurable(tmp_path) as made:
        yield made
        for cluster in _made:  # of a test that failed
            if not cluster._closed:
                cluster._closed = True
                ending.remove(cluster)
                cluster._session.sever()
        _made.clear()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said every five seconds is said at once."""
    for module in (lightwork.client.reaching, lightwork.client.relinking):
        monkeypatch.setattr(module, "SAY_WAITING_S", 0.3)
    monkeypatch.setattr(lightwork.client.reaching, "BUSY_S", 0.05)


def on(fake: FakeDurable, function: Any = double, **options: Any) -> SharedJobCluster:
    cluster = SharedJobCluster(function, scheduler=fake.address, **options)
    _made.append(cluster)
    return cluster


def test_jobs_run_and_are_taken(fake: FakeDurable) -> None:
    with on(fake) as cluster:
        jobs = [cluster.submit(n) for n in range(50)]
        assert [job() for job in jobs] == [2 * n for n in range(50)]
        assert [job.id for job in jobs] == list(range(50))
        assert not any(job.redelivered for job in jobs)
        assert cluster.recovered == []
        fake.wait(lambda: not fake.now.entries)
    assert fake.closed
    (hello,) = fake.hellos
    assert (hello.role, hello.incarnation, hello.lasting, hello.session) == ("client", 0, False, fake.session)
    with pytest.raises(ClusterClosed):
        cluster.submit(1)


def test_a_broken_link_loses_nothing_and_repeats_nothing(fake: FakeDurable) -> None:
    fake.hold = True
    ended: list[Any] = []
    with on(fake, callback=ended.append) as cluster:
        jobs = [cluster.submit(n) for n in range(30)]
        fake.wait(lambda: len(fake.now.entries) == 30)
        fake.finish(*range(10))
        assert [job() for job in jobs[:10]] == [2 * n for n in range(10)]
        fake.cut()
        jobs += [cluster.submit(n) for n in range(30, 40)]
        fake.wait(lambda: len(fake.hellos) == 2)
        fake.finish(*range(10, 20))
        fake.cut()
        fake.wait(lambda: len(fake.hellos) == 3 and fake.now.next == 40)
        fake.finish()
        assert [job() for job in jobs] == [2 * n for n in range(40)]
        assert cluster.wait(20)
        assert sorted(job.id for job in ended) == list(range(40)), "each callback once"
        assert max(fake.runs.values()) == 1
        assert [hello.incarnation for hello in fake.hellos] == [0, 1, 1]
        fake.wait(lambda: not fake.now.entries)


def test_a_scheduler_that_dies_is_told_again_what_was_not_on_its_disk(fake: FakeDurable) -> None:
    fake.hold = fake.slow = True
    fake.write()
    made: list[SharedJobCluster] = []
    thread = threading.Thread(target=lambda: made.append(on(fake)))
    thread.start()
    fake.wait(lambda: fake.waiting)
    fake.write()
    thread.join(20)
    (cluster,) = made
    jobs = [cluster.submit(n) for n in range(5)]
    fake.wait(lambda: fake.now.next == 5)
    fake.write()
    jobs += [cluster.submit(n) for n in range(5, 9)]
    fake.wait(lambda: fake.now.next == 9)
    assert jobs[7].cancel()
    fake.wait(lambda: fake.told_of(Cancel))
    jobs[8].id = "the last"
    fake.wait(lambda: fake.told_of(Named))
    fake.down(crash=True)
    assert fake.now.next == 5, "what was not on disk is gone"
    jobs.append(cluster.submit(9))
    fake.slow = False
    fake.up()
    fake.wait(lambda: fake.now.next == 10)
    fake.wait(lambda: unpack_label(fake.now.entries[8].label, None) == "the last")
    assert fake.now.entries[7].state == JobState.CANCELLED, "the cancel is repeated as well"
    fake.finish()
    assert [job() for job in jobs] == [0, 2, 4, 6, 8, 10, 12, None, 16, 18]
    assert cluster.close()


def test_who_waits_is_told_for_what_and_its_own_limit_holds(
    fake: FakeDurable, quick: None, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.hold = True
    cluster = on(fake)
    job = cluster.submit(4)
    fake.wait(lambda: fake.now.next == 1)
    fake.down()
    began = time.monotonic()
    with pytest.raises(NotReady):
        job.get(timeout=1.5)
    assert 1.4 < time.monotonic() - began < 4
    said = capfd.readouterr().err
    assert f"waiting for the scheduler at {fake.address}, unreachable for " in said
    assert "no such socket" in said or "nobody listens" in said
    assert cluster.status().jobs_pending == 1, "what can be told without a scheduler is"
    fake.up()
    fake.wait(lambda: len(fake.hellos) == 2)
    fake.finish()
    assert job.get(20) == 8
    fake.wait(lambda: "is back after" in capfd.readouterr().err)
    cluster.close()


def test_nothing_is_said_if_nobody_waits(fake: FakeDurable, quick: None, capfd: pytest.CaptureFixture[str]) -> None:
    cluster = on(fake)
    cluster.submit(1)()
    fake.down()
    time.sleep(1.0)
    fake.up()
    fake.wait(lambda: len(fake.hellos) == 2)
    assert cluster.submit(2)() == 4
    cluster.close()
    assert "waiting" not in capfd.readouterr().err


def test_a_session_that_is_gone_ends_all_open_jobs_with_the_reason(fake: FakeDurable) -> None:
    fake.hold = True
    cluster = on(fake)
    jobs = [cluster.submit(n) for n in range(3)]
    fake.wait(lambda: fake.now.next == 3)
    fake.finish(0)
    assert jobs[0]() == 0
    fake.refusal = lambda hello: Refused("session", "session x was taken over by another program")
    fake.cut()
    for job in jobs[1:]:
        with pytest.raises(JobLost, match="taken over by another program"):
            job.get(20)
    assert [job.status for job in jobs] == [JobState.FINISHED, JobState.LOST, JobState.LOST]
    with pytest.raises(SchedulerGone, match="taken over"):
        cluster.submit(1)
    assert cluster.close()


def test_another_scheduler_at_the_same_place_is_not_believed(
    fake: FakeDurable, quick: None, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.hold = True
    cluster = on(fake)
    job = cluster.submit(4)
    fake.wait(lambda: fake.now.next == 1)
    fake.down()
    fake.identity = "another"
    fake.up()
    with pytest.raises(NotReady):
        job.get(1.5)
    assert "another scheduler answers" in capfd.readouterr().err
    fake.down()
    fake.identity = "the fake"
    fake.up()
    fake.wait(lambda: len(fake.hellos) >= 2 and fake.link is not None)
    fake.finish()
    assert job.get(20) == 8
    cluster.close()


def test_a_session_in_use_is_waited_for(fake: FakeDurable, quick: None, capfd: pytest.CaptureFixture[str]) -> None:
    one = on(fake, recover="ours")
    made: list[SharedJobCluster] = []
    thread = threading.Thread(target=lambda: made.append(on(fake, recover="ours")))
    thread.start()
    fake.wait(lambda: "is in use by process 1 of somebody" in capfd.readouterr().err)
    one.close()
    thread.join(20)
    assert made[0].submit(3)() == 6
    made[0].close()


def test_the_constructor_waits_for_a_scheduler_that_is_not_there_yet(
    fake: FakeDurable, quick: None, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.down()
    made: list[SharedJobCluster] = []
    thread = threading.Thread(target=lambda: made.append(on(fake)))
    thread.start()
    fake.wait(lambda: f"waiting for the scheduler at {fake.address}" in capfd.readouterr().err)
    fake.up()
    thread.join(20)
    with made[0] as cluster:
        assert cluster.submit(1)() == 2


class Mute:
    """A scheduler that dies so many times just as it is dialled; or somebody else, who never says who it is."""

    def __init__(self, times: int) -> None:
        self.left = times

    def connect(self, *given: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise SaysNothing("something at s:9700 closed the connection without a word")
        return connect(*given, **more)


def test_a_scheduler_that_dies_while_it_is_dialled_is_dialled_again(
    fake: FakeDurable, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = Mute(3)
    monkeypatch.setattr("lightwork.client.shared_server.connect", mute.connect)
    with on(fake) as cluster:
        assert cluster.submit(1)() == 2
    assert mute.left < 0


def test_who_never_says_who_it_is_is_no_scheduler(
    fake: FakeDurable, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightwork.client.shared_server.connect", Mute(1_000_000).connect)
    monkeypatch.setattr("lightwork.client.reaching.STRANGER_S", 0.3)
    began = time.monotonic()
    with pytest.raises(SaysNothing, match="without a word"):
        on(fake)
    assert time.monotonic() - began >= 0.3


def test_wrong_secrets_are_told_at_once(fake: FakeDurable) -> None:
    fake.refusal = lambda hello: Refused("credential", "wrong secret", "use the one of the scheduler")
    with pytest.raises(UserError, match="wrong secret") as caught:
        on(fake)
    assert isinstance(caught.value.__cause__, WrongCredential)
    assert caught.value.hint == "use the one of the scheduler"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"scheduler": "a b"}, "no address"),
        ({"scheduler": 7}, "must be text"),
        ({"scheduler": "far.example:9700"}, "credential"),
        ({"scheduler": "unix:/x", "scheduler_host": "y"}, "two names"),
        ({"scheduler": "unix:/x", "nodes": ["local"]}, "machine of the scheduler"),
        ({"scheduler": "unix:/x", "recover": "a/b"}, "no name"),
        ({"scheduler": "unix:/x", "recover": 7}, "must be text"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        SharedJobCluster(double, **given)


def test_without_scheduler_it_is_this_user_s_own(
    fake: FakeDurable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from lightwork.config import places
    from lightwork.kit.process import start_of

    monkeypatch.setattr("lightwork.config.paths.runtime_directory", lambda: tmp_path)
    with pytest.raises(UserError, match="No scheduler of yours"):
        SharedJobCluster(double)
    start = start_of(os.getpid())
    places.write(places.Place(name="mine", address=fake.address, pid=os.getpid(), start=start))
    places.write(places.Place(name="private", address="unix:/x", pid=os.getpid(), start=start, session="one"))
    with SharedJobCluster(double) as cluster:
        assert cluster.submit(4)() == 8
    places.write(places.Place(name="other", address="unix:/y", pid=os.getpid(), start=start))
    with pytest.raises(UserError, match=r"mine .*other"):
        SharedJobCluster(double)


def test_jobs_that_are_not_taken_end_with_the_reason(fake: FakeDurable, capfd: pytest.CaptureFixture[str]) -> None:
    with on(fake) as cluster:
        fake.full = True
        job = cluster.options(key="a").submit(1)
        with pytest.raises(JobNotRun, match="the disk is full"):
            job.get(20)
        assert "error: jobs were not taken: the disk is full" in capfd.readouterr().err
        fake.full = False
        again = cluster.options(key="a").submit(1)
        assert again is not job
        assert again.get(20) == 2
        fake.cut()
        assert cluster.submit(5).get(20) == 10
        assert job.status is JobState.FAILED, "it is not submitted behind the user's back"
        assert 0 not in fake.runs


def test_one_key_is_one_job(fake: FakeDurable) -> None:
    with on(fake) as cluster:
        one = cluster.options(key="a").submit(1)
        assert cluster.options(key="a").submit(1) is one
        assert cluster.options(key="b").submit(1) is not one
        assert one() == 2
        assert cluster.options(key="a", id="named").submit(1) is one
        assert one.id == "named"
        with pytest.raises(UserError, match=r"'a' belongs to job .*/0, which had other arguments than .*double\(2\)"):
            cluster.options(key="a").submit(2)
        with pytest.raises(UserError, match="another one's, of"):
            cluster.options(key="a", computation=length).submit(1)
        assert fake.now.next == 2
        for wrong in ("", "x" * 256, 7, b"bytes"):
            with pytest.raises(UserError):
                cluster.options(key=wrong)  # type: ignore[arg-type]
        with pytest.raises(UserError, match="map makes many"):
            cluster.options(key="c").map([1, 2])


def test_one_key_is_one_job_for_all_threads(fake: FakeDurable) -> None:
    with on(fake) as cluster:
        found: list[Any] = []

        def submit() -> None:
            for n in range(40):
                found.append(cluster.options(key=f"k{n}").submit(n))

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len({id(job) for job in found}) == 40
        assert cluster.wait(20)
        assert fake.now.next == 40


def test_a_keyed_job_that_nobody_holds_is_found_again(fake: FakeDurable) -> None:
    with on(fake) as cluster:
        assert cluster.options(key="a").submit(5)() == 10
        fake.wait(lambda: fake.now.entries[0].taken)
        again = cluster.options(key="a").submit(5)
        assert again.get(20) == 10
        assert again.key == "a"  # type: ignore[attr-defined]
        assert fake.runs == {0: 1}


def test_another_life_finds_its_jobs(fake: FakeDurable) -> None:
    fake.hold = True
    first = on(fake, recover="ours")
    for n in range(6):
        first.options(key=f"k{n}", id=("job", n)).submit(n)
    for n in range(6, 9):
        first.submit_job_id(f"plain {n}", n)
    first.submit(n=9)
    fake.wait(lambda: fake.now.next == 10)
    fake.finish(0, 1, 6)
    fake.wait(lambda: len(first._session.core.open) == 7)
    first.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not fake.closed

    second = on(fake, recover="ours")
    assert [(hello.incarnation, hello.lasting) for hello in fake.hellos] == [(0, True), (0, True)]
    same = [second.options(key=f"k{n}").submit(n) for n in range(6)]
    assert [job.id for job in same] == [("job", n) for n in range(6)]
    assert (same[0].get(20), same[0].redelivered, same[0].status) == (0, True, JobState.FINISHED)
    assert same[0] is second.options(key="k0").submit(0)
    with pytest.raises(UserError, match="other arguments"):
        second.options(key="k5").submit(6)

    found = second.recovered
    assert found == second.recovered
    assert [job.number for job in found] == list(range(10))
    assert found[:6] == same
    assert [job.id for job in found[6:]] == ["plain 6", "plain 7", "plain 8", 9]
    assert [(job.args, job.kwargs) for job in found[8:]] == [((8,), {}), ((), {"n": 9})]
    assert [job.key for job in found] == [*(f"k{n}" for n in range(6)), "", "", "", ""]
    assert [job.status for job in found[6:]] == [JobState.FINISHED] + [JobState.QUEUED] * 3
    assert (found[6].result, found[6].redelivered) == (12, True)
    assert not found[6].cancel(), "it has ended"
    new = second.submit(21)
    assert new.number == 10
    fake.wait(lambda: fake.now.next == 11)
    fake.finish()
    assert [job.get(20) for job in [*same, *found, new]] == [*range(0, 12, 2), *range(0, 20, 2), 42]
    assert [job.redelivered for job in found] == [True, True] + [False] * 4 + [True] + [False] * 3
    assert max(fake.runs.values()) == 1
    assert second.close()
    assert fake.closed


def test_every_way_to_a_recovered_result(fake: FakeDurable) -> None:
    first = on(fake, recover="ours")
    for n in range(6):
        first.submit(n)()
    fake.hold = True
    fake.wait(lambda: not fake.now.entries)
    for n in range(6):
        first.submit(n)
    fake.wait(lambda: fake.now.next == 12)
    fake.finish()
    fake.wait(lambda: first._session.core.ended == 12)
    first._detach()
    with on(fake, recover="ours") as second:
        jobs = second.recovered
        assert [job.status for job in jobs] == [JobState.FINISHED] * 6
        assert jobs[0]() == 0
        assert jobs[1].result == 2
        assert jobs[2].finish.wait(20)
        assert [job.number for job in second.as_completed([jobs[3]])] == [9]
        assert (jobs[4].exception, jobs[4].stdout) == (None, "")

        async def wait() -> Any:
            return await jobs[5]

        import asyncio

        assert asyncio.run(wait()) == 10
    with pytest.raises(ClusterClosed):
        second.submit(1)


def test_close_waits_for_jobs_of_earlier_lives_and_tells_what_is_dropped(
    fake: FakeDurable, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.hold = True
    first = on(fake, recover="ours")
    for n in range(5):
        first.submit(n)
    fake.wait(lambda: fake.now.next == 5)
    fake.finish(0, 1)
    fake.wait(lambda: first._session.core.ended == 2)
    first._detach()
    assert 'lightwork.attach("ours", scheduler=' in capfd.readouterr().err
    second = on(fake, recover="ours")
    assert second.wait(20), "nobody has asked for the others"
    monkeypatch.setattr(second._session.waits.patience, "first_s", 0.2)
    assert not second.close(timeout=0.5)
    assert "waiting for 3 jobs of earlier lives of the program" in capfd.readouterr().err
    fake.finish()
    assert second.close(20)
    assert "5 results of earlier lives of the program had not been asked for" in capfd.readouterr().err


def test_a_job_that_ends_while_the_link_is_down_is_not_waited_for_in_vain(fake: FakeDurable) -> None:
    fake.hold = True
    first = on(fake, recover="ours")
    jobs = [first.options(key=f"k{n}").submit(n) for n in range(2)]
    fake.wait(lambda: fake.now.next == 2)
    first._detach()
    second = on(fake, recover="ours")
    job = second.options(key="k0").submit(0)
    fake.down()
    fake.finish()
    fake.up()
    assert job.get(20) == 0
    assert second.close(20), "and the one that nobody asked for is known to have ended"
    assert jobs[0].status is JobState.LOST


def test_large_arguments_are_fetched_and_let_go_once_they_are_on_disk(fake: FakeDurable) -> None:
    data = bytes(range(256)) * (limits.INLINE_MAX // 128)
    with on(fake, length) as cluster:
        job = cluster.submit(data)
        small = cluster.submit(b"1234")
        fake.wait(lambda: 0 in fake.arguments)
        fake.finish()
        assert (job.get(20), small.get(20)) == (len(data), 4)
        (submit,) = [message for message in fake.told_of(Submit) if message.apart]
        assert (submit.apart[0].offset, submit.lengths[0]) == (0, 0)
        assert submit.apart[0].size == len(fake.arguments[0]) > len(data)
        fake.wait(lambda: not len(cluster._session.larges))  # type: ignore[attr-defined]
        assert cluster._session.core.heavy_bytes == 0


def test_a_large_argument_is_what_it_was_at_submit(fake: FakeDurable) -> None:
    data = bytearray(b"a" * (limits.INLINE_MAX + 5))
    with on(fake, bytes) as cluster:
        fake.down()
        job = cluster.submit(data)
        data[:] = b"b" * len(data)
        fake.up()
        assert set(job.get(20)) == {ord("a")}


def test_a_large_result_goes_on_over_the_next_link(fake: FakeDurable) -> None:
    import pickle

    from lightwork.wire.outcome import APART

    value = bytes(range(256)) * 20_000
    fake.hold = True
    with on(fake) as cluster:
        job = cluster.submit(1)
        fake.wait(lambda: fake.now.next == 1)
        payload = pickle.dumps(value, 5)
        fake.blobs["d" * 32] = payload
        fake.pieces = 1 << 20
        state = int(JobState.FINISHED)
        columns = ([0], [state], [APART], [1], [1], [1], [0])
        files = [(0, [File("", "d" * 32, len(payload))])]
        assert fake.link is not None
        fake.now.entries[0].state = state
        fake.runs[0] = 1
        fake.say(Results(1, "far", *columns, files=files, tokens=[0]))
        assert job.get(30) == value
        assert len(fake.hellos) == 2
        offsets = [message.offset for message in fake.told_of(Fetch)]
        assert offsets[0] == 0
        assert (1 << 20) - (64 << 10) <= offsets[1] < len(payload), "from where it stopped"


def test_files_of_running_jobs_come_by_their_digest(fake: FakeDurable, tmp_path: Path) -> None:
    fake.hold = True
    with on(fake, outputs_dir=tmp_path / "out") as cluster:
        job = cluster.submit(1)
        fake.wait(lambda: fake.now.next == 1)
        import hashlib

        content = b"some content"
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        fake.blobs[digest] = content
        fake.say(SentFile(0, "", File("a/b.txt", digest, len(content))))
        fake.wait(lambda: (tmp_path / "out/a/b.txt").exists())
        fake.finish()
        assert job.get(20) == 2
        assert job.files == [tmp_path / "out/a/b.txt"]
    assert all(not message.spooled for message in fake.told_of(Taken))


def test_what_was_asked_is_asked_again(fake: FakeDurable) -> None:
    fake.mute = {ControlNode}
    with on(fake) as cluster:
        cluster.status()
        thread = threading.Thread(target=lambda: cluster.deallocate_node("far"))
        thread.start()
        fake.wait(lambda: fake.told_of(ControlNode))
        fake.cut()
        fake.mute = set()
        thread.join(20)
        assert not thread.is_alive()
        assert len(fake.told_of(ControlNode)) == 2


def test_nodes_are_for_the_scheduler_to_reach(fake: FakeDurable) -> None:
    with on(fake, nodes=["n1", ("n2", 9999)]):
        fake.wait(lambda: fake.told_of(Seek))
        assert [(one.host, one.port) for one in fake.told_of(Seek)[0].wanted] == [("n1", 0), ("n2", 9999)]


def test_submit_goes_on_without_a_link_up_to_a_limit(
    fake: FakeDurable, quick: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lightwork.client.durable_session.OPEN_BYTES_MAX", 1 << 20)
    cluster = on(fake, length)
    cluster.submit(b"")()
    fake.down()
    numbers = itertools.count()
    jobs: list[Any] = []

    def submit() -> None:
        while next(numbers) < 40:
            jobs.append(cluster.submit(b"x" * 100_000))

    thread = threading.Thread(target=submit)
    thread.start()
    fake.wait(lambda: len(jobs) == 11)
    fake.wait(lambda: "waiting for the scheduler" in capfd.readouterr().err)
    assert len(jobs) == 11
    fake.up()
    thread.join(30)
    assert [job() for job in jobs] == [100_000] * 40
    cluster.close()


def test_without_recover_an_exception_cancels(fake: FakeDurable) -> None:
    fake.hold = True
    with pytest.raises(ZeroDivisionError):
        with on(fake) as cluster:
            job = cluster.submit(1)
            raise ZeroDivisionError
    assert fake.told_of(Close)[0].cancel
    assert job.status is JobState.CANCELLED


def test_many_cuts_under_load(fake: FakeDurable) -> None:
    """A link that breaks again and again: every job is run once and delivered once."""
    ended: list[Any] = []
    with on(fake, callback=ended.append) as cluster:
        over = threading.Event()

        def cut() -> None:
            while not over.wait(0.05):
                fake.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        jobs = []
        for n in range(4000):
            jobs.append(cluster.submit(n))
            if n % 100 == 0:
                time.sleep(0.02)
        results = [job() for job in jobs]
        over.set()
        thread.join()
        assert results == [2 * n for n in range(4000)]
        assert cluster.wait(20)
        assert len(ended) == len(set(map(id, ended))) == 4000
        assert set(fake.runs.values()) == {1}
        assert len(fake.hellos) > 3
        fake.wait(lambda: not fake.now.entries)


def test_a_scheduler_that_hangs_up_again_and_again_is_given_up(
    fake: FakeDurable, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.hold = True
    cluster = on(fake)
    job = cluster.submit(1)
    fake.wait(lambda: fake.now.next == 1)
    over = threading.Event()

    def hang_up() -> None:
        while not over.wait(0.01):
            with fake.lock:
                if fake.link is not None and not fake.waiting and not fake.said:
                    fake.say(Goodbye("you talk nonsense"))
                    fake.cut()

    thread = threading.Thread(target=hang_up)
    thread.start()
    with pytest.raises(JobLost, match="has hung up: you talk nonsense"):
        job.get(30)
    over.set()
    thread.join()
    assert 4 <= len(fake.hellos) <= 7
    assert "has hung up: you talk nonsense" in capfd.readouterr().err
    cluster.close()


def test_a_scheduler_that_is_stopped_in_order_is_waited_for(fake: FakeDurable) -> None:
    fake.hold = True
    with on(fake) as cluster:
        job = cluster.submit(1)
        fake.wait(lambda: fake.now.next == 1)
        fake.say(Goodbye("stopped"))
        fake.down()
        fake.up()
        fake.wait(lambda: len(fake.hellos) == 2)
        fake.finish()
        assert job.get(20) == 2


def test_results_that_make_no_sense_end_a_link_and_not_the_jobs(fake: FakeDurable) -> None:
    fake.hold = True
    with on(fake) as cluster:
        job = cluster.submit(1)
        fake.wait(lambda: fake.now.next == 1)
        fake.say(Results(1, "far", [0], [2], [0], [1], [1], [1], [5]), b"not five")
        fake.wait(lambda: len(fake.hellos) == 2)
        fake.finish()
        assert job.get(20) == 2
