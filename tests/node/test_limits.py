"""Timeouts, memory and cancelling: what is ended by our own hand, and what is not."""

from __future__ import annotations

import asyncio
import time

import psutil
import pytest

from lightwork.wire.messages import JobOptions
from lightwork.wire.outcome import CANCELLED, OUT_OF_MEMORY, RETURNED, TIMED_OUT
from tests.node.scheduler_double import alive, arguments, descendants, function, node


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


def nap(seconds):
    import time

    print("asleep", flush=True)
    time.sleep(seconds)
    return seconds


def test_timeout(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, _agent):
            computation = function(nap)
            scheduler.prepare(computation)
            options = JobOptions(timeout_ns=300_000_000)
            tokens = scheduler.assign(computation, [arguments(30), arguments(0)], options)
            begin = time.monotonic()
            late, quick = await scheduler.all_ended(tokens)
            assert time.monotonic() - begin < 10
            assert late.kind == TIMED_OUT
            assert b"timeout of 300 ms" in late.outcome.failure["message"]
            assert b"asleep" in late.outcome.stdout.head
            assert late.duration_ns >= 300_000_000
            assert quick.kind == RETURNED

    asyncio.run(story())


def stubborn(seconds):
    import signal
    import time

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except KeyboardInterrupt:
            continue


def polite(seconds):
    import time

    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        return "best so far"


def with_child(seconds):
    import subprocess

    subprocess.Popen(["setsid", "sleep", "60"])
    subprocess.run(["sleep", "60"])


def test_cancel_held_running_and_polite(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=2) as (scheduler, agent):
            napper, gentle = function(nap), function(polite)
            for one in (napper, gentle):
                scheduler.prepare(one)
            [running] = scheduler.assign(napper, [arguments(30)])
            [kind] = scheduler.assign(gentle, [arguments(30)])
            await scheduler.until(lambda: {running, kind} <= set(scheduler.started))
            [held] = scheduler.assign(napper, [arguments(30)])
            workers = {worker.pid for worker in agent.core.workers}
            scheduler.stop([running, kind, held])
            ends = await scheduler.all_ended([running, kind, held])
            assert [end.kind for end in ends] == [CANCELLED, RETURNED, CANCELLED]
            assert ends[1].value == "best so far"
            assert {worker.pid for worker in agent.core.workers} == workers, "it took no TERM"
            assert ends[2].duration_ns == 0

    asyncio.run(story())


def test_cancel_in_the_pipe(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, _agent):
            computation = function(nap)
            scheduler.prepare(computation)
            await scheduler.run(computation, *[(0,)] * 50)
            tokens = scheduler.assign(computation, [arguments(2.0), *[arguments(0)] * 20])
            await asyncio.sleep(0.01)
            scheduler.stop(tokens[5:10])
            ends = await scheduler.all_ended(tokens)
            assert [end.kind for end in ends] == [RETURNED] * 5 + [CANCELLED] * 5 + [RETURNED] * 11

    asyncio.run(story())


@pytest.mark.slow
def test_a_stubborn_job_is_killed_in_the_end(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, _agent):
            computation = function(stubborn)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments(60)])
            await scheduler.until(lambda: token in scheduler.started)
            begin = time.monotonic()
            scheduler.stop([token])
            [end] = await scheduler.all_ended([token])
            assert end.kind == CANCELLED
            assert 3.5 < time.monotonic() - begin < 12

    asyncio.run(story())


def sleepers(pid):
    """What the worker's job has started, and is past `setsid`."""
    return [one for one in descendants(pid) if psutil.Process(one).name() == "sleep"]


def test_kill_now_takes_the_whole_tree(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", slots=1, **kind) as (scheduler, agent):
            computation = function(with_child)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments(60)])
            await scheduler.until(lambda: token in scheduler.started)
            [worker] = agent.core.workers.busy_ones()
            await scheduler.until(lambda: len(sleepers(worker.pid)) == 2)
            below = sleepers(worker.pid)
            scheduler.stop([token], now=True)
            [end] = await scheduler.all_ended([token])
            assert end.kind == CANCELLED
            assert not any(alive(pid) for pid in [worker.pid, *below])

    asyncio.run(story())


def test_a_cancel_that_comes_too_late_harms_nobody(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(nap)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(0) for _ in range(3000)])
            for start in range(0, 3000, 10):
                scheduler.stop(tokens[start : start + 2], now=start % 20 == 0)
                if start % 100 == 0:
                    await asyncio.sleep(0.001)
            ends = await scheduler.all_ended(tokens)
            cancelled = [n for n, end in enumerate(ends) if end.kind != RETURNED]
            assert all(n % 10 < 2 for n in cancelled)
            assert {ends[n].kind for n in cancelled} <= {CANCELLED}

    asyncio.run(story())


def greedy(size, seconds):
    import time

    block = bytearray(size)
    for at in range(0, size, 4096):
        block[at] = 1
    time.sleep(seconds)
    return len(block)


def greedy_children(size):
    import subprocess
    import sys

    code = "import time; block = b'x' * %d; time.sleep(20)" % size
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    for child in children:
        child.wait()


def test_memory_of_a_job_and_of_its_children(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            alone, parent = function(greedy), function(greedy_children)
            for one in (alone, parent):
                scheduler.prepare(one)
            limit = JobOptions(memory_bytes=100 << 20)
            [good] = await scheduler.run(alone, (20 << 20, 0.3), options=limit)
            assert good.value == 20 << 20
            tokens = scheduler.assign(alone, [arguments(300 << 20, 20)], limit)
            tokens += scheduler.assign(parent, [arguments(70 << 20)], limit)
            own, childs = await scheduler.all_ended(tokens)
            assert childs.kind == OUT_OF_MEMORY
            assert b"100 MiB" in childs.outcome.failure["message"]
            assert own.kind != RETURNED  # OUT_OF_MEMORY by us, or MemoryError by the system's limit

    asyncio.run(story())
