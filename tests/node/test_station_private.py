"""The node of a private durable scheduler: it joins a socket, outlives its scheduler, and ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightwork.config import paths
from lightwork.transport.endpoint import listen
from tests.node.durable_double import ENDED, STARTED, DurableScheduler
from tests.node.scheduler_double import alive, arguments, descendants, function
from tests.node.station_double import until
from tests.node.test_station import nap

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, json, sys
from lightwork.node.service.station_private import PrivateOptions, run_private
sys.exit(asyncio.run(run_private(PrivateOptions(**json.loads(sys.argv[1])))))
"""


@pytest.fixture
def name() -> Iterator[str]:
    made = f"t-{os.urandom(4).hex()}"
    yield made
    shutil.rmtree(paths.node_directory(made), ignore_errors=True)


def start(name: str, address: str, **timers: float) -> Any:
    options = {"name": "here", "directory": name, "join": address, "slots": 2}
    shortened = " ".join(f"{key}={value}" for key, value in timers.items())
    environment = {
        **os.environ,
        "LIGHTWORK_TIMERS": shortened,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    return subprocess.Popen([sys.executable, "-P", "-c", PROGRAM, json.dumps(options)], env=environment)


@contextlib.asynccontextmanager
async def door(scheduler: DurableScheduler, address: str) -> Any:
    path = Path(address.partition(":")[2])
    path.unlink(missing_ok=True)
    listener = await listen(address, scheduler, scheduler.hello)
    try:
        yield
    finally:
        listener.close()


def test_it_outlives_its_scheduler_and_ends_at_its_goodbye(tmp_path, name):
    address = f"unix:{tmp_path}/scheduler.sock"
    process = start(name, address)

    async def story():
        one = DurableScheduler(settles=False)
        async with door(one, address):
            await one.truth()
            assert one.ready is not None
            assert (one.ready.name, one.ready.address) == ("here", "127.0.0.1")
            computation = function(nap)
            one.prepare(computation)
            done = await one.all_ended(one.assign(computation, [arguments(0, 1)]))
            assert done[0].value == 1
            long = one.assign(computation, [arguments(3, 2)])
            await one.until(lambda: one.started)
        one.cut()
        two = one.next_life(settles=True)
        await asyncio.sleep(0.5)
        async with door(two, address):
            truth = await two.truth()
            assert sorted(row[2] for row in truth.values()) == [STARTED, ENDED]
            assert (await two.all_ended(long))[0].value == 2
            below = descendants(process.pid)
            assert len(below) > 1
            two.leave()
            await until(lambda: process.poll() is not None)
            assert process.returncode == 0
            assert not [pid for pid in below if alive(pid)]
        assert not list(paths.node_directory(name).iterdir())

    try:
        asyncio.run(story())
    finally:
        process.kill()
        process.wait()


def test_it_ends_when_its_orphans_have_and_another_tells(tmp_path, name):
    address = f"unix:{tmp_path}/scheduler.sock"
    process = start(name, address, ORPHAN_S=20)

    async def story():
        one = DurableScheduler(lease_s=0.5, beat_s=0.1)
        async with door(one, address):
            await one.truth()
            computation = function(nap)
            one.prepare(computation)
            tokens = one.assign(computation, [arguments(1.5, 1), arguments(0.8, 2)])
            await one.until(lambda: len(one.started) == 2)
        one.cut()
        await until(lambda: process.poll() is not None)
        assert process.returncode == 0
        again = start(name, address)
        try:
            two = one.next_life()
            async with door(two, address):
                assert {row[2] for row in (await two.truth()).values()} == {ENDED}
                assert [end.value for end in await two.all_ended(tokens)] == [1, 2]
                two.leave()
                await until(lambda: again.poll() is not None)
        finally:
            again.kill()
            again.wait()

    try:
        asyncio.run(story())
    finally:
        process.kill()
        process.wait()


def test_one_that_nobody_claims_ends(tmp_path, name):
    process = start(name, f"unix:{tmp_path}/nobody.sock", ORPHAN_S=1.5)
    try:
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_there_is_one_to_a_directory(tmp_path, name):
    first = start(name, f"unix:{tmp_path}/nobody.sock")
    try:
        lock = paths.node_directory(name) / "identity"
        asyncio.run(until(lock.exists))
        second = start(name, f"unix:{tmp_path}/nobody.sock")
        try:
            assert second.wait(20) == 1
        finally:
            second.kill()
            second.wait()
    finally:
        first.kill()
        first.wait()
