"""Node programs that are killed, stopped, and out of disk, under a durable scheduler."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightwork.wire.messages import JobOptions
from tests.node.durable_double import ENDED, HELD, STARTED, DurableScheduler
from tests.node.lone import value_of
from tests.node.scheduler_double import alive, arguments, descendants, function
from tests.node.station_double import until

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("node_program.py")


class Node:
    """A node program, again and again in one directory."""

    def __init__(self, directory: Path, slots: int = 2) -> None:
        self.directory, self.slots = directory / "n", slots
        self.address = f"unix:{directory}/node.sock"
        self.process: Any = None
        self.below: set[int] = set()

    def start(self) -> None:
        place = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.directory), self.address, str(self.slots)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": place},
        )
        assert self.process.stdout.readline() == b"up\n"

    def look(self) -> None:
        self.below.update(descendants(self.process.pid))

    def kill(self) -> None:
        self.look()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def left(self) -> list[int]:
        return [pid for pid in self.below if alive(pid)]


@pytest.fixture
def node(tmp_path):
    made = Node(tmp_path)
    made.start()
    yield made
    if made.process.poll() is None:
        made.kill()
    asyncio.run(until(lambda: not made.left()))


def mark(path, n, seconds=0.0):
    import time

    with open(path, "a") as file:
        file.write(f"{n}\n")
    time.sleep(seconds)
    return n


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("restarts", ["the scheduler, too", "the node alone"])
def test_a_node_killed_in_the_middle_of_jobs(tmp_path, node, restarts):
    async def story():
        one = DurableScheduler(settles=False)
        await one.dial(node.address)
        computation = function(mark)
        one.prepare(computation)
        started = tmp_path / "started"
        done = one.assign(computation, [arguments(str(started), n) for n in range(4)])
        await one.all_ended(done)
        one.settle(done[:1])
        long = one.assign(computation, [arguments(str(started), n, 60) for n in (4, 5)])
        await one.until(lambda: len(one.started) == 2)
        held = one.assign(computation, [arguments(str(started), n) for n in (6, 7)])
        await asyncio.sleep(0.3)
        first = one.readies[0]
        node.kill()
        node.start()
        assert not node.left()
        two = one.next_life(settles=True) if restarts == "the scheduler, too" else one
        two.settles = True
        await two.dial(node.address)
        truth = await two.truth(len(two.readies))
        assert {token: row[2] for token, row in truth.items()} == dict.fromkeys(done[1:] + long, ENDED)
        assert {token: row[:2] for token, row in truth.items()} == {
            token: ("s", 1000 + token % (1 << 40)) for token in done[1:] + long
        }
        await two.until(lambda: set(two.died) == set(long))
        await two.all_ended(done[1:])
        assert [two.ended[token].value for token in done[1:]] == [1, 2, 3]
        assert not any(blame for blame, _ in two.died.values())
        assert sorted(lines(started)) == ["0", "1", "2", "3", "4", "5"]
        assert not set(held) & set(two.ended)
        again = two.readies[-1]
        assert (again.identity, again.era) == (first.identity, first.era)
        assert again.claim != first.claim
        two.ask_output(0)
        await two.until(lambda: bool(two.outputs))  # behind the word that all is settled
        node.kill()  # now there is nothing that is owed
        node.start()
        three = two.next_life()
        await three.dial(node.address)
        assert await three.truth() == {}

    asyncio.run(story())


def leaves_much(here, size):
    import os
    import time

    import lightwork

    with open("out.txt", "w") as file:
        file.write("an output")
    with open("sent.dat", "w") as file:
        file.write("sent")
    open(here + "/begun", "w").close()
    while not os.path.exists(here + "/go"):
        time.sleep(0.01)
    lightwork.send_file("sent.dat")
    open(here + "/ready", "w").close()
    return b"y" * size


def test_what_jobs_left_while_their_agent_was_stopped_outlives_it(tmp_path, node):
    async def story():
        one = DurableScheduler(settles=False)
        await one.dial(node.address)
        computation = function(leaves_much)
        one.prepare(computation)
        options = JobOptions(outputs=("*.txt",), output_limit_bytes=1 << 20)
        tokens = one.assign(computation, [arguments(str(tmp_path), 2_000_000)], options)
        await until(lambda: (tmp_path / "begun").exists() or one.ended)
        assert not one.ended, one.ended[tokens[0]].outcome
        node.signal(signal.SIGSTOP)
        (tmp_path / "go").touch()
        await until(lambda: (tmp_path / "ready").exists())
        await asyncio.sleep(1.0)
        node.kill()
        assert not one.ended
        node.start()
        two = one.next_life(settles=False)
        await two.dial(node.address)
        assert {row[2] for row in (await two.truth()).values()} == {ENDED}
        (token,) = tokens
        (end,) = await two.all_ended(tokens)
        assert [file.path for file in end.files] == ["out.txt", ""]
        assert await two.fetch(f"{token}/0") == b"an output"
        assert value_of(await two.fetch(f"{token}/1")) == b"y" * 2_000_000
        assert [(file.token, file.name, file.file.path) for file in two.files] == [(token, f"{token}/s1", "sent.dat")]
        assert await two.fetch(f"{token}/s1") == b"sent"

    asyncio.run(story())


def test_results_in_the_ring_of_a_stopped_agent(tmp_path, node):
    """It took none of them; its successor tells them all."""

    async def story():
        one = DurableScheduler()
        await one.dial(node.address)
        computation = function(mark)
        one.prepare(computation)
        path = tmp_path / "marks"
        await one.all_ended(one.assign(computation, [arguments(str(path), n) for n in range(600)]))
        tokens = one.assign(computation, [arguments(str(path), 1000 + n, 0.001) for n in range(400)])
        await one.until(lambda: any(token in one.ended for token in tokens))
        node.signal(signal.SIGSTOP)
        before = set(one.ended)
        count = len(lines(path))
        await asyncio.sleep(0.5)
        assert len(lines(path)) > count  # workers went on
        node.kill()
        node.start()
        two = one.next_life()
        await two.dial(node.address)
        truth = await two.truth()
        await two.until(lambda: set(truth) <= set(two.ended) | set(two.died))
        ran = {int(line) - 1000 for line in lines(path) if int(line) >= 1000}
        known = {index for index, token in enumerate(tokens) if token in before or token in truth}
        assert ran <= known
        assert len(two.died) <= node.slots
        for index, token in enumerate(tokens):
            if token in two.ended:
                assert two.ended[token].value == 1000 + index
        assert len(set(two.ended) & set(tokens)) > 20

    asyncio.run(story())


def test_whatever_had_started_is_told_of_however_often_the_node_is_killed(tmp_path):
    """Each attempt that is not told of has not started, and each end that is told is right."""
    chance = random.Random(7)
    node = Node(tmp_path, slots=3)
    node.start()

    async def story():
        ended: dict[int, int] = {}
        lost: set[int] = set()
        assigned: dict[int, int] = {}
        path, n = tmp_path / "marks", 0
        scheduler = DurableScheduler()
        computation = function(mark)
        await scheduler.dial(node.address)
        for round_ in range(12):
            scheduler.prepare(computation)
            jobs = [arguments(str(path), n + index, chance.choice((0, 0, 0, 0.001, 0.03))) for index in range(300)]
            assigned.update({token: n + index for index, token in enumerate(scheduler.assign(computation, jobs))})
            n += 300
            scheduler.settles = chance.random() < 0.7
            await asyncio.sleep(chance.choice((0.1, 0.6, 0.8, 1.2)))
            if chance.random() < 0.3:
                node.signal(signal.SIGSTOP)
                await asyncio.sleep(0.2)
            node.kill()
            collect(scheduler, ended, lost)
            node.start()
            scheduler = scheduler.next_life() if chance.random() < 0.5 else scheduler
            already = len(scheduler.truths)
            await scheduler.dial(node.address)
            truth = await scheduler.truth(already + 1)
            assert {row[2] for row in truth.values()} <= {ENDED}, (HELD, STARTED)
            await scheduler.until(lambda: set(truth) <= set(scheduler.ended) | set(scheduler.died))
            collect(scheduler, ended, lost)
            ran = {int(line) for line in lines(path)}
            told = {number for token, number in assigned.items() if token in ended or token in lost}
            assert ran <= told
        for token, number in assigned.items():
            if token in ended:
                assert ended[token] == number
        assert len(ended) > 500
        assert len(lost) <= 12 * 3

    def collect(scheduler, ended, lost):
        for token, end in scheduler.ended.items():
            assert token not in lost
            ended[token] = end.value
        lost.update(scheduler.died)
        assert not lost & set(scheduler.ended)

    try:
        asyncio.run(story())
    finally:
        node.kill()
    asyncio.run(until(lambda: not node.left()))


@pytest.fixture
def small_disk(tmp_path):
    """A file system with 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def result_of(n, size, place=""):
    import os
    import time

    while place and not os.path.exists(place):
        time.sleep(0.01)
    return n, b"z" * size


@pytest.mark.parametrize("killed", [False, True])
def test_a_full_disk_loses_nothing(tmp_path, small_disk, killed):
    node = Node(small_disk)
    node.start()

    async def story():
        one = DurableScheduler(settles=False)
        await one.dial(node.address)
        computation = function(result_of)
        one.prepare(computation)
        before = await one.all_ended(one.assign(computation, [arguments(n, 10) for n in range(4)]))
        assert before[3].value[0] == 3
        go = tmp_path / "go"
        (large,) = one.assign(computation, [arguments(30, 3_000_000, str(go))])
        await one.until(lambda: large in one.started)  # with a full disk it would be given back
        fill(small_disk)
        tokens = one.assign(computation, [arguments(n, 1000) for n in range(30)])
        await one.all_ended(tokens)
        go.touch()
        await one.until(lambda: any("cannot be written down" in getattr(one_, "text", "") for one_ in one.others))
        if killed:
            node.kill()
            node.start()  # on the full disk
            await one.dial(node.address)
            truth = await one.truth(2)
            assert set(tokens) <= set(truth)
        os.unlink(small_disk / "filler")
        one.cut()
        two = one.next_life(settles=False)
        await two.dial(node.address)
        truth = await two.truth()
        again = await two.all_ended(tokens)
        assert [end.value[0] for end in again] == list(range(30))
        if not killed:
            await two.all_ended([large])
            assert value_of(await two.fetch(f"{large}/0"))[1] == b"z" * 3_000_000
        await asyncio.sleep(1.5)  # by now it is on the disk
        node.kill()
        node.start()
        three = two.next_life()
        await three.dial(node.address)
        assert set(tokens) <= set(await three.truth())
        assert [end.value[0] for end in await three.all_ended(tokens)] == list(range(30))

    try:
        asyncio.run(story())
    finally:
        node.kill()
        asyncio.run(until(lambda: not node.left()))


def fill(place):
    filler = os.open(place / "filler", os.O_WRONLY | os.O_CREAT)
    for size in (1 << 20, 1 << 12, 1):
        try:
            while os.write(filler, b"\0" * size) == size:
                pass
        except OSError:
            pass
    os.close(filler)
