"""What jobs write is theirs, whoever reads it: the worker for short ones, the agent for long ones."""

from __future__ import annotations

import asyncio
import functools
import random

import pytest

from lightwork.node.service.marked import MarkedOutput
from lightwork.node.service.output import Collector
from lightwork.wire.channel import OUTPUT_MARKER, U64
from lightwork.wire.messages import JobOptions
from lightwork.wire.outcome import CANCELLED, Stream
from tests.node.scheduler_double import arguments, function, node


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


def talk(n, how, seconds):
    import os
    import subprocess
    import time

    if how == 1:
        print("print", n)
    elif how == 2:
        os.write(1, b"write %d\n" % n)
        os.write(2, b"error %d\n" % n)
    elif how == 3:
        subprocess.run(["echo", "child %d" % n])
    time.sleep(seconds)
    if how == 1:
        print("again", n)
    return n


EXPECTED = {0: "", 1: "print {0}\nagain {0}\n", 2: "write {0}\n", 3: "child {0}\n"}


def test_each_gets_its_own(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            computation = function(talk)
            scheduler.prepare(computation)
            rng = random.Random(7)
            calls = [(n, rng.choice([0, 0, 0, 1, 2, 3]), rng.choice([0] * 40 + [0.03, 0.06])) for n in range(600)]
            ends = await scheduler.run(computation, *calls)
            for (n, how, _), end in zip(calls, ends, strict=True):
                assert end.value == n
                assert end.outcome.stdout.head.decode().replace("\r\n", "\n") == EXPECTED[how].format(n)
                assert end.outcome.stderr.head == (b"error %d\n" % n if how == 2 else b"")

    asyncio.run(story())


def flood(size, seconds):
    import os
    import time

    line = b"%0999d\n"
    for n in range(size // 1000):
        os.write(1, line % n)
    time.sleep(seconds)


def test_much_output_keeps_head_and_tail(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, _agent):
            computation = function(flood)
            scheduler.prepare(computation)
            options = JobOptions(output_limit_bytes=100_000)
            ends = await scheduler.run(computation, (20_000_000, 0.05), (5_000, 0), options=options)
            stream = ends[0].outcome.stdout
            assert stream.head == b"".join(b"%0999d\n" % n for n in range(100))
            assert stream.tail == b"".join(b"%0999d\n" % n for n in range(19_900, 20_000))
            assert stream.dropped == 20_000_000 - 200_000
            assert len(ends[1].outcome.stdout.head) == 5_000

    asyncio.run(story())


def chatter():
    import time

    n = 0
    while True:
        print("line", n, flush=True)
        n += 1
        time.sleep(0.001)


def test_output_of_a_killed_job_is_kept(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, _agent):
            computation = function(chatter)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments()])
            await scheduler.until(lambda: token in scheduler.started)
            await asyncio.sleep(0.2)
            scheduler.stop([token], now=True)
            [end] = await scheduler.all_ended([token])
            assert end.kind == CANCELLED
            lines = end.outcome.stdout.head.decode().splitlines()
            assert len(lines) > 20
            assert lines == [f"line {n}" for n in range(len(lines))]

    asyncio.run(story())


def test_collector_joins_what_others_collected():
    collector = Collector(4)
    collector.add(b"abcdef")
    collector.add_stream(Stream(b"ghij", b"wxyz", 100))
    assert collector.stream() == Stream(b"abcd", b"wxyz", 106)


def test_markers_in_pieces():
    text = b"one" + OUTPUT_MARKER + U64.pack(1) + OUTPUT_MARKER + U64.pack(2) + b"\x1e\x00light" + OUTPUT_MARKER
    text += U64.pack(3) + b"rest\x1e\x00"
    for size in (1, 2, 3, 7, 29, 1000):
        told: list[int] = []
        output = MarkedOutput(functools.partial(told.append, 1))
        for at in range(0, len(text), size):
            output.add(text[at : at + size])
        assert told
        assert [output.take(token).stream().head for token in (1, 2, 3)] == [b"one", b"", b"\x1e\x00light"]
        assert output.rest().stream().head == b"rest\x1e\x00"
