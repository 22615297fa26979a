"""Streams whose link breaks in the middle go on where they stopped, over the next link of the claim."""

from __future__ import annotations

import asyncio
import os

import pytest

from lightwork.config.limits import CHUNK, STREAM_CREDIT
from lightwork.node.service.blobs import Blobs
from lightwork.security.credential import Credential
from lightwork.security.secret import generate
from lightwork.transport.tls import Encryption
from lightwork.wire.outcome import APART
from tests.node.lone import MB, Stuck, size_of, value_of
from tests.node.scheduler_double import arguments, function
from tests.node.station_double import RemoteScheduler, station
from tests.node.test_files import file, read


@pytest.fixture(scope="module")
def encryption():
    return Encryption(Credential(secrets=(generate(),), origin="the test"))


@pytest.fixture(params=["tls", "unix"])
def way(request, tmp_path, encryption):
    return ("tcp:127.0.0.1:0", encryption) if request.param == "tls" else (f"unix:{tmp_path}/node.sock", None)


class Halting(RemoteScheduler):
    """Of the first `halts` streams it gives the first half only, until it is told otherwise."""

    def __init__(self, halts=1):
        super().__init__()
        self.halts = halts
        self.source_of = self._source

    def _source(self, message, data):
        source = Stuck(self, message, data)
        source.free = len(self.stuck) > self.halts
        return source

    async def until_half(self):
        await self.until(lambda: self.stuck and len(self.stuck[-1].data) <= self.stuck[-1].half)


def test_an_argument(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (_, address, _log):
            scheduler = Halting()
            await scheduler.dial(address, way[1])
            computation = function(size_of)
            scheduler.prepare(computation)
            payload = arguments(os.urandom(5 * MB) + b"z")
            [token] = scheduler.assign_apart(computation, [payload])
            await scheduler.until_half()
            scheduler.cut()
            await scheduler.dial(address, way[1])
            [end] = await scheduler.all_ended([token])
            assert end.value[0] == 5 * MB + 1
            assert scheduler.resumed == [False, True]
            first, second = scheduler.fetches
            half = len(payload) // 2
            assert (first.offset, first.name, second.name) == (0, str(token), str(token))
            assert half - STREAM_CREDIT <= second.offset <= half + CHUNK

    asyncio.run(story())


def test_a_file_that_two_computations_want(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (_, address, _log):
            scheduler = Halting()
            await scheduler.dial(address, way[1])
            data = os.urandom(6 * MB)
            files = (file("big.bin", data, scheduler),)
            one, two = function(read, files=files, digest="one"), function(read, files=files, digest="two")
            scheduler.prepare(one, "s")
            scheduler.prepare(two, "t")
            await scheduler.until_half()
            blobs = tmp_path / "n" / "blobs"
            assert [path.name[0] for path in blobs.iterdir()] == ["."], "no half file is to be seen"
            scheduler.cut()
            await scheduler.dial(address, way[1])
            await scheduler.until(lambda: len(scheduler.prepared) == 2)
            assert all(one.ready for one in scheduler.prepared)
            assert len(scheduler.fetches) == 2, "once for both, and once more for the rest"
            assert scheduler.fetches[1].offset >= 3 * MB - STREAM_CREDIT
            [end] = await scheduler.run(one, ("big.bin",))
            assert end.value[:2] == (data[:100], len(data))
            assert [path.read_bytes() == data for path in blobs.iterdir()] == [True]

    asyncio.run(story())


def test_a_file_that_changes_in_between_is_not_believed(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (_, address, _log):
            scheduler = Halting()
            await scheduler.dial(address, way[1])
            wanted = file("big.bin", os.urandom(6 * MB), scheduler)
            computation = function(read, files=(wanted,))
            scheduler.prepare(computation)
            await scheduler.until_half()
            scheduler.cut()
            scheduler.blobs[wanted.digest] = os.urandom(6 * MB)
            await scheduler.dial(address, way[1])
            await scheduler.until(lambda: scheduler.prepared)
            assert b"big.bin" in scheduler.prepared[0].failure["message"]
            assert list((tmp_path / "n" / "blobs").iterdir()) == []

    asyncio.run(story())


def make(size):
    return b"r" * size


class Slow:
    """A sink that takes a part, and the rest when it is let."""

    def __init__(self, limit):
        self.data = bytearray()
        self.limit = limit
        self.end = None

    def write(self, piece):
        self.data += piece
        return len(piece) if len(self.data) < self.limit else 0

    def finish(self):
        self.end = ""

    def fail(self, reason):
        self.end = reason


def test_a_result(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, _log):
            scheduler = RemoteScheduler()
            await scheduler.dial(address, way[1])
            computation = function(make)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments(6 * MB)])
            [end] = await scheduler.all_ended([token])
            assert end.status == APART
            results = node.agent.options.results
            sink = Slow(2 * MB)
            scheduler.link.fetch("spool", f"{token}/0", sink)
            await scheduler.until(lambda: len(sink.data) >= 2 * MB)
            scheduler.cut()
            await scheduler.until(lambda: sink.end)
            await scheduler.dial(address, way[1])
            rest = Slow(100 * MB)
            scheduler.link.fetch("spool", f"{token}/0", rest, len(sink.data))
            await scheduler.until(lambda: rest.end is not None)
            assert value_of(bytes(sink.data + rest.data)) == b"r" * 6 * MB
            scheduler.free([], [token])
            await scheduler.until(lambda: results.regions.used == 0)

    asyncio.run(story())


def test_a_region_that_is_just_read_is_not_given_to_others(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, _log):
            scheduler = RemoteScheduler()
            await scheduler.dial(address, way[1])
            computation = function(make)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments(6 * MB)])
            await scheduler.all_ended([token])
            results = node.agent.options.results
            sink = Slow(2 * MB)
            stream = scheduler.link.fetch("spool", f"{token}/0", sink)
            await scheduler.until(lambda: len(sink.data) >= 2 * MB)
            scheduler.free([], [token])
            await scheduler.run(computation, (1,))
            assert results.regions.used >= 6 * MB
            scheduler.link.cancel(stream)
            await scheduler.until(lambda: results.regions.used == 0)

    asyncio.run(story())


def test_a_session_that_ends_meanwhile_leaves_nothing(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (node, address, _log):
            scheduler = Halting(halts=2)
            await scheduler.dial(address, way[1])
            ready = function(size_of)
            computation = function(read, files=(file("big.bin", os.urandom(2 * MB), scheduler),))
            scheduler.prepare(ready)
            scheduler.assign_apart(ready, [arguments(b"a" * 2 * MB)])
            scheduler.prepare(computation)
            scheduler.assign(computation, [arguments("big.bin")])
            await scheduler.until(lambda: len(scheduler.stuck) == 2)
            scheduler.cut()
            scheduler.release()  # it is told when the link is back
            await scheduler.dial(address, way[1])
            await scheduler.until(lambda: scheduler.released)
            assert node.agent.options.arguments.regions.used == 0
            assert len(node.agent.hands.fetching) == 0
            assert list((tmp_path / "n" / "blobs").iterdir()) == []
            assert list((tmp_path / "n" / "computations").iterdir()) == []

    asyncio.run(story())


def test_the_cache_begins_tidy_and_not_larger_than_it_may_be(tmp_path):
    for number, name in enumerate(("old", "newer", ".half", "newest")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, ns=(number, number))
    Blobs(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newer", "newest"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_fails_the_computation_and_not_the_node(tmp_path, way):
    async def story():
        async with station(tmp_path / "n", *way) as (_, address, _log):
            scheduler = RemoteScheduler()
            await scheduler.dial(address, way[1])
            wanted = file("big.bin", os.urandom(MB), scheduler)
            temporary = tmp_path / "n" / "blobs" / f".{wanted.digest}.1"
            temporary.symlink_to("/dev/full")
            computation = function(read, files=(wanted,))
            scheduler.prepare(computation)
            await scheduler.until(lambda: scheduler.prepared)
            message = scheduler.prepared[0].failure["message"].decode()
            assert "big.bin could not be fetched: No space left on device" in message
            await scheduler.until(lambda: not temporary.exists())
            fine = function(size_of)
            scheduler.prepare(fine)
            [end] = await scheduler.run(fine, (b"abc",))
            assert end.value[0] == 3

    asyncio.run(story())
