"""Files: dependencies in, outputs and sent files out, directories gone afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from lightwork.node.service.blobs import BlobError, Blobs, check_path
from lightwork.node.service.directories import Directories
from lightwork.node.service.job_directories import JobDirectories
from lightwork.node.service.spool import Spool
from lightwork.wire.messages import Computation, File, JobOptions
from lightwork.wire.outcome import CANCELLED, RETURNED, encode_fields
from lightwork.wire.streams import SourceFailed
from tests.node.scheduler_double import arguments, function, node


def file(path, data, scheduler=None, **fields):
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    if scheduler is not None:
        scheduler.blobs[digest] = data
    return File(path, digest, len(data), **fields)


def read(path):
    import os

    found = os.stat(path)
    with open(path, "rb") as opened:
        return opened.read()[:100], found.st_size, found.st_mode & 0o777, found.st_mtime_ns


def test_dependencies_lie_beside_the_jobs(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            files = (
                file("a.txt", b"alpha", scheduler, modified_ns=10**18),
                file("deep/b.bin", os.urandom(3_000_000), scheduler, mode=0o755),
            )
            first, second = function(read, files=files), function(read, files=files, digest="second")
            scheduler.prepare(first)
            ends = await scheduler.run(first, ("a.txt",), ("deep/b.bin",))
            assert ends[0].value == (b"alpha", 5, 0o644, 10**18)
            assert ends[1].value[:3] == (scheduler.blobs[files[1].digest][:100], 3_000_000, 0o755)
            scheduler.blobs.clear()  # from now on only the cache has them
            scheduler.prepare(second)
            [end] = await scheduler.run(second, ("a.txt",))
            assert end.value[0] == b"alpha"
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert not scheduler.released[0].problems
            assert list((tmp_path / "n" / "computations").iterdir()) == []

    asyncio.run(story())


def spoil(path):
    with open(path, "w") as opened:
        opened.write("spoiled")


def test_a_job_cannot_spoil_the_cache(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            files = (file("a.txt", b"alpha", scheduler, modified_ns=10**18),)
            spoiler, reader = function(spoil, files=files), function(read, files=files)
            for one in (spoiler, reader):
                scheduler.prepare(one)
            await scheduler.run(spoiler, ("a.txt",))
            [end] = await scheduler.run(reader, ("a.txt",))
            assert end.value[0] == b"alpha"

    asyncio.run(story())


def test_a_file_that_cannot_be_had_fails_the_computation(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            wanted = file("a.txt", b"alpha")
            scheduler.blobs[wanted.digest] = b"something else"
            computation = function(read, files=(wanted,))
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments("a.txt")])
            await scheduler.until(lambda: tokens[0] in scheduler.returned)
            assert b"a.txt" in scheduler.prepared[-1].failure["message"]
            assert list((tmp_path / "n" / "blobs").iterdir()) == []

    asyncio.run(story())


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a\\b", "", "c:/x", "x\0y"])
def test_paths_from_the_wire(path):
    with pytest.raises(BlobError):
        check_path(path)


def test_links_lead_nowhere(tmp_path):
    """A link that a job left in its directory does not let the next file out of it."""
    blobs = Blobs(tmp_path / "blobs")
    for name in ("blobs", "outside", "directory"):
        (tmp_path / name).mkdir()
    wanted = file("link/a.txt", b"alpha")
    blobs.path(wanted.digest).write_bytes(b"alpha")
    (tmp_path / "directory" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(BlobError):
        blobs.place_now([wanted], tmp_path / "directory")
    assert list((tmp_path / "outside").iterdir()) == []


def produce(names):
    import os

    for name in names:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "w") as opened:
            opened.write("content of " + name)
    os.symlink("/etc/passwd", "passwd.txt")
    return sorted(os.listdir("."))


def test_outputs_come_through_the_spool(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(produce)
            scheduler.prepare(computation)
            options = JobOptions(outputs=("*.txt", "sub/**/*.png"))
            calls = [(["a.txt", "sub/x/b.png", "c.log"],), (["only.txt"],)]
            tokens = scheduler.assign(computation, [arguments(*call) for call in calls], options)
            ends = await scheduler.all_ended(tokens)
            assert [[one.path for one in end.files] for end in ends] == [["a.txt", "sub/x/b.png"], ["only.txt"]]
            data = await scheduler.fetch(f"{tokens[0]}/1")
            assert data == b"content of sub/x/b.png"
            assert hashlib.blake2b(data, digest_size=16).hexdigest() == ends[0].files[1].digest
            scheduler.free([], tokens)
            await scheduler.until(lambda: not list((tmp_path / "n" / "spool").iterdir()))
            await scheduler.until(lambda: not list((tmp_path / "n" / "jobs").iterdir()))
            with pytest.raises(OSError, match="not in the spool"):
                await scheduler.fetch(f"{tokens[0]}/1")

    asyncio.run(story())


@pytest.mark.parametrize("name", ["../agent.lock", "1/../../agent.lock", "1", "/etc/passwd", "1/x"])
def test_only_the_spool_is_served(tmp_path, name):
    with pytest.raises(SourceFailed):
        Spool(tmp_path).source(name, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_nobody_waits_at_pipes_that_jobs_have_left(tmp_path):
    """Where jobs write, they may write what they like: in the spool, and beside their directories."""
    directories = Directories(tmp_path)
    directories.make()
    jobs, spool = JobDirectories(directories, Blobs(directories.blobs)), Spool(directories.spool)
    (directories.spool / "5").mkdir()
    for name in ("new1", "new2.name", "names"):
        os.mkfifo(directories.spool / "5" / name)
    os.mkfifo(directories.jobs / "5.note")
    with pytest.raises(OSError, match="no plain file"):
        spool.sent(5, "a", directories.spool / "5" / "new1")
    with pytest.raises(OSError, match="no plain file"):
        spool.sent_before(5)
    with pytest.raises(OSError, match="no plain file"):
        spool.collect_again(5, jobs, ())
    assert jobs.outputs_before(5) == ()


def send(name):
    import lightwork

    with open(name, "w") as opened:
        opened.write("sent")
    lightwork.send_file(name)
    lightwork.send_provisional("half")
    return "whole"


def test_sent_files_and_provisional_results_come_before_the_end(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(send)
            scheduler.prepare(computation)
            order = []
            take = scheduler._take

            def note(message, body):
                order.append(type(message).__name__)
                take(message, body)

            scheduler._take = note  # type: ignore[method-assign]
            [end] = await scheduler.run(computation, ("out.txt",), options=JobOptions(outputs=("nothing",)))
            assert end.value == "whole"
            assert {"AttemptFile", "AttemptProvisional"} < set(order)
            assert order[-1] == "Ended"
            [sent] = scheduler.files
            assert (sent.file.path, sent.file.size) == ("out.txt", 4)
            assert await scheduler.fetch(sent.name) == b"sent"

    asyncio.run(story())


def test_files_of_single_jobs(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(read)
            scheduler.prepare(computation)
            for text in (b"one", b"two"):
                options = JobOptions(files=(file("own.txt", text, scheduler),))
                [end] = await scheduler.run(computation, ("own.txt",), options=options)
                assert end.value[0] == text
            missing = JobOptions(files=(file("own.txt", b"never"),))
            scheduler.blobs[missing.files[0].digest] = b""
            [end] = await scheduler.run(computation, ("own.txt",), options=missing)
            assert b"own.txt" in end.outcome.failure["message"]

    asyncio.run(story())


def where():
    import os

    return os.getcwd(), sorted(os.listdir("."))


def test_dest_path(tmp_path):
    async def story():
        place = tmp_path / "elsewhere"
        place.mkdir()
        (place / "theirs").write_text("stays")
        async with node(tmp_path / "n") as (scheduler, _agent):
            files = (file("mine/a.txt", b"a", scheduler),)
            absolute = function(where, files=files, dest_path=str(place), digest="absolute")
            relative = function(where, dest_path="below", digest="relative")
            for one in (absolute, relative):
                scheduler.prepare(one)
            [end] = await scheduler.run(absolute, ())
            assert end.value == (str(place), ["mine", "theirs"])
            [end] = await scheduler.run(relative, ())
            assert end.value[0] == str(tmp_path / "n" / "below")
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
        assert sorted(one.name for one in place.iterdir()) == ["theirs"]

    asyncio.run(story())


def program(*argv, **fields):
    fields.setdefault("digest", "p%d" % abs(hash(argv)))
    return Computation(kind="program", name=argv[0], argv=argv, **fields)


def words(*texts):
    return encode_fields({str(n): text.encode() for n, text in enumerate(texts)})


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


def test_programs(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            script = b'#!/bin/sh\necho "$1-$COLOUR"; cat; echo oops >&2; echo made > out.txt; exit $2\n'
            files = (file("run.sh", script, scheduler, mode=0o755),)
            computation = program("{directory}/run.sh", files=files)
            scheduler.prepare(computation)
            options = JobOptions(stdin=b"input\n", env=(("COLOUR", "red"),), outputs=("*.txt",))
            tokens = scheduler.assign(computation, [words("x y", "0"), words("z", "7")], options)
            good, bad = await scheduler.all_ended(tokens)
            assert good.kind == RETURNED
            assert good.outcome.stdout.head == b"x y-red\ninput\n"
            assert good.outcome.stderr.head == b"oops\n"
            assert [one.path for one in good.files] == ["out.txt"]
            assert bad.outcome.failure["exit_code"] == b"7"
            assert await scheduler.fetch(f"{tokens[1]}/0") == b"made\n"

    asyncio.run(story())


def test_programs_that_cannot_start_run_long_or_crash(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            missing, sleeper = program("/no/such/program"), program("sleep")
            suicide = program("{python}", "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
            for one in (missing, sleeper, suicide):
                scheduler.prepare(one)
            [end] = await scheduler.all_ended(scheduler.assign(missing, [words()]))
            assert b"/no/such/program" in end.outcome.failure["message"]
            [end] = await scheduler.all_ended(scheduler.assign(suicide, [words()]))
            assert end.outcome.failure["exit_code"] == b"-11"
            assert end.outcome.failure["signal"] == b"SIGSEGV"
            [token] = scheduler.assign(sleeper, [words("30")])
            await scheduler.until(lambda: token in scheduler.started)
            scheduler.stop([token])
            [end] = await scheduler.all_ended([token])
            assert end.kind == CANCELLED
            late = JobOptions(timeout_ns=200_000_000)
            [end] = await scheduler.all_ended(scheduler.assign(sleeper, [words("30")], late))
            assert b"timeout" in end.outcome.failure["message"]

    asyncio.run(story())


def test_many_programs(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            echo = program("echo")
            scheduler.prepare(echo)
            tokens = scheduler.assign(echo, [words(str(n)) for n in range(100)])
            ends = await scheduler.all_ended(tokens)
            assert [end.outcome.stdout.head for end in ends] == [b"%d\n" % n for n in range(100)]

    asyncio.run(story())
