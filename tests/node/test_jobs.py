"""Jobs through a real agent, keeper and workers."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from lightwork.config.timers import AGENT_TICK_S
from lightwork.wire.messages import JobOptions
from lightwork.wire.outcome import EXITED, NOT_RUN, RAISED, RETURNED
from tests.node.scheduler_double import arguments, function, node


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


def identity(n):
    return n


def test_20000_jobs_come_back_right_and_once(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, agent):
            computation = function(identity)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(n) for n in range(20_000)])
            ends = await scheduler.all_ended(tokens, 30)
            assert [end.value for end in ends] == list(range(20_000))
            assert {end.kind for end in ends} == {RETURNED}
            assert len(agent.core.workers) <= 6
            assert agent.core.workers.busy == 0

    asyncio.run(story())


def test_bursts_of_all_sizes(tmp_path):
    """Take-back, half windows and batches of every size, again and again: none lost, none twice."""

    async def story():
        async with node(tmp_path / "n", slots=3) as (scheduler, _agent):
            computation = function(identity)
            scheduler.prepare(computation)
            for size in [1, 2, 3, 5, 50, 300, 2000, 7, 5000, 1] * 4:
                tokens = scheduler.assign(computation, [arguments(n) for n in range(size)], batch=1 + size // 3)
                ends = await scheduler.all_ended(tokens)
                assert [end.value for end in ends] == list(range(size))
            assert not scheduler.returned
            assert not scheduler.died

    asyncio.run(story())


def failing(how):
    import sys

    if how == "raise":
        return 1 / 0
    return sys.exit(3)


def test_ends_of_other_kinds(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            computation = function(failing)
            scheduler.prepare(computation)
            raised, left = await scheduler.run(computation, ("raise",), ("exit",))
            assert raised.kind == RAISED
            assert raised.outcome.failure["type"] == b"ZeroDivisionError"
            assert left.kind == EXITED
            [bad] = [scheduler.assign(computation, [b"no pickle"])]
            [end] = await scheduler.all_ended(bad)
            assert end.kind == NOT_RUN

    asyncio.run(story())


def nap(seconds):
    import time

    time.sleep(seconds)
    return seconds


def test_started_is_told_and_heartbeats_say_what_runs(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(nap)
            scheduler.prepare(computation)
            agent._beat.cancel()  # only the first one says what is held: it is to come once the long one has started
            long, waiting = scheduler.assign(computation, [arguments(3.0), arguments(0)])
            await scheduler.until(lambda: long in scheduler.started)
            assert 20_000_000 <= scheduler.started[long] < 3_000_000_000
            agent._heartbeat()
            await scheduler.until(lambda: scheduler.beats)
            beat = scheduler.beats[0]
            assert (beat.held, beat.running) == ([waiting], [long])
            assert len(beat.workers) >= 1
            assert beat.pids["agent"] == os.getpid()
            assert beat.load.memory_free_bytes > 0
            await scheduler.all_ended([long, waiting])

    asyncio.run(story())


def test_a_single_job_waits_for_no_tick(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(identity)
            scheduler.prepare(computation)
            await scheduler.run(computation, (0,))
            times = []
            for n in range(50):
                begin = time.perf_counter()
                [token] = scheduler.assign(computation, [arguments(n)])
                while token not in scheduler.ended:
                    await asyncio.sleep(0)
                times.append(time.perf_counter() - begin)
            assert sorted(times)[10] < AGENT_TICK_S / 2

    asyncio.run(story())


def test_what_waits_behind_a_long_job_moves_to_an_idle_slot(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(nap)
            scheduler.prepare(computation)
            await scheduler.run(computation, *[(0,)] * 200)  # short so far: windows are wide
            tokens = scheduler.assign(computation, [arguments(60), *[arguments(0)] * 300])
            await scheduler.all_ended(tokens[1:])
            assert tokens[0] not in scheduler.ended
            scheduler.stop(tokens[:1], now=True)
            await scheduler.all_ended(tokens)

    asyncio.run(story())


def test_give_back_what_has_not_started(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, _agent):
            computation = function(nap)
            scheduler.prepare(computation)
            await scheduler.run(computation, *[(0,)] * 50)
            tokens = scheduler.assign(computation, [arguments(2.0), *[arguments(0)] * 100])
            await scheduler.until(lambda: tokens[0] in scheduler.started)
            scheduler.revoke(tokens)
            await scheduler.until(lambda: set(scheduler.returned) == set(tokens[1:]))
            await scheduler.all_ended(tokens[:1])
            await asyncio.sleep(0.1)
            assert set(scheduler.returned).isdisjoint(scheduler.ended)

    asyncio.run(story())


def own_pid(_):
    import os

    return os.getpid()


def test_isolated_jobs_have_a_process_each(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(own_pid, isolation="process")
            scheduler.prepare(computation)
            ends = await scheduler.run(computation, *[(n,) for n in range(20)])
            assert len({end.value for end in ends}) == 20

    asyncio.run(story())


def test_many_computations_share_the_slots(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, agent):
            computations = [function(lambda n, k=k: (k, n)) for k in range(12)]
            for computation in computations:
                scheduler.prepare(computation)
            tokens = [
                (k, n, token)
                for n in range(20)
                for k, one in enumerate(computations)
                for token in scheduler.assign(one, [arguments(n)])
            ]
            await scheduler.all_ended([token for *_, token in tokens], 30)
            assert all(scheduler.ended[token].value == (k, n) for k, n, token in tokens)
            await scheduler.until(lambda: len(agent.core.workers) <= 2 * 2 + 2)  # some are on their way out

    asyncio.run(story())


def test_options_reach_the_job(tmp_path):
    def look(name):
        import os
        import sys

        return os.environ.get(name), sys.stdin.read()

    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(look)
            scheduler.prepare(computation)
            options = JobOptions(env=(("COLOUR", "blue"),), stdin=b"words")
            [end] = await scheduler.run(computation, ("COLOUR",), options=options)
            assert end.value == ("blue", "words")
            [end] = await scheduler.run(computation, ("COLOUR",))
            assert end.value == (None, "")

    asyncio.run(story())


def test_an_unknown_computation_is_not_run(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            tokens = scheduler.assign(function(identity), [arguments(1)])
            await scheduler.until(lambda: tokens[0] in scheduler.returned)

    asyncio.run(story())
