"""What the owner of a node says: resources and gpus, sizes of files and of the cache, a module of the owner's."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lightwork.model.errors import StartFailed
from lightwork.node.service import gpus
from lightwork.node.service.blobs import Blobs
from lightwork.node.service.cached import Cached
from lightwork.node.service.house_rules import HouseRules
from lightwork.node.service.incoming_blob import IncomingBlob, Stream
from lightwork.wire.messages import Computation, JobOptions
from lightwork.wire.outcome import RAISED, RETURNED, encode_fields
from tests.node.scheduler_double import arguments, function, node, setup_of
from tests.node.test_files import file


def ours(name: str) -> str | None:
    import os

    return os.environ.get(name)


def gpu_words() -> list[str | None]:
    import os

    names = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "LIGHTWORK_GPUS")
    return [os.environ.get(name) for name in names]


# --- resources ---


def test_what_it_has_is_told(tmp_path: Path) -> None:
    rules = HouseRules(groups=("lab", "night"), weight=7, resources={"tape": 2}, gpus=("0", "1"))

    async def story() -> None:
        async with node(tmp_path / "n", rules=rules) as (scheduler, _agent):
            ready = scheduler.ready
            assert ready is not None
            assert ready.groups == ["lab", "night"]
            assert ready.weight == 7
            assert ready.resources["tape"] == 2
            assert ready.resources["gpu"] == 2
            assert ready.resources["memory"] > 1 << 20

    asyncio.run(story())


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": "2, 3,5"}, ("2", "3", "5")),
        ({"ROCR_VISIBLE_DEVICES": "GPU-dead"}, ("GPU-dead",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
    ],
)
def test_gpus_that_are_not_meant_for_us_are_left_alone(environment: dict[str, str], names: tuple[str, ...]) -> None:
    assert gpus.names_of(2, environment) == names


def test_jobs_and_programs_find_their_gpus_and_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*gpus.GIVEN, gpus.TOLD):
        monkeypatch.delenv(name, raising=False)
    one, two = (JobOptions(resources=(("gpu", count),)) for count in (1, 2))

    async def story() -> None:
        async with node(tmp_path / "n", slots=1, rules=HouseRules(gpus=("4", "7"))) as (scheduler, _agent):
            asked = function(gpu_words)
            scheduler.prepare(asked)
            assert [end.value for end in await scheduler.run(asked, (), options=one)] == [["4", "4", "0", "4"]]
            assert (await scheduler.run(asked, (), options=two))[0].value == ["4,7", "4,7", "0,1", "4,7"]
            assert (await scheduler.run(asked, ()))[0].value == [None, None, None, None]
            program = Computation("p", "program", "p", argv=("sh", "-c", "echo $CUDA_VISIBLE_DEVICES $LIGHTWORK_GPUS"))
            scheduler.prepare(program)
            [end] = await scheduler.all_ended(scheduler.assign(program, [encode_fields({})], two))
            assert end.outcome.stdout.head == b"4,7 4,7\n"

    asyncio.run(story())


def pause(n: float) -> int:
    import os
    import time

    time.sleep(n)
    return os.getpid()


def test_more_workers_than_slots_for_jobs_that_need_little(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            waits = function(pause)
            scheduler.prepare(waits)
            little = JobOptions(resources=(("cpus", 250),))
            tokens = scheduler.assign(waits, [arguments(0.5) for _ in range(5)], little)
            await scheduler.until(lambda: len(scheduler.started) == 4)
            assert agent.core.workers.busy == 4
            ends = await scheduler.all_ended(tokens)
            assert len({end.value for end in ends[:4]}) == 4

    asyncio.run(story())


# --- files ---


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    rules = HouseRules(file_bytes=1000)

    async def story() -> None:
        async with node(tmp_path / "n", rules=rules) as (scheduler, _agent):
            large = file("big.bin", b"x" * 1001, scheduler)
            refused = function(ours, files=(large,), digest="refused")
            scheduler.prepare(refused)
            await scheduler.until(lambda: scheduler.prepared)
            assert not scheduler.prepared[0].ready
            assert b"big.bin has 1,001 bytes; this node takes" in scheduler.prepared[0].failure["message"]
            fine = function(leave)
            scheduler.prepare(fine)
            [end] = await scheduler.all_ended(
                scheduler.assign(fine, [arguments(1, 1)], JobOptions(files=(large,), outputs=("*",)))
            )
            assert b"big.bin has" in end.outcome.failure["message"]
            assert not scheduler.fetches
            kept, sent = JobOptions(outputs=("*",)), JobOptions(outputs=("nothing",))
            [end] = await scheduler.run(fine, (1001, 1), options=kept)
            assert end.kind == RAISED
            assert b"left.bin has 1,001 bytes" in end.outcome.failure["message"]
            [end] = await scheduler.run(fine, (1, 1001), options=sent)
            assert end.kind == RAISED
            assert b"more than this node sends" in end.outcome.failure["message"]
            [end] = await scheduler.run(fine, (1000, 1000), options=kept)
            assert end.kind == RETURNED
            assert [one.size for one in end.files] == [1000]

    asyncio.run(story())


def leave(left: int, sent: int) -> None:
    import lightwork

    with open("left.bin", "wb") as out:
        out.write(b"x" * left)
    if sent > 1:
        with open("sent.dat", "wb") as out:
            out.write(b"x" * sent)
        lightwork.send_file("sent.dat")
        import os

        os.unlink("sent.dat")


def test_the_cache_forgets_what_was_unused_longest() -> None:
    cached = Cached(300)
    for name in "abc":
        cached.note([file(name, name.encode())], "s", lasting=True)
    digests = [file(name, name.encode()).digest for name in "abcd"]
    assert [cached.arrived(digest, 100) for digest in digests[:3]] == [[], [], []]
    assert cached.arrived(digests[3], 100) == [digests[3]], "all others are in use"
    assert cached.release("s") == []
    assert cached.arrived(digests[0], 100) == []
    assert cached.arrived(digests[3], 150) == [digests[1], digests[2]]


def test_what_only_jobs_used_goes_with_their_session() -> None:
    cached = Cached(1000)
    one = file("a", b"a")
    cached.note([one], "s", lasting=False)
    cached.note([one], "t", lasting=False)
    cached.arrived(one.digest, 10)
    assert cached.release("s") == []
    assert cached.release("t") == [one.digest]


def enough(found: list[Any], count: int) -> bool:
    return len(found) == count


def test_the_cache_keeps_to_its_quota(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path / "n", rules=HouseRules(cache_bytes=2_500)) as (scheduler, _agent):
            blobs = tmp_path / "n" / "blobs"
            for number in range(4):
                one = file("a.bin", bytes([number]) * 1_000, scheduler)
                name = f"s{number}"
                scheduler.prepare(function(ours, files=(one,), digest=f"d{number}"), name)
                await scheduler.until(partial(enough, scheduler.prepared, number + 1))
                scheduler.release(name)
                await scheduler.until(partial(enough, scheduler.released, number + 1))
            left = {path.name for path in blobs.iterdir() if not path.name.startswith(".")}
            assert left == {file("a.bin", bytes([number]) * 1_000).digest for number in (2, 3)}

    asyncio.run(story())


def test_a_client_that_lies_about_a_size_neither_empties_the_cache_nor_fills_it(tmp_path: Path) -> None:
    one, other, third = (file(name, name.encode() * 1_000) for name in "abc")
    for here in (one, other):
        (tmp_path / here.digest).write_bytes(b"x" * 1_000)
    blobs = Blobs(tmp_path, quota=2_500)
    for size in (10**12, -(10**12)):
        asyncio.run(blobs.have([replace(one, size=size)], Nobody()))
        assert {path.name for path in tmp_path.iterdir()} == {one.digest, other.digest}
    (tmp_path / third.digest).write_bytes(b"x" * 1_000)
    asyncio.run(blobs.have([third], Nobody()))
    assert {path.name for path in tmp_path.iterdir()} == {one.digest, third.digest}


class Nobody:
    """All that is asked for is here."""

    def fetch(self, kind: str, name: str, sink: IncomingBlob) -> Stream:
        raise AssertionError(name)


# --- the module of its owner ---

MODULE = """
import os
where = [os.getpid()]
def init():
    where.append("init")
    print("here we are")
def close():
    with open({log!r}, "a") as file:
        file.write("closed by %d of %d\\n" % (os.getpid(), where[0]))
"""


def seen() -> tuple[list[object], int]:
    import os

    import lightwork

    return lightwork.node_module().where, os.getpid()


def prepare_with_it() -> None:
    import lightwork

    lightwork.node_module().where.append("setup")


@pytest.mark.parametrize("portable", [False, True])
def test_jobs_see_the_module_of_the_owner(tmp_path: Path, portable: bool) -> None:
    log, init = tmp_path / "log", tmp_path / "init.py"
    init.write_text(MODULE.format(log=str(log)))

    async def story() -> None:
        async with node(tmp_path / "n", portable=portable, rules=HouseRules(init=str(init))) as (scheduler, _agent):
            plain = function(seen)
            with_setup = function(seen, setup=setup_of(prepare_with_it), digest="with-setup")
            for computation, words in ((plain, ["init"]), (with_setup, ["init", "setup"])):
                scheduler.prepare(computation)
                [end] = await scheduler.run(computation, ())
                (where, pid) = end.value
                assert where[1:] == words
                assert (where[0] == pid) is portable, "where there is fork it ran once, for all"

    asyncio.run(story())
    closed = log.read_text().splitlines()
    assert len(closed) >= 1
    assert all(line.split()[2] == line.split()[4] for line in closed)
    assert portable or len(closed) == 1


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def init():\n    raise ValueError('no tape')", "ValueError: no tape"),
        ("x = (", "SyntaxError"),
        ("import sys\nsys.exit('not today')", "not today"),
        ("import os\nos._exit(3)", "the process died"),
    ],
)
def test_a_module_that_fails_keeps_the_node_from_work(tmp_path: Path, code: str, says: str) -> None:
    init = tmp_path / "init.py"
    init.write_text(code)

    async def story() -> None:
        async with node(tmp_path / "n", rules=HouseRules(init=str(init))):
            raise AssertionError("it works")

    with pytest.raises(StartFailed, match=says):
        asyncio.run(story())


def test_after_the_death_of_its_keeper_the_module_runs_again(tmp_path: Path) -> None:
    init = tmp_path / "init.py"
    init.write_text(MODULE.format(log=str(tmp_path / "log")))

    async def story() -> None:
        async with node(tmp_path / "n", rules=HouseRules(init=str(init))) as (scheduler, agent):
            computation = function(seen)
            scheduler.prepare(computation)
            [first] = await scheduler.run(computation, ())
            os.kill(first.value[0][0], 9)  # the process that ran it, and from which the worker came
            pid = agent.pids["keeper"]
            await scheduler.until(lambda: agent.pids.get("keeper", pid) != pid)
            [again] = await scheduler.run(computation, ())
            assert again.value[0][0] != first.value[0][0]
            assert again.value[0][1:] == ["init"]

    asyncio.run(story())


def test_without_a_module_jobs_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with node(tmp_path / "n") as (scheduler, _agent):
            computation = function(seen)
            scheduler.prepare(computation)
            [end] = await scheduler.run(computation, ())
            assert end.kind == RAISED
            failure: Any = end.outcome.failure
            assert b"node_module(): there is no such module here" in failure["message"]

    asyncio.run(story())
