"""Blame and no blame: jobs that kill their worker, workers and keepers that are killed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from lightwork.wire.outcome import RETURNED
from tests.node.scheduler_double import alive, arguments, function, node


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


def deadly(n, deaths):
    import os

    if n in deaths:
        os._exit(3)
    return n


def test_exactly_those_that_die_are_blamed(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            computation = function(deadly)
            scheduler.prepare(computation)
            deaths = {17, 1000, 1001, 2500, 4321}
            tokens = scheduler.assign(computation, [arguments(n, deaths) for n in range(5000)])
            expected = {tokens[n] for n in deaths}
            await scheduler.until(lambda: len(scheduler.ended) + len(scheduler.died) == 5000)
            assert set(scheduler.died) == expected
            assert all(blame for blame, _ in scheduler.died.values())
            outcome = scheduler.died[tokens[17]][1]
            assert outcome.failure["exit_code"] == b"3"
            assert b"code 3" in outcome.failure["message"]
            others = [n for n in range(5000) if n not in deaths]
            assert [scheduler.ended[tokens[n]].value for n in others] == others
            assert not scheduler.returned

    asyncio.run(story())


def crash():
    import os
    import signal
    import sys

    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_crash_names_its_signal_and_last_words(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            computation = function(crash)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments()])
            await scheduler.until(lambda: token in scheduler.died)
            blame, outcome = scheduler.died[token]
            assert blame
            assert outcome.failure["signal"] == b"SIGSEGV"
            assert b"last words" in outcome.stderr.head

    asyncio.run(story())


def nap(seconds):
    import time

    time.sleep(seconds)
    return seconds


def test_a_killed_worker_is_blamed_on_its_job_and_replaced(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(nap)
            scheduler.prepare(computation)
            long, after = scheduler.assign(computation, [arguments(30), arguments(0)])
            await scheduler.until(lambda: long in scheduler.started)
            [worker] = agent.core.workers.busy_ones()
            os.kill(worker.pid, signal.SIGKILL)
            await scheduler.all_ended([after])
            assert scheduler.died[long][0]
            assert scheduler.died[long][1].failure["signal"] == b"SIGKILL"

    asyncio.run(story())


def test_a_killed_keeper_is_nobodys_fault(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, agent):
            computation = function(nap)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(30), arguments(30), arguments(0), arguments(0)])
            await scheduler.until(lambda: set(tokens[:2]) <= set(scheduler.started))
            workers = [worker.pid for worker in agent.core.workers.busy_ones()]
            keeper = agent.pids["keeper"]
            os.kill(keeper, signal.SIGKILL)
            ends = await scheduler.all_ended(tokens[2:])
            assert [end.kind for end in ends] == [RETURNED, RETURNED]
            assert {token: blame for token, (blame, _) in scheduler.died.items()} == dict.fromkeys(tokens[:2], False)
            assert b"keeper" in scheduler.died[tokens[0]][1].failure["message"]
            assert agent.pids["keeper"] != keeper
            assert not any(alive(pid) for pid in workers)

    asyncio.run(story())


def test_a_keeper_killed_among_tiny_jobs_loses_no_result(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, agent):
            computation = function(nap)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(0.0002) for _ in range(4000)])
            for _ in range(2):
                enough = len(scheduler.ended) + 500
                await scheduler.until(lambda: len(scheduler.ended) >= enough)
                os.kill(agent.pids["keeper"], signal.SIGKILL)
                await asyncio.sleep(0.3)
            await scheduler.until(lambda: len(scheduler.ended) + len(scheduler.died) == 4000)
            assert len(scheduler.died) <= 4
            assert not any(blame for blame, _ in scheduler.died.values())
            assert set(scheduler.ended) | set(scheduler.died) == set(tokens)

    asyncio.run(story())


class Bomb:
    def __reduce__(self):
        import os

        return os._exit, (5,)


def test_a_computation_that_kills_its_workers_while_loading_fails(tmp_path):
    import cloudpickle

    from lightwork.wire.messages import Computation

    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            payload = cloudpickle.dumps((Bomb(), {}, None, {}, []))
            computation = Computation("bomb", "function", "bomb", payload)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments()] * 5)
            await scheduler.until(lambda: set(scheduler.returned) == set(tokens))
            assert [one.ready for one in scheduler.prepared] == [True, False]
            assert not scheduler.died

    asyncio.run(story())


def test_a_computation_that_cannot_be_loaded_fails_with_its_reason(tmp_path, kind):
    from lightwork.wire.messages import Computation

    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            computation = Computation("bad", "function", "bad", b"no pickle")
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments()] * 3)
            await scheduler.until(lambda: set(scheduler.returned) == set(tokens))
            assert scheduler.prepared[-1].failure["type"] == b"UnpicklingError"
            good = function(nap)
            scheduler.prepare(good)
            await scheduler.run(good, (0,))

    asyncio.run(story())
