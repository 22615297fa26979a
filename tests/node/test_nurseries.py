"""Those who make processes: what they do when they cannot, and that they do not get in each other's way."""

from __future__ import annotations

import asyncio
import os

import pytest

from lightwork.node.service import births, sweeping
from tests.node.scheduler_double import function, node


def same(number):
    return number


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def refuse(*_):
    raise OSError(24, "too many open files")


@pytest.mark.parametrize("fails", ["pipe", "dup", "pair"])
def test_a_birth_that_fails_leaves_no_descriptors(tmp_path, monkeypatch, fails):
    async def story():
        async with node(tmp_path / "n", slots=1) as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            nursery, crew = agent.hands.nursery, agent.hands.crew
            before = descriptors()
            with monkeypatch.context() as patch:
                if fails == "pipe":
                    given = []
                    real = os.pipe

                    def second(*_):
                        given.append(1)
                        if len(given) % 2 == 0:
                            refuse()
                        return real()

                    patch.setattr(os, "pipe", second)
                elif fails == "dup":
                    patch.setattr(os, "dup", refuse)
                else:
                    patch.setattr(births, "pair", refuse)
                for number in (1001, 1002, 1003):
                    with pytest.raises(OSError, match="too many"):
                        nursery.fork(number, None)
                    crew.drop(number)
                if fails != "dup":
                    with pytest.raises(OSError, match="too many"):
                        nursery.set_up(("s", "e"), 9, {})
            assert descriptors() == before

    asyncio.run(story())


def test_sweeps_wait_for_each_other(monkeypatch):
    """Each ends all below us that it does not know, and so it would end another."""
    under_way, most = [], []

    async def sweep(*_):
        under_way.append(1)
        most.append(len(under_way))
        await asyncio.sleep(0.01)
        under_way.pop()

    async def story():
        sweeper = sweeping.Sweeper("python", sole=False)
        monkeypatch.setattr(sweeping, "sweep", sweep)
        await asyncio.gather(*(sweeper.sweep([(os.getpid(), "")]) for _ in range(3)))
        assert most == [1, 1, 1]

    asyncio.run(story())


def test_signals_for_the_dead_are_not_kept(tmp_path):
    async def story():
        async with node(tmp_path / "n", slots=1, portable=True) as (scheduler, agent):
            computation = function(same)
            scheduler.prepare(computation)
            await scheduler.run(computation, (1,))
            nursery = agent.hands.nursery
            nursery.kill(99)
            nursery.signal(98, 2)
            assert nursery._unborn == {}

    asyncio.run(story())
