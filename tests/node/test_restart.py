"""An agent that is killed, and the next one in its directory; a link that is lost; a directory that is taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightwork.model.errors import StartFailed
from lightwork.node.service.agent import Agent, AgentOptions
from tests.node.scheduler_double import alive, arguments, function, node, pids_of
from tests.node.test_deaths import nap

ROOT = Path(__file__).parents[2]


def wait_until(condition, patience_s=10.0):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("with_keeper", [False, True])
def test_results_of_a_killed_agent_are_reported_by_the_next(tmp_path, with_keeper):
    place = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    first = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/node/agent_program.py"), str(tmp_path / "n")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": place},
    )
    assert first.stdout is not None
    told = json.loads(first.stdout.readline())
    victims = told["pids"] if with_keeper else [first.pid]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):  # the kernel has ended it, for its keeper has died
            os.kill(pid, signal.SIGKILL)
    first.wait()
    wait_until(lambda: not any(alive(pid) for pid in told["pids"]))

    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            short, long = told["tokens"]
            await scheduler.until(lambda: short in scheduler.ended and long in scheduler.died)
            assert scheduler.ended[short].value == 0
            assert scheduler.died[long][0] is False
            assert not [path for path in (tmp_path / "n" / "workers").iterdir() if f"{first.pid}-" in path.name]
            computation = function(nap)
            scheduler.prepare(computation)
            await scheduler.run(computation, (0,))

    asyncio.run(story())


def test_a_directory_serves_one_agent(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            with pytest.raises(StartFailed, match="another node agent"):
                await Agent(AgentOptions("n", 1, tmp_path / "n")).start()
            computation = function(nap)
            scheduler.prepare(computation)
            await scheduler.run(computation, (0,))

    asyncio.run(story())


def test_the_end_of_the_link_ends_all(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, agent):
            computation = function(nap)
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments(60), arguments(60)])
            await scheduler.until(lambda: set(tokens) <= set(scheduler.started))
            pids = pids_of(agent)
            assert len(pids) >= 3
            scheduler.link.abort()
            assert agent.stopped is not None
            await asyncio.wait_for(agent.stopped, 5)
            assert not any(alive(pid) for pid in pids)
            assert list((tmp_path / "n" / "computations").iterdir()) == []
            assert list((tmp_path / "n" / "workers").iterdir()) == []

    asyncio.run(story())


@contextlib.contextmanager
def agent_whose_job_has_a_child_elsewhere(directory, kind):
    """In a session of its own, so that no signal to a group finds it. The agent's process, and what it told."""
    place = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/node/agent_program.py"), str(directory), kind, "away"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": place},
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    try:
        yield process, told
    finally:
        process.kill()
        process.wait()
        if alive(told["away"]):
            os.kill(told["away"], signal.SIGKILL)


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="subreapers, and what /proc says, are Linux's")


@needs_linux
@pytest.mark.parametrize("kind", ["keeper", "portable"])
def test_what_a_killed_worker_had_started_elsewhere_is_ended(tmp_path, kind):
    with agent_whose_job_has_a_child_elsewhere(tmp_path / "n", kind) as (process, told):
        os.kill(told["worker"], signal.SIGKILL)
        wait_until(lambda: not alive(told["away"]))
        assert process.poll() is None


@needs_linux
@pytest.mark.parametrize("kind", ["keeper", "portable"])
def test_who_got_away_when_all_above_it_were_killed_is_ended_by_the_next_agent(tmp_path, kind):
    """Nobody knows of it once worker, keeper and agent have died at once."""
    with agent_whose_job_has_a_child_elsewhere(tmp_path / "n", kind) as (process, told):
        for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none of them acts on another one's death
            for pid in told["pids"]:
                with contextlib.suppress(ProcessLookupError):  # the kernel has ended it, for its keeper has died
                    os.kill(pid, number)
        process.wait()
        wait_until(lambda: not any(alive(pid) for pid in told["pids"]))
        assert alive(told["away"])

        async def story():
            async with node(tmp_path / "n", portable=kind == "portable") as (scheduler, _):
                assert not alive(told["away"])
                await scheduler.until(lambda: set(told["tokens"]) <= set(scheduler.died))

        asyncio.run(story())


def leave_children():
    import subprocess

    subprocess.Popen(["setsid", "sleep", "61"])
    subprocess.Popen(["sh", "-c", "(setsid sleep 62 &) ; sleep 63"])
    return "left"


def sleepers():
    import psutil

    found = []
    for one in psutil.process_iter(["cmdline"]):
        line = one.info["cmdline"] or []
        if line[:1] == ["sleep"] and line[1:] in (["61"], ["62"], ["63"]):
            found.append(one.pid)
    return [pid for pid in found if alive(pid)]


def test_children_that_a_job_leaves_do_not_outlive_it(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _):
            computation = function(leave_children)
            scheduler.prepare(computation)
            ends = await scheduler.run(computation, (), (), ())
            assert [end.value for end in ends] == ["left"] * 3
            await scheduler.until(lambda: not sleepers())

    asyncio.run(story())
