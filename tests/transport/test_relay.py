"""Streams through a third: client <-> scheduler <-> node, with nothing kept in between."""

import asyncio
import random
from itertools import pairwise

import pytest

from lightwork.config.limits import CHUNK, STREAM_CREDIT
from lightwork.transport.files import BytesSource
from lightwork.transport.relay import Pipe, relay
from lightwork.wire.messages import Fetch, Taken
from tests.transport.links import LOOPS, Gather, Pair, Recorder, Zeros, run, until

each_loop = pytest.mark.parametrize("loop", LOOPS)
each_route = pytest.mark.parametrize(
    ("first", "second"), [("memory", "memory"), ("unix", "memory"), ("blocking-unix", "unix"), ("loopback", "loopback")]
)


class Chain:
    """client -(left)- scheduler -(right)- node; the scheduler relays each fetch to the other side."""

    left: Pair
    right: Pair

    def __init__(self, first: str, second: str, at_node, at_client=None) -> None:
        self.client, self.node = Recorder(at_client), Recorder(at_node)
        left_side = Recorder(on_message=lambda link, message, body: self._relay(link, message, self.right.server))
        right_side = Recorder(on_message=lambda link, message, body: self._relay(link, message, self.left.server))
        self.left = Pair(first, self.client, left_side)
        self.right = Pair(second, self.node, right_side)

    def _relay(self, link, message, to) -> None:
        if type(message) is Fetch:
            relay(message, link, to)
        else:
            link.send(message)

    async def __aenter__(self) -> "Chain":
        await self.left.__aenter__()
        await self.right.__aenter__()
        return self

    async def __aexit__(self, *exception) -> None:
        await self.left.__aexit__(*exception)
        await self.right.__aexit__(*exception)


@each_loop
@each_route
def test_content_passes_both_ways_and_numbers_do_not_mix(first, second, loop):
    chance = random.Random(5)
    blobs = {str(n): chance.randbytes(chance.choice([0, 10, 70_000, 2_500_000])) for n in range(12)}

    def source(fetch: Fetch):
        return BytesSource(blobs[fetch.name], fetch.offset) if fetch.name in blobs else None

    async def work():
        async with Chain(first, second, source, source) as chain:
            chain.left.client.fetch("blob", "none", unknown := Gather())
            sinks = {name: Gather(keep=True) for name in blobs}
            for number, (name, sink) in enumerate(sinks.items()):
                (chain.left.client, chain.right.client)[number % 2].fetch("blob", name, sink)
            chain.left.client.fetch("blob", "3", tail := Gather(keep=True), 5)
            await until(lambda: all(sink.end is not None for sink in (*sinks.values(), tail, unknown)))
            for name, sink in sinks.items():
                assert (sink.end, sink.data == blobs[name]) == ("", True)
            assert tail.data == blobs["3"][5:]
            assert unknown.end == "no such thing"

    run(loop, work)


@each_loop
@each_route
def test_a_slow_asker_slows_the_provider(first, second, loop):
    source = Zeros(50 * STREAM_CREDIT)

    async def work():
        async with Chain(first, second, lambda fetch: source) as chain:
            sink = Gather(consume=False)
            stream = chain.left.client.fetch("blob", "x", sink)
            await until(lambda: sink.size == STREAM_CREDIT)
            chain.left.client.send(Taken(1))
            await until(lambda: chain.client.got)
            await asyncio.sleep(0.05)
            assert source.given <= 2 * STREAM_CREDIT
            chain.left.client.consumed(stream, 4 * CHUNK)
            await until(lambda: sink.size == STREAM_CREDIT + 4 * CHUNK)
            chain.left.client.cancel(stream)
            await until(lambda: source.closed)
            assert source.given <= 2 * STREAM_CREDIT + 4 * CHUNK

    run(loop, work)


@each_loop
@each_route
def test_the_asker_is_told_when_the_provider_is_lost(first, second, loop):
    async def work():
        async with Chain(first, second, lambda fetch: Zeros(50 * STREAM_CREDIT)) as chain:
            sink = Gather(consume=False)
            chain.left.client.fetch("blob", "x", sink)
            await until(lambda: sink.size == STREAM_CREDIT)
            chain.right.client.abort()
            await until(lambda: sink.end)  # at once, though the asker has given no credit
            assert chain.left.client.up
            after = Gather()
            chain.left.client.fetch("blob", "x", after)  # to a provider that is gone already
            await until(lambda: after.end)

    run(loop, work)


@each_loop
@each_route
def test_the_provider_is_stopped_when_the_asker_is_lost(first, second, loop):
    source = Zeros(50 * STREAM_CREDIT)

    async def work():
        async with Chain(first, second, lambda fetch: source) as chain:
            sink = Gather(consume=False)
            chain.left.client.fetch("blob", "x", sink)
            await until(lambda: sink.size == STREAM_CREDIT)
            chain.left.client.abort()
            await until(lambda: source.closed)
            assert chain.right.client.up

    run(loop, work)


class Random:
    """A source of `data` that remembers what was asked of it."""

    def __init__(self, data: bytes, asked: list[Fetch]) -> None:
        self._data, self._asked = data, asked

    def __call__(self, fetch: Fetch):
        self._asked.append(fetch)
        return BytesSource(self._data, fetch.offset)


@each_loop
@each_route
def test_an_asker_may_wait_for_a_provider_that_comes_back(first, second, loop):
    data = random.Random(7).randbytes(5 * STREAM_CREDIT)
    asked: list[Fetch] = []
    provider = Random(data, asked)
    waiting: list[Pipe] = []

    async def work():
        async with Chain(first, second, provider) as chain:
            chain._relay = lambda link, message, to: Pipe(message, link, waiting.append).go_on(to)  # type: ignore[method-assign]
            sink = Gather(consume=False, keep=True)
            stream = chain.left.client.fetch("blob", "x", sink, 11)
            await until(lambda: sink.size == STREAM_CREDIT)
            for _ in range(3):  # it breaks again and again, and in between what waits here is passed on
                count = len(waiting)
                chain.right.client.abort()
                await until(lambda count=count: len(waiting) > count)
                chain.left.client.consumed(stream, STREAM_CREDIT // 2)
                await asyncio.sleep(0.01)
                await chain.right.__aexit__(None, None, None)
                chain.right = Pair(second, Recorder(provider), Recorder())
                await chain.right.__aenter__()
                waiting[-1].go_on(chain.right.server)
                await asyncio.sleep(0.01)
            sink.consume = True
            chain.left.client.consumed(stream, STREAM_CREDIT // 2)
            await until(lambda: sink.end is not None)
            assert (sink.end, sink.data == data[11:]) == ("", True)
            assert asked[0].offset == 11
            assert all(one.offset < two.offset <= len(data) for one, two in pairwise(asked))
            assert chain.left.client.up
            assert chain.right.client.up, "no credit was granted twice"

    run(loop, work)


@each_loop
@each_route
def test_an_asker_that_leaves_while_it_waits(first, second, loop):
    waiting: list[Pipe] = []

    async def work():
        async with Chain(first, second, lambda fetch: Zeros(50 * STREAM_CREDIT)) as chain:
            chain._relay = lambda link, message, to: Pipe(message, link, waiting.append).go_on(to)  # type: ignore[method-assign]
            sink = Gather(consume=False)
            stream = chain.left.client.fetch("blob", "x", sink)
            await until(lambda: sink.size == STREAM_CREDIT)
            chain.right.client.abort()
            await until(lambda: waiting)
            chain.left.client.cancel(stream)
            await until(lambda: waiting[0].ended)
            await chain.right.__aexit__(None, None, None)
            asked: list[Fetch] = []
            chain.right = Pair(second, Recorder(Random(b"", asked)), Recorder())
            await chain.right.__aenter__()
            waiting[0].go_on(chain.right.server)
            waiting[0].give_up("nobody hears this")
            await asyncio.sleep(0.02)
            assert asked == []
            assert sink.end is None

    run(loop, work)
