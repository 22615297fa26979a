"""Arguments that a node fetches: room for them, their order, and what becomes of those that nobody wants any more."""

from __future__ import annotations

import asyncio

import pytest

from lightwork.node.service import arguments as service
from lightwork.wire.outcome import CANCELLED, NOT_RUN
from tests.node.lone import MB, Stuck, size_of, unused
from tests.node.scheduler_double import arguments, function, node


def test_an_argument_waits_for_room_and_keeps_its_place(tmp_path, small):
    async def story():
        async with node(tmp_path / "n", slots=1, **small.options) as (scheduler, agent):
            computation = function(size_of)
            scheduler.prepare(computation)
            sizes = [3 * MB, 2 * MB, MB, 3 * MB, 100]
            most = 0

            def look():
                nonlocal most
                most = max(most, len(agent.hands.fetching))
                return len(scheduler.ended) == len(sizes) + 1

            tokens = scheduler.assign_apart(computation, [arguments(b"a" * size) for size in sizes])
            [free] = scheduler.assign(computation, [arguments(b"b")])
            await scheduler.all_ended([free])
            await scheduler.until(look)
            assert [scheduler.ended[token].value[0] for token in tokens] == sizes
            assert [int(fetch.name) for fetch in scheduler.fetches] == tokens
            assert most <= service.AT_ONCE
            assert unused(small)

    asyncio.run(story())


def test_an_argument_that_never_fits_fails_its_attempt_alone(tmp_path, small):
    async def story():
        async with node(tmp_path / "n", **small.options) as (scheduler, _):
            computation = function(size_of)
            scheduler.prepare(computation)
            tokens = scheduler.assign_apart(computation, [arguments(b"a" * 5 * MB), arguments(b"b" * 500_000)])
            big, fine = await scheduler.all_ended(tokens)
            assert big.kind == NOT_RUN
            assert b"4.0 MiB of arguments" in big.outcome.failure["message"]
            assert fine.value == (500_000, b"b", b"b")
            assert unused(small)

    asyncio.run(story())


@pytest.mark.parametrize("how", ["revoked", "stopped", "killed", "released"])
def test_an_attempt_that_is_not_wanted_any_more_is_not_fetched_to_its_end(tmp_path, lone, how):
    async def story():
        async with node(tmp_path / "n", **lone.options) as (scheduler, _):
            scheduler.source_of = lambda message, data: Stuck(scheduler, message, data)
            computation = function(size_of)
            scheduler.prepare(computation)
            tokens = scheduler.assign_apart(computation, [arguments(b"a" * MB)] * 5)
            await scheduler.until(lambda: len(scheduler.stuck) == service.AT_ONCE)
            if how == "revoked":
                scheduler.revoke(tokens)
                await scheduler.until(lambda: len(scheduler.returned) == 5)
            elif how == "released":
                scheduler.release()
                await scheduler.until(lambda: scheduler.released)
            else:
                scheduler.stop(tokens, now=how == "killed")
                assert [end.kind for end in await scheduler.all_ended(tokens)] == [CANCELLED] * 5
            await scheduler.until(lambda: all(one.closed for one in scheduler.stuck))
            assert len(scheduler.stuck) == service.AT_ONCE, "nor are the others begun"
            assert unused(lone)

    asyncio.run(story())


def test_others_are_not_held_up(tmp_path, lone):
    async def story():
        async with node(tmp_path / "n", slots=1, **lone.options) as (scheduler, _):
            scheduler.source_of = lambda message, data: Stuck(scheduler, message, data)
            computation = function(size_of)
            scheduler.prepare(computation)
            [slow] = scheduler.assign_apart(computation, [arguments(b"a" * MB)])
            await scheduler.until(lambda: scheduler.stuck)
            [end] = await scheduler.run(computation, (b"quick",))
            assert end.value[0] == 5
            assert slow not in scheduler.ended
            scheduler.stuck[0].let()
            [end] = await scheduler.all_ended([slow])
            assert end.value[0] == MB

    asyncio.run(story())
