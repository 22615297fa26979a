"""setup in a template, cleanup at the end."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.node.scheduler_double import arguments, function, node, setup_of


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


data: list[int]


def prepare_data(path, size):
    import os

    global data
    data = list(range(size))
    with open(path, "a") as opened:
        opened.write("setup %d\n" % os.getpid())
    return "node value"


def use_data(n):
    import os

    import lightwork

    return data[n], lightwork.node_value(), os.getppid()


def clean_up(path):
    with open(path, "a") as opened:
        opened.write("cleanup %d\n" % len(data))


def test_setup_runs_once_and_workers_share_what_it_made(tmp_path):
    async def story():
        log = str(tmp_path / "log")
        async with node(tmp_path / "n", slots=3) as (scheduler, _agent):
            setup, cleanup = setup_of(prepare_data, log, 1000), setup_of(clean_up, log)
            computation = function(use_data, setup=setup, cleanup=cleanup)
            scheduler.prepare(computation)
            ends = await scheduler.run(computation, *[(n,) for n in range(1000)])
            assert [end.value[:2] for end in ends] == [(n, "node value") for n in range(1000)]
            assert len({end.value[2] for end in ends}) == 1
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert scheduler.released[0].problems == []
        lines = (tmp_path / "log").read_text().splitlines()
        assert [line.split()[0] for line in lines] == ["setup", "cleanup"]
        assert lines[1] == "cleanup 1000"

    asyncio.run(story())


def no_setup(*args):
    raise FileNotFoundError("no data here")


def test_a_setup_that_raises_fails_the_computation(tmp_path, kind):
    async def story():
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            computation = function(use_data, setup=setup_of(no_setup))
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(1)] * 3)
            await scheduler.until(lambda: set(scheduler.returned) == set(tokens))
            failed = scheduler.prepared[-1]
            assert not failed.ready
            assert failed.failure["message"] == b"no data here"
            assert b"no_setup" in failed.failure["traceback"]

    asyncio.run(story())


def test_setup_runs_in_each_portable_worker(tmp_path):
    async def story():
        log = str(tmp_path / "log")
        async with node(tmp_path / "n", portable=True) as (scheduler, _agent):
            computation = function(use_data, setup=setup_of(prepare_data, log, 10))
            scheduler.prepare(computation)
            ends = await scheduler.run(computation, *[(n,) for n in range(10)])
            assert [end.value[0] for end in ends] == list(range(10))

    asyncio.run(story())


def cleanup_alone(path):
    with open(path, "w") as opened:
        opened.write("cleaned")


def bad_cleanup():
    raise RuntimeError("cannot clean")


def plain(n):
    return n


def test_cleanup_without_setup(tmp_path, kind):
    async def story():
        log = tmp_path / "log"
        async with node(tmp_path / "n", **kind) as (scheduler, _agent):
            good = function(plain, cleanup=setup_of(cleanup_alone, str(log)), digest="good")
            bad = function(plain, cleanup=setup_of(bad_cleanup), digest="bad")
            for one in (good, bad):
                scheduler.prepare(one)
                await scheduler.run(one, (1,))
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            [problem] = scheduler.released[0].problems
            assert "cannot clean" in problem
            assert log.read_text() == "cleaned"

    asyncio.run(story())


def test_two_computations_share_an_environment(tmp_path):
    async def story():
        log = str(tmp_path / "log")
        async with node(tmp_path / "n") as (scheduler, _agent):
            setup = setup_of(prepare_data, log, 100)
            first = function(use_data, setup=setup, environment="e", digest="first")
            second = function(lambda n: use_data(n), setup=setup, environment="e", digest="second")
            for one in (first, second):
                scheduler.prepare(one)
            ends = await scheduler.run(first, (1,), (2,)) + await scheduler.run(second, (3,), (4,))
            assert [end.value[:2] for end in ends] == [(n, "node value") for n in (1, 2, 3, 4)]
        assert len((tmp_path / "log").read_text().splitlines()) == 1

    asyncio.run(story())


def test_setup_runs_again_after_its_keeper_died(tmp_path):
    async def story():
        log = str(tmp_path / "log")
        async with node(tmp_path / "n") as (scheduler, agent):
            computation = function(use_data, setup=setup_of(prepare_data, log, 100))
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            for victim in ("keeper", "template"):
                pid = next(pid for name, pid in agent.pids.items() if name.startswith(victim))
                os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.3)
                [end] = await scheduler.run(computation, (7,))
                assert end.value[:2] == (7, "node value")
        assert len((tmp_path / "log").read_text().splitlines()) == 3

    asyncio.run(story())


def test_portable_workers_clean_up_after_themselves(tmp_path):
    async def story():
        log = str(tmp_path / "log")
        async with node(tmp_path / "n", slots=1, portable=True) as (scheduler, _):
            setup, cleanup = setup_of(prepare_data, log, 10), setup_of(clean_up, log)
            computation = function(use_data, setup=setup, cleanup=cleanup)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,), (2,))
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert scheduler.released[0].problems == []
        assert [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()] == ["setup", "cleanup"]

    asyncio.run(story())
