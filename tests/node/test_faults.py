"""Faults of ours: whatever a command's failure is, nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from lightwork.node.core import commands as do
from lightwork.wire.messages import Computation, File, JobOptions
from lightwork.wire.outcome import NOT_RUN, encode_fields
from tests.node.scheduler_double import arguments, function, node


def same(number):
    return number


def broken(agent, command, times=10**6):
    """From now on, this command fails as nobody has foreseen."""
    table = agent.hands._obey
    real, left = table[command], [times]

    def obey(one):
        left[0] -= 1
        if left[0] >= 0:
            raise ZeroDivisionError(f"cannot {command.__name__}")
        real(one)

    table[command] = obey


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level("CRITICAL", logger="asyncio")


def test_attempts_that_cannot_be_sent_end_and_others_go_on(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            broken(agent, do.Run, 1)
            [end] = await scheduler.run(computation, (2,))
            assert end.kind == NOT_RUN
            assert b"cannot Run" in end.outcome.failure["message"]
            [end] = await scheduler.run(computation, (3,))
            assert end.value == 3

    asyncio.run(story())


def test_a_program_that_cannot_be_spawned_ends(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = Computation("echo", "program", "echo", argv=("/bin/echo",))
            scheduler.prepare(computation)
            broken(agent, do.SpawnProgram, 1)
            tokens = scheduler.assign(computation, [encode_fields({"0": b"x"})] * 2, batch=1)
            first, second = await scheduler.all_ended(tokens)
            assert b"cannot SpawnProgram" in first.outcome.failure["message"]
            assert second.outcome.failure["exit_code"] == b"0"

    asyncio.run(story())


@pytest.mark.parametrize("command", [do.Fork, do.Load, do.PlaceFiles, do.RunSetup])
def test_a_computation_that_cannot_be_made_ready_fails(tmp_path, command):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            for link in agent.hands.crew.links.copy():
                agent.hands.nursery.kill(link)
            await scheduler.until(lambda: not agent.hands.crew.links)
            broken(agent, command)
            from tests.node.scheduler_double import setup_of

            setup = setup_of(same, 1) if command is do.RunSetup else b""
            computation = function(same, setup=setup)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(1)])
            await scheduler.until(lambda: tokens[0] in scheduler.returned)
            assert not scheduler.prepared[-1].ready
            assert f"cannot {command.__name__}".encode() in scheduler.prepared[-1].failure["message"]

    asyncio.run(story())


def test_files_of_jobs_that_cannot_be_fetched(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)

            async def have(files, link):
                raise ZeroDivisionError("no luck")

            agent.hands.blobs.have = have
            [end] = await scheduler.run(computation, (1,), options=JobOptions(files=(File("a", "ab", 1),)))
            assert b"no luck" in end.outcome.failure["message"]

    asyncio.run(story())


@pytest.mark.parametrize("fault", ["core", "command"])
def test_what_cannot_be_attributed_ends_the_agent(tmp_path, fault):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            lost = asyncio.Event()
            vars(scheduler)["link_lost"] = lambda link, error: lost.set()
            if fault == "core":
                agent.core.fates.ended = None
            else:
                broken(agent, do.Kill)
                broken(agent, do.TakeBack)
            import time

            tokens = scheduler.assign(computation, [arguments(2)])
            if fault == "command":
                await scheduler.all_ended(tokens)
                long = function(time.sleep)
                scheduler.prepare(long)
                tokens = scheduler.assign(long, [arguments(60)])
                await scheduler.until(lambda: tokens[0] in scheduler.started)
                scheduler.stop(tokens, now=True)
            await asyncio.wait_for(lost.wait(), 10)
            await asyncio.wait_for(agent.stopped, 10)

    asyncio.run(story())


def test_a_worker_whose_words_make_no_sense_is_ended(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            [number] = [worker.number for worker in agent.core.workers if worker.environment is not None]
            agent.hands.crew.links[number].poll = lambda: 1 / 0
            tokens = scheduler.assign(computation, [arguments(2)])
            await scheduler.until(lambda: tokens[0] in scheduler.died or tokens[0] in scheduler.ended)
            assert number not in agent.hands.crew.links

    asyncio.run(story())


def replace_by_a_directory(path):
    import os

    os.remove(path)
    os.makedirs(path + "/theirs")


def test_a_file_that_became_a_directory_does_not_keep_the_session(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            from tests.node.test_files import file

            files = (file("a.txt", b"alpha", scheduler), file("b.txt", b"beta", scheduler))
            place = tmp_path / "dest"
            computation = function(replace_by_a_directory, files=files, dest_path=str(place))
            scheduler.prepare(computation)
            await scheduler.run(computation, ("a.txt",))
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert [path.name for path in place.iterdir()] == ["a.txt"]

    asyncio.run(story())


def test_files_that_cannot_be_deleted_are_told(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(1, "not permitted")

    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            with monkeypatch.context() as patch:
                patch.setattr("lightwork.node.service.sites.remove_tree", refuse)
                scheduler.release()
                await scheduler.until(lambda: scheduler.released)
            assert "not permitted" in scheduler.released[0].problems[0]

    asyncio.run(story())


def test_a_cleanup_that_fails_as_nobody_has_foreseen(tmp_path, monkeypatch):
    async def story():
        async with node(tmp_path / "n") as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            monkeypatch.setattr(agent.hands.sessions._cleaner, "clean", lambda session: 1 / 0)
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert "ZeroDivisionError" in scheduler.released[0].problems[0]

    asyncio.run(story())


def test_the_end_comes_to_its_end(tmp_path, monkeypatch):
    """Each step of stopping is done, whatever the ones before it did."""

    async def story():
        async with node(tmp_path / "n") as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            real = agent.hands.nursery.stop

            async def stop():
                await real()
                raise OSError("too many open files")

            monkeypatch.setattr(agent.hands.nursery, "stop", stop)
        assert agent.stopped.done()
        assert list((tmp_path / "n" / "computations").iterdir()) == []
        assert list((tmp_path / "n" / "workers").iterdir()) == []

    asyncio.run(story())
