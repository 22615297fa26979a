"""Workers of many interpreters on one node: each computation under its own, each keeper with a life of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import pytest

from lightwork.node.service.interpreters import Interpreter, Interpreters
from lightwork.payload.computation import pack_computation
from lightwork.wire.messages import Computation
from lightwork.wire.outcome import RETURNED
from tests.node import local_jobs
from tests.node.scheduler_double import alive, arguments, function, node
from tests.node.versions import OWN, VERSIONS, call_of, named, offering, others, shipped

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(params=["keeper", "portable"])
def kind(request):
    return {"portable": request.param == "portable"}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: "%d.%d" % version)
def test_a_node_runs_jobs_under_each_version(tmp_path, version, kind):
    interpreters = offering(version)

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, _agent):
            assert scheduler.ready is not None
            assert scheduler.ready.pythons == list(dict.fromkeys([OWN, version]))
            works, fails = (shipped(scheduler, name, version) for name in ("version", "fail"))
            for one in (works, fails):
                scheduler.prepare(one)
            ends = await scheduler.run(works, *[(n,) for n in range(300)])
            assert [end.value for end in ends] == [version] * 300
            [end] = await scheduler.run(works, (7,))
            assert end.outcome.stdout.head == f"under {version} 7\n".encode()
            [end] = await scheduler.run(fails, (1,))
            assert "raise LookupError(n)  # here" in end.outcome.failure["traceback"].decode()

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: "%d.%d" % version)
def test_setup_and_cleanup_run_under_each_version(tmp_path, version, kind):
    interpreters = offering(version)

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, agent):
            setup, cleanup = call_of("shipped_jobs", "prepare"), call_of("shipped_jobs", "clean")
            computation = shipped(scheduler, "use", version, setup=setup, cleanup=cleanup)
            scheduler.prepare(computation)
            ends = await scheduler.run(computation, *[()] * 20)
            expected = ("made under %d.%d" % version, "value", "n")
            assert {end.value[:3] for end in ends} == {expected}
            if not kind["portable"]:
                assert {end.value[3] for end in ends} == {agent.pids[f"template {computation.digest[:8]}"]}
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert scheduler.released[0].problems == []
        cleaned = (tmp_path / "n" / "computations" / "cleaned").read_text().splitlines()
        assert set(cleaned) == {"made under %d.%d by %d.%d" % (*version, *version)}

    asyncio.run(story())


def test_a_cleanup_alone_runs_under_its_version(tmp_path, kind):
    version = others()[0]
    interpreters = offering(version)

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, _agent):
            computation = shipped(scheduler, "version", version, cleanup=call_of("shipped_jobs", "clean"))
            scheduler.prepare(computation)
            await scheduler.run(computation, ())
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert scheduler.released[0].problems == []
        cleaned = (tmp_path / "n" / "computations" / "cleaned").read_text()
        assert cleaned == "nothing by %d.%d\n" % version

    asyncio.run(story())


def test_workers_of_one_are_never_given_to_another(tmp_path, kind):
    versions = others()
    interpreters = offering(*versions)

    async def story():
        async with node(tmp_path / "n", slots=1, interpreters=interpreters, **kind) as (scheduler, _agent):
            computations = [shipped(scheduler, "version", version) for version in (OWN, *versions)]
            for one in computations:
                scheduler.prepare(one)
            for _ in range(3):
                rounds = [(one, scheduler.assign(one, [arguments()] * 3)) for one in computations]
                for one, tokens in rounds:
                    assert [end.value for end in await scheduler.all_ended(tokens)] == [one.python] * 3

    asyncio.run(story())


def test_only_cloudpickle_is_lent(tmp_path, kind, monkeypatch):
    version = others()[0]
    interpreters = offering(version)
    lent = str(Path(cloudpickle.__file__).parents[1])
    monkeypatch.setenv("PYTHONHOME", sys.base_prefix)  # right for our own, the end of another

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, _agent):
            asks, tells = (shipped(scheduler, name, version) for name in ("importable", "variables"))
            for one in (asks, tells):
                scheduler.prepare(one)
            [end] = await scheduler.run(asks, ())
            found, path, places = end.value
            assert found[:2] == ["cloudpickle", "cloudpickle.cloudpickle_fast"]
            assert path == cloudpickle.__file__
            assert "msgspec" not in found or lent not in places  # it may have been installed there, too
            assert lent not in places
            [end] = await scheduler.run(tells, ())
            assert "PYTHONHOME" not in end.value

    asyncio.run(story())


def test_without_its_version_and_without_source_it_fails_at_once(tmp_path):
    async def story():
        async with node(tmp_path / "n") as (scheduler, _agent):
            assert scheduler.ready is not None
            assert scheduler.ready.pythons == [OWN]
            computation = Computation(
                "d", "function", "compute", named("os", "getpid"), python=(3, 7), untravellable="it is a lambda"
            )
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments()])
            await scheduler.until(lambda: token in scheduler.returned)
            failure = scheduler.prepared[0].failure
            expected = "compute needs Python 3.7: it is a lambda; this node has %d.%d" % OWN
            assert failure["message"].decode() == expected
            assert b"--python" in failure["hint"]

    asyncio.run(story())


def test_bytecode_for_another_version_is_refused_by_the_worker_too(tmp_path, kind):
    """Whoever exchanges an interpreter under the eyes of a node gets an error, and no crash."""
    interpreters = Interpreters()
    interpreters.known.append(Interpreter(sys.executable, (3, 7)))

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, _agent):
            computation = shipped(scheduler, "version", (3, 7))
            scheduler.prepare(computation)
            [token] = scheduler.assign(computation, [arguments()])
            await scheduler.until(lambda: token in scheduler.returned)
            failure = scheduler.prepared[-1].failure
            assert failure["message"].decode() == (
                "the computation holds bytecode of Python 3.7, this worker runs %d.%d" % OWN
            )

    asyncio.run(story())


def test_each_keeper_dies_alone(tmp_path):
    version, other = others()
    interpreters = offering(version, other)

    async def story():
        async with node(tmp_path / "n", slots=3, interpreters=interpreters, sole=True) as (scheduler, agent):
            naps = [shipped(scheduler, "nap", one) for one in (OWN, version, other)]
            for one in naps:
                scheduler.prepare(one)
            tokens = [scheduler.assign(one, [arguments(2.0)])[0] for one in naps]
            await scheduler.until(lambda: set(tokens) <= set(scheduler.started))
            before = agent.pids
            os.kill(before["keeper %d.%d" % version], signal.SIGKILL)
            await scheduler.until(lambda: tokens[1] in scheduler.died)
            blame, outcome = scheduler.died[tokens[1]]
            assert not blame
            assert b"keeper" in outcome.failure["message"]
            [end] = await scheduler.run(naps[1], (0,))
            assert end.value == version
            ends = await scheduler.all_ended([tokens[0], tokens[2]])
            assert [(end.kind, end.value) for end in ends] == [(RETURNED, OWN), (RETURNED, other)]
            after = agent.pids
            changed = {name for name in before if before[name] != after[name]}
            assert changed == {"keeper %d.%d" % version}

    asyncio.run(story())


def test_keepers_that_die_together_do_not_end_their_successors(tmp_path):
    versions = [OWN, *others()]
    interpreters = offering(*versions)

    async def story():
        async with node(tmp_path / "n", slots=3, interpreters=interpreters, sole=True) as (scheduler, agent):
            naps = [shipped(scheduler, "nap", one) for one in versions]
            for one in naps:
                scheduler.prepare(one)
                await scheduler.run(one, (0,))
            for _ in range(3):
                keepers = {name: pid for name, pid in agent.pids.items() if name.startswith("keeper")}
                assert len(keepers) == 3
                await asyncio.sleep(1.1)  # none of these was a quick death
                for pid in keepers.values():
                    os.kill(pid, signal.SIGKILL)
                rounds = [(one, scheduler.assign(one, [arguments(0.001)] * 3)) for one in naps]
                for one, tokens in rounds:  # some may have started before the signal had its effect
                    await scheduler.until(lambda: set(tokens) <= {*scheduler.ended, *scheduler.died})
                    ends = [scheduler.ended[token] for token in tokens if token in scheduler.ended]
                    assert [end.value for end in ends] == [one.python] * len(ends)
                    [end] = await scheduler.run(one, (0,))
                    assert end.value == one.python
                new = {name: pid for name, pid in agent.pids.items() if name.startswith("keeper")}
                assert not set(new.values()) & set(keepers.values())
                assert all(map(alive, new.values()))
            assert not any(blame for blame, _ in scheduler.died.values())

    asyncio.run(story())


def test_a_keeper_killed_while_setup_runs(tmp_path):
    """Setup runs again under its successor."""
    version = others()[0]

    async def story():
        async with node(tmp_path / "n", interpreters=offering(version)) as (scheduler, agent):
            computation = shipped(scheduler, "use", version, setup=call_of("shipped_jobs", "slow_prepare"))
            scheduler.prepare(computation)
            tokens = scheduler.assign(computation, [arguments()])
            log = tmp_path / "n" / "computations" / "s" / computation.digest / "setups"
            await scheduler.until(log.exists)
            os.kill(agent.pids["keeper %d.%d" % version], signal.SIGKILL)
            [end] = await scheduler.all_ended(tokens)
            assert end.value[0] == "made under %d.%d" % version
            assert len(log.read_text().splitlines()) == 2

    asyncio.run(story())


@pytest.mark.parametrize("what", ["its keeper dies at once", "it cannot be started: No such file or directory"])
def test_an_interpreter_that_runs_no_workers_is_given_up(tmp_path, kind, what):
    """It has answered when it was asked; now it runs nothing, or is gone."""
    script = tmp_path / "python3.9"
    if "dies" in what:
        script.write_text("#!/bin/sh\nexit 3\n")
        script.chmod(0o755)
    interpreters = Interpreters()
    interpreters.known.append(Interpreter(str(script), (3, 9)))

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, _agent):
            for digest, setup in (("a", b""), ("b", call_of("shipped_jobs", "prepare"))):
                computation = shipped(scheduler, "version", (3, 9), setup=setup, digest=digest)
                scheduler.prepare(computation)
                [token] = scheduler.assign(computation, [arguments()])
                await scheduler.until(lambda: token in scheduler.returned)
                assert not scheduler.prepared[-1].ready
                message = scheduler.prepared[-1].failure["message"].decode()
                if not kind["portable"]:
                    assert message == f"Python 3.9 of this node ({script}) runs no workers: {what}"
            ours = function(os.getpid)
            scheduler.prepare(ours)
            await scheduler.run(ours, ())
            assert not scheduler.died

    asyncio.run(story())


def test_all_die_with_the_agent(tmp_path):
    offering(*others())
    place = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    agent = subprocess.Popen(
        [sys.executable, "-m", "tests.node.interpreters_program", str(tmp_path / "n")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": place},
        cwd=ROOT,
    )
    assert agent.stdout is not None
    pids = json.loads(agent.stdout.readline())
    assert len(pids) >= 6, "three keepers, each with a worker"
    os.kill(agent.pid, signal.SIGKILL)
    agent.wait()
    agent.stdout.close()
    deadline = time.monotonic() + 15
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.01)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: "%d.%d" % version)
def test_functions_come_as_source_where_their_version_is_not(tmp_path, version, kind):
    interpreters = Interpreters(offering(version).known[-1])
    compute, begin, end = local_jobs.closures()
    said = "set up under %d.%d" % version
    packed = pack_computation(compute, setup=begin, setup_args=("set up",), cleanup=end, source=True)
    assert packed.wire.untravellable == ""

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters, **kind) as (scheduler, _agent):
            assert scheduler.ready is not None
            assert scheduler.ready.pythons == [version]
            scheduler.blobs |= {digest: data for digest, data in packed.blobs.items() if isinstance(data, bytes)}
            scheduler.prepare(packed.wire)
            ends = await scheduler.run(packed.wire, *[(n,) for n in range(50)])
            assert [end.value[:3] for end in ends] == [(n * 3, said, version) for n in range(50)]
            scheduler.release()
            await scheduler.until(lambda: scheduler.released)
            assert scheduler.released[0].problems == []
        assert set((tmp_path / "n" / "computations" / "ended").read_text().splitlines()) == {said}

    asyncio.run(story())


def test_large_source_is_a_file(tmp_path):
    version = others()[0]
    interpreters = Interpreters(offering(version).known[-1])
    packed = pack_computation(local_jobs.table_reader(bytes(range(256)) * 5_000), source=True)
    assert (packed.wire.source, packed.wire.payload) == (b"", b"")

    async def story():
        async with node(tmp_path / "n", interpreters=interpreters) as (scheduler, _agent):
            scheduler.blobs |= {digest: data for digest, data in packed.blobs.items() if isinstance(data, bytes)}
            scheduler.prepare(packed.wire)
            ends = await scheduler.run(packed.wire, (7,), (300,))
            assert [end.value for end in ends] == [7, 44]
        async with node(tmp_path / "m") as (scheduler, _agent):  # the same, where our version is
            scheduler.blobs |= {digest: data for digest, data in packed.blobs.items() if isinstance(data, bytes)}
            scheduler.prepare(packed.wire)
            ends = await scheduler.run(packed.wire, (7,), (300,))
            assert [end.value for end in ends] == [7, 44]

    asyncio.run(story())
