"""What can never be sent is refused where it is given; if it gets further all the same, only its own jobs suffer."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import deque
from typing import Any

import pytest

from lightwork.client import core as client_core
from lightwork.client.records import Record
from lightwork.model.errors import JobNotRun, UserError
from lightwork.model.states import JobState
from lightwork.payload.computation import PAYLOADS, pack_computation, payload_of
from lightwork.wire.messages import Cancel, Computation, Define, File, JobOptions, Submit, Taken

BAD = "caf\udce9"  # what os.fsdecode makes of Latin-1


def double(n):
    return 2 * n


def other(n):
    return 3 * n


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"env": {"NAME": BAD}}, r"env: the value of 'NAME', 'caf\\udce9' cannot be sent"),
        ({"env": {BAD: "x"}}, "env: the name"),
        ({"env": {"A": "x" * (5 << 20)}}, "env has 5.0 MiB"),
        ({"stdin": bytes(5 << 20)}, r"stdin has 5.0 MiB[^$]*hint: let the jobs depend on a file"),
    ],
)
def test_options_that_cannot_be_sent_are_refused_at_the_call(make, given, match):
    cluster, _ = make(double)
    first = cluster.submit(1)
    with pytest.raises(UserError, match=match):
        cluster.options(**given)
    assert (first(), cluster.submit(2)()) == (2, 4)
    assert cluster.close()


def test_outputs_that_cannot_be_sent_are_refused_before_anything_starts(make):
    with pytest.raises(UserError, match="outputs"):
        make(double, outputs=[BAD])


def test_a_large_setup_is_refused_by_name(make):
    with pytest.raises(UserError, match=r"setup with setup_args has 3\.0 MiB"):
        make(double, setup=other, setup_args=(bytes(3 << 20),))


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_file_names_that_are_no_text_are_refused(make, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    with open(path, "wb") as file:
        file.write(b"#!/bin/sh\n")
    os.chmod(path, 0o755)
    with pytest.raises(UserError, match=r"the file name 'caf\\udce9'"):
        pack_computation(double, depends=[path])
    with pytest.raises(UserError, match="not UTF-8"):
        pack_computation(path)
    cluster, _ = make(double)
    with pytest.raises(UserError, match="the file name"):
        cluster.options(depends=[path])
    assert cluster.submit(2)() == 4


def test_arguments_that_no_program_takes_are_refused(make):
    cluster, _ = make(sys.executable)
    with pytest.raises(UserError, match=r"arguments of the program have 7\.0 MiB"):
        cluster.submit("x" * (7 << 20))
    assert cluster.submit("x")() == 0


def large(size, extra=b""):
    content = os.urandom(size) + extra

    def digest(n):
        return n, hashlib.blake2b(content).hexdigest()

    return digest, hashlib.blake2b(content).hexdigest()


def test_a_large_payload_is_a_file_and_never_another_computations():
    function, _ = large(5 << 20)
    packed = pack_computation(function)
    (file,) = packed.wire.files
    assert (packed.wire.payload, file.path.startswith(PAYLOADS), file.size > 5 << 20) == (b"", True, True)
    assert payload_of(packed) == packed.blobs[file.digest]
    small = pack_computation(double, base=packed)
    assert small.wire.payload
    assert not [file for file in small.wire.files if file.path.startswith(PAYLOADS)]
    second = pack_computation(large(1 << 20)[0], base=packed)
    assert len([file for file in second.wire.files if file.path.startswith(PAYLOADS)]) == 1
    assert second.wire.environment == packed.wire.environment


class Broken:
    """Makes a link refuse some messages as if they could not be encoded."""

    def __init__(self, monkeypatch, cluster, refuses):
        self.refuses = refuses
        link = cluster._session.link
        self.send = link.send
        monkeypatch.setattr(link, "send", self)

    def __call__(self, message, body=b""):
        if self.refuses(message):
            raise ValueError("no form in bytes")
        self.send(message, body)


def test_a_submit_that_cannot_be_encoded_ends_its_jobs_and_the_line_goes_on(make, monkeypatch):
    ended: list[Any] = []
    cluster, fake = make(double, hold=True, callback=ended.append)
    first = cluster.submit(1)
    fake.wait_jobs(1)
    Broken(monkeypatch, cluster, lambda message: isinstance(message, Submit) and message.options.env)
    bad = [cluster.options(env={"A": "b"}).submit(n) for n in range(3)]
    good = cluster.submit(5)
    for job in bad:
        with pytest.raises(JobNotRun, match="could not be sent: no form in bytes"):
            job.get(10)
        assert job.status == JobState.FAILED
    fake.wait_jobs(2)
    fake.end(*fake.jobs)
    assert (first(), good()) == (2, 10)
    assert cluster.wait(10)
    assert set(ended) == {first, good, *bad}
    assert cluster.close()


def test_a_definition_that_cannot_be_encoded_ends_the_jobs_that_need_it(make, monkeypatch):
    cluster, fake = make(double)
    Broken(monkeypatch, cluster, lambda m: isinstance(m, Define) and m.computation.name == "other")
    others = cluster.options(computation=other)
    for _ in range(2):
        bad = [others.submit(n) for n in range(300)]
        good = cluster.submit(4)
        assert good() == 8
        assert [job.status for job in bad if job() is None] == [JobState.FAILED] * 300
    assert not [message for message in fake.told(Submit) if message.computation != good.under.computation.digest]
    assert cluster.wait(10)
    assert cluster.close()


def test_the_core_takes_away_what_hangs_on_a_definition():
    core: Any = client_core.ClientCore()

    class Under:
        def __init__(self, digest):
            self.computation, self.options = Computation(digest, "function", digest), JobOptions()

    def add(under):
        job = Record(None)
        core.add(job, under, b"x")
        return job

    one, two = Under("one"), Under("two")
    jobs = [add(under) for under in (one, two, one)]
    outbox: deque[Any] = core.outgoing()
    assert [type(message).__name__ for message, _ in outbox] == ["Define", "Submit", "Define", "Submit", "Submit"]
    why = JobNotRun("it could not be sent")
    assert core.unsendable(outbox[0][0], why) == [jobs[0], jobs[2]]
    assert [type(message).__name__ for message, _ in outbox] == ["Define", "Define", "Submit"]
    assert (core.unfinished(), core.failed, jobs[0].extra.trouble) == (1, 2, why)


def test_many_numbers_are_told_in_several_messages(make, monkeypatch):
    cluster, fake = make(double, hold=True)
    monkeypatch.setattr(client_core, "NUMBERS_MAX", 100)
    jobs = [cluster.submit(n) for n in range(1050)]
    fake.wait_jobs(1050)
    assert cluster.cancel(jobs)
    fake.wait(lambda: sum(len(message.jobs) for message in fake.told(Cancel)) == 1050)
    assert max(len(message.jobs) for message in fake.told(Cancel)) == 100
    core = cluster._session.core
    for number in range(450):
        core.free(number)
        core.fetched(number)
    cluster._session.connection.flush()
    fake.wait(lambda: sum(len(message.regions) for message in fake.told(Taken)) == 450)
    assert sum(len(message.spooled) for message in fake.told(Taken)) == 450
    assert max(len(message.spooled) for message in fake.told(Taken)) == 100


def test_contents_of_single_jobs_files_go_with_the_jobs(make, tmp_path, monkeypatch):
    from lightwork.client import defining

    monkeypatch.setattr(defining, "PLANS_MAX", 4)
    cluster, fake = make(double, hold=True)
    blobs = cluster._session.blobs
    before = len(blobs)
    digests = []
    for number in range(20):
        path = tmp_path / f"input{number}"
        path.write_text(f"content {number}")
        job = cluster.options(depends=[path]).submit(number)
        digests.append(job.under.options.files[0].digest)
    del job
    fake.wait_jobs(20)
    assert [blobs.find(digest) for digest in digests] == [b"content %d" % n for n in range(20)], "all are open"
    stream = fake.fetch("blob", digests[0])
    fake.wait(lambda: stream in fake.done_streams)
    assert fake.received[stream] == b"content 0"
    fake.end(*fake.jobs)
    assert cluster.wait(10)
    fake.wait(lambda: len(blobs) <= before + 5)


def test_nobody_sees_the_end_before_all_is_over(make):
    """The scheduler dies while jobs are queued and unsent: who waits sees all of them ended and told."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for turn in range(10):
            told: list[Any] = []
            cluster, fake = make(double, hold=True, callback=told.append)
            jobs = [cluster.submit(n) for n in range(2000)]
            seen: list[Any] = []
            looking = threading.Event()

            def look(cluster=cluster, jobs=jobs, told=told, seen=seen, looking=looking):
                looking.set()
                while not cluster._session.settled():
                    pass
                seen += [len(told), sum(job.state < JobState.FINISHED for job in jobs)]

            thread = threading.Thread(target=look)
            thread.start()
            looking.wait(10)
            fake.wait_jobs(100 * (turn % 3))
            fake.die()
            assert cluster.wait(20)
            assert len(told) == 2000
            thread.join(20)
            assert seen == [2000, 0], f"in turn {turn}"
    finally:
        sys.setswitchinterval(interval)


def test_a_job_that_waited_for_its_file_is_told_before_wait_returns(make, tmp_path):
    """Its end is found while streams are read, not in a message."""
    told: list[Any] = []
    cluster, fake = make(double, hold=True, callback=told.append, outputs_dir=tmp_path)
    seen: list[int] = []
    content = b"x" * 1000
    fake.files["17/0"] = content
    job = cluster.submit(1)
    fake.wait_jobs(1)
    incoming = cluster._session._incoming
    tell = incoming._arrivals._tell_ended

    def slowly(jobs, node):
        seen.append(cluster._session.settled())
        tell(jobs, node)

    incoming._arrivals._tell_ended = slowly
    file = File("f", hashlib.blake2b(content, digest_size=16).hexdigest(), len(content))
    fake.end(0, files=[(0, [file])], tokens=[17])
    assert cluster.wait(10)
    assert (told, seen, len(job.files)) == ([job], [False], 1)
