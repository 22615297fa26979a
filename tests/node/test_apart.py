"""A node that shares no memory with the clients: large arguments and results come and go as streams."""

from __future__ import annotations

import asyncio
import os

import pytest

from lightwork.wire.messages import JobOptions
from lightwork.wire.outcome import APART, ENVELOPE, NOT_RUN, UNSENDABLE
from tests.node.lone import MB, unused, value_of
from tests.node.scheduler_double import arguments, function, node


def grow(data, size):
    return data * (size // max(len(data), 1))


def test_large_arguments_come_and_large_results_go_as_streams(tmp_path, lone):
    async def story():
        async with node(tmp_path / "n", **lone.options) as (scheduler, _):
            computation = function(grow)
            scheduler.prepare(computation)
            tokens = scheduler.assign_apart(computation, [arguments(b"x" * 700_000, size) for size in (3 * MB, 10)])
            large, small = await scheduler.all_ended(tokens)
            assert (large.status & APART, large.data, small.value) == (APART, b"", b"")
            [file] = large.files
            assert (file.path, small.files) == ("", ())
            payload = await scheduler.fetch(f"{tokens[0]}/0")
            assert len(payload) == file.size
            assert value_of(payload) == b"x" * 700_000 * (3 * MB // 700_000)
            assert lone.arguments.regions.used == 0
            assert lone.results.regions.used >= file.size
            scheduler.free([], tokens)
            await scheduler.until(lambda: unused(lone))
            with pytest.raises(OSError, match="not in the spool"):
                await scheduler.fetch(f"{tokens[0]}/0")

    asyncio.run(story())


def say(text, size):
    print(text)
    with open("left.txt", "w") as file:
        file.write(text)
    return b"v" * size


def test_a_value_goes_with_its_output_and_behind_its_files(tmp_path, lone):
    async def story():
        async with node(tmp_path / "n", **lone.options) as (scheduler, _):
            computation = function(say)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments("told", MB)], JobOptions(outputs=("*.txt",)))
            [end] = await scheduler.all_ended([token])
            assert end.status & (APART | ENVELOPE) == APART | ENVELOPE
            assert (end.outcome.value, end.outcome.stdout.head) == (b"", b"told\n")
            assert [file.path for file in end.files] == ["left.txt", ""]
            assert await scheduler.fetch(f"{token}/0") == b"told"
            assert value_of(await scheduler.fetch(f"{token}/1")) == b"v" * MB
            scheduler.free([], [token])
            await scheduler.until(lambda: unused(lone) and not os.listdir(tmp_path / "n" / "spool"))

    asyncio.run(story())


def test_without_room_in_shared_memory_a_value_goes_through_a_file(tmp_path, small):
    async def story():
        async with node(tmp_path / "n", **small.options) as (scheduler, _):
            computation = function(grow)
            scheduler.prepare(computation)
            [end] = await scheduler.run(computation, (b"ab", 6 * MB))  # more than all of it
            [token] = scheduler.ended
            assert (end.status, end.data, end.files[0].path) == (APART, b"", "")
            assert value_of(await scheduler.fetch(f"{token}/0")) == b"ab" * 3 * MB
            scheduler.free([], [token])
            await scheduler.until(lambda: not os.listdir(tmp_path / "n" / "spool"))

    asyncio.run(story())


def test_without_shared_memory_at_all(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            computation = function(grow)
            scheduler.prepare(computation)
            [token] = scheduler.assign_apart(computation, [arguments(b"z" * MB, 3 * MB)])
            [end] = await scheduler.all_ended([token])
            assert value_of(await scheduler.fetch(f"{token}/0")) == b"z" * 3 * MB
            [huge] = scheduler.assign_apart(computation, [bytes(33 * MB)])
            [end] = await scheduler.all_ended([huge])
            assert end.kind == NOT_RUN

    asyncio.run(story())


@pytest.mark.skipif(os.name == "nt", reason="/dev/full")
def test_a_value_that_the_disk_has_no_room_for_is_an_error_of_its_job(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            computation = function(fill_spool)
            scheduler.prepare(computation)
            [end] = await scheduler.run(computation, (MB,))
            assert end.kind == UNSENDABLE
            assert b"No space left" in end.outcome.failure["message"]
            [end] = await scheduler.run(computation, (10,))
            assert end.value == b"v" * 10

    asyncio.run(story())


def fill_spool(size):
    import builtins
    import os

    import lightwork

    real = builtins.open

    def full(path, *more):
        if os.path.basename(str(path)) == "value":
            os.symlink("/dev/full", path)
        return real(path, *more)

    if size > 1000:
        import lightwork.worker.endings as endings

        endings.open = full  # type: ignore[attr-defined]
    assert lightwork.current_job()
    return b"v" * size


def speak(size):
    import lightwork

    lightwork.send_provisional(b"p" * size)
    return size


def test_intermediate_results_come_in_the_message(tmp_path, lone):
    async def story():
        async with node(tmp_path / "n", **lone.options) as (scheduler, _):
            computation = function(speak)
            scheduler.prepare(computation)
            await scheduler.run(computation, (2 * MB,))
            [(_, body)] = scheduler.provisional
            assert value_of(body) == b"p" * 2 * MB
            assert unused(lone)

    asyncio.run(story())


def send_then_die():
    import os

    import lightwork.worker.context as context

    spool = context.host._worker.frame.computation.spool  # type: ignore[union-attr]
    token = str(context.current_job().token)
    os.makedirs(os.path.join(spool, token))
    with open(os.path.join(spool, token, "1"), "w") as file:
        file.write("half")
    os._exit(9)


def test_what_a_dead_worker_was_just_writing_goes_with_the_session(tmp_path, lone):
    async def story():
        async with node(tmp_path / "n", **lone.options) as (scheduler, _):
            computation = function(send_then_die)
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments()])
            await scheduler.until(lambda: token in scheduler.died)
            scheduler.release()
            await scheduler.until(lambda: scheduler.released and not os.listdir(tmp_path / "n" / "spool"))

    asyncio.run(story())
