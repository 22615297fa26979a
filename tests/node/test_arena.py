"""Large arguments and results through shared memory."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from lightwork.node.service.keeper_spawn import Arenas
from lightwork.store.arena import Arena
from lightwork.wire.messages import Assign, JobOptions, Place
from lightwork.wire.outcome import ARENA_REFERENCE, IN_ARENA
from lightwork.wire.segments import split
from tests.node.scheduler_double import EPOCH, arguments, function, node


def grow(data, size):
    return data * (size // max(len(data), 1))


def value_of(arena, end):
    offset, size = ARENA_REFERENCE.unpack(end.outcome.value)
    first, *rest = split(arena.view(offset, size))
    return pickle.loads(first, buffers=rest), offset


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


def test_large_results_and_arguments(tmp_path, kind):
    args, results = (Arena.create(64 << 20, directory=str(tmp_path)) for _ in range(2))

    async def story():
        arenas = Arenas(args.path, results.path)
        async with node(tmp_path / "n", arenas=arenas, results=results, shares_memory=True, **kind) as (scheduler, _):
            computation = function(grow)
            scheduler.prepare(computation)
            ends = await scheduler.run(computation, (b"ab", 1 << 20), (b"cd", 2 << 20), (b"e", 10))
            assert [bool(end.status & IN_ARENA) for end in ends] == [True, True, False]
            for end, expected in zip(ends, (b"ab" * (1 << 19), b"cd" * (1 << 20)), strict=False):
                value, offset = value_of(results, end)
                assert value == expected
                scheduler.free([offset], [])
            payload = arguments(b"x" * 300_000, 300_000)
            offset = args.allocate(len(payload))
            assert offset is not None
            args.view(offset, len(payload))[:] = payload
            reference = ARENA_REFERENCE.pack(offset, len(payload))
            token, place = EPOCH + 999, Place(0, offset, len(payload))
            message = Assign("s", computation.digest, [token], [len(reference)], JobOptions(), [place])
            scheduler.link.send(message, reference)
            [end] = await scheduler.all_ended([token])
            value, offset = value_of(results, end)
            assert value == b"x" * 300_000
            scheduler.free([offset, offset], [])  # twice: only noted
            await scheduler.until(lambda: results.regions.used == 0)

    asyncio.run(story())


def die_with_result(size):
    class Deadly:
        def __reduce__(self):
            import os

            os._exit(9)

    return b"z" * size, Deadly()


def test_what_a_dead_worker_had_asked_for_is_free_again(tmp_path):
    args, results = (Arena.create(64 << 20, directory=str(tmp_path)) for _ in range(2))

    async def story():
        arenas = Arenas(args.path, results.path)
        async with node(tmp_path / "n", arenas=arenas, results=results, shares_memory=True) as (scheduler, _):
            computation = function(die_with_result)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments(1 << 20)])
            await scheduler.until(lambda: token in scheduler.died)
            assert results.regions.used == 0

    asyncio.run(story())
