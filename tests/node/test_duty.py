"""A station that works by hours and for so many clients: what schedulers see of it."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from lightwork.model.errors import NodeBusy
from lightwork.node.core.hours import DAY_S, Hours
from lightwork.node.service.house_rules import HouseRules
from lightwork.wire.messages import JobOptions, NodeNotice, SetPolicy
from lightwork.wire.outcome import RETURNED
from tests.node.scheduler_double import arguments, function
from tests.node.station_double import RemoteScheduler, station, until


def now() -> int:
    """The second of the day."""
    wall = time.localtime()
    return wall.tm_hour * 3600 + wall.tm_min * 60 + wall.tm_sec


def hours(start: int, stop: int, end: int | None = None) -> Hours:
    """Seconds from now."""
    this = now()
    return Hours((this + start) % DAY_S, (this + stop) % DAY_S, (this + end) % DAY_S if end is not None else -1)


def nap(seconds: float, enough: str = "") -> float:
    """Until there is a file `enough`, at most."""
    import os
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end and not (enough and os.path.exists(enough)):
        time.sleep(0.01)
    return seconds


def where(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/s"


@pytest.mark.slow
def test_before_its_hours_a_node_is_not_to_be_had(tmp_path: Path) -> None:
    async def story() -> None:
        rules = HouseRules(hours=hours(6, 3600))
        async with station(tmp_path / "n", where(tmp_path), rules=rules) as (one, address, lines):
            one.duty.start()
            early = RemoteScheduler()
            with pytest.raises(NodeBusy, match="its hours are"):
                await early.dial(address)
            assert "waits: this node is closed until" in lines.text
            await until(lambda: "open: its hours are" in lines.text)
            await early.dial(address)
            assert early.ready is not None
            assert early.ready.unwilling == ""
            computation = function(nap)
            early.prepare(computation)
            assert (await early.run(computation, (0.0,)))[0].kind == RETURNED
            one.duty.stop()

    asyncio.run(story())


@pytest.mark.slow
def test_its_hours_end_while_jobs_run(tmp_path: Path) -> None:
    async def story() -> None:
        rules = HouseRules(hours=hours(-10, 7, 15))
        async with station(tmp_path / "n", where(tmp_path), slots=2, rules=rules) as (one, address, lines):
            one.duty.start()
            scheduler = RemoteScheduler(beat_s=0.2)
            await scheduler.dial(address)
            computation = function(nap)
            scheduler.prepare(computation)
            go = tmp_path / "go"
            short, long = scheduler.assign(computation, [arguments(60, str(go)), arguments(60)])
            waiting = scheduler.assign(computation, [arguments(0)] * 3)
            await scheduler.until(lambda: {short, long} <= scheduler.started.keys())
            # stop: told at once, what has not started comes back, what runs may end
            await scheduler.until(lambda: scheduler.beats and scheduler.beats[-1].unwilling)
            assert "closed until" in scheduler.beats[-1].unwilling
            await scheduler.until(lambda: set(waiting) <= scheduler.returned.keys())
            late = scheduler.assign(computation, [arguments(0)])
            await scheduler.until(lambda: late[0] in scheduler.returned)
            go.touch()
            [end] = await scheduler.all_ended([short])
            assert end.kind == RETURNED
            assert long not in scheduler.died
            # end: the other one is lost without its fault, and the node is let go of
            await scheduler.until(lambda: long in scheduler.died)
            blame, outcome = scheduler.died[long]
            assert not blame
            assert b"the node's service hours are over" in outcome.failure["message"]
            await scheduler.until(lambda: scheduler.lost)
            assert [one_.reason for one_ in scheduler.leaving] == [lines.text.split("is over: ")[1].splitlines()[0]]
            await until(lambda: "free again" in lines.text)
            with pytest.raises(NodeBusy):
                await RemoteScheduler("s2").dial(address)
            one.duty.stop()

    asyncio.run(story())


def test_hours_are_told_from_elsewhere(tmp_path: Path) -> None:
    async def story() -> None:
        async with station(tmp_path / "n", where(tmp_path)) as (one, address, lines):
            one.duty.start()
            scheduler = RemoteScheduler(beat_s=0.2)
            await scheduler.dial(address)
            minute = now() // 60
            scheduler.say(SetPolicy((minute + 60) % 1440, (minute + 120) % 1440), b"")
            await scheduler.until(lambda: scheduler.beats and scheduler.beats[-1].unwilling)
            scheduler.say(SetPolicy((minute - 5) % 1440, (minute + 120) % 1440), b"")
            await scheduler.until(lambda: not scheduler.beats[-1].unwilling)
            scheduler.say(SetPolicy((minute + 60) % 1440), b"")  # until when?
            await scheduler.until(lambda: any(isinstance(other, NodeNotice) for other in scheduler.others))
            assert "both start and stop are needed" in str(scheduler.others)
            assert not scheduler.beats[-1].unwilling
            scheduler.others.clear()
            scheduler.say(SetPolicy(0, 1500), b"")
            await scheduler.until(lambda: any(isinstance(other, NodeNotice) for other in scheduler.others))
            assert "there is no minute 1500" in str(scheduler.others)
            scheduler.say(SetPolicy(3, 3), b"")  # none any more
            await until(lambda: "service hours all day" in lines.text)
            one.duty.stop()

    asyncio.run(story())


def test_what_is_told_comes_in_place_of_the_owners_hours_until_it_is_unsaid(tmp_path: Path) -> None:
    async def story() -> None:
        rules = HouseRules(hours=hours(-3600, 3600, 7200))
        async with station(tmp_path / "n", where(tmp_path), rules=rules) as (one, address, lines):
            one.duty.start()
            scheduler = RemoteScheduler(beat_s=0.2)
            await scheduler.dial(address)
            minute = now() // 60
            scheduler.say(SetPolicy((minute + 5) % 1440), b"")  # the rest is its owner's
            await scheduler.until(lambda: scheduler.beats and scheduler.beats[-1].unwilling)
            scheduler.say(SetPolicy(), b"")
            await scheduler.until(lambda: not scheduler.beats[-1].unwilling)
            assert f"told from elsewhere: service hours {rules.hours}" in lines.text
            said = lines.text.count("told from elsewhere")
            for _ in range(2):  # the same again, as after a restart of the scheduler
                scheduler.say(SetPolicy(), b"")
            scheduler.say(SetPolicy(3, 3), b"")
            await until(lambda: "service hours all day" in lines.text)
            assert lines.text.count("told from elsewhere") == said + 1
            one.duty.stop()

    asyncio.run(story())


def released(scheduler: RemoteScheduler, client: str) -> bool:
    return client in str(scheduler.released)


def test_a_word_about_clients_counts_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with station(tmp_path / "n", where(tmp_path)) as (one, address, _lines):
            over: list[str] = []
            one.duty.on_served = over.append
            scheduler = RemoteScheduler("s1")
            await scheduler.dial(address)
            computation = function(nap)
            for client in ("ada", "bob"):
                scheduler.say(SetPolicy(clients=2, word=7), b"")  # told again is not said again
                scheduler.prepare(computation, client)
                scheduler.release(client)
                await scheduler.until(partial(released, scheduler, client))
            await until(lambda: over)
            assert over[0] == "it has served 2 clients, as it was told"
            scheduler.say(SetPolicy(clients=-1, word=8), b"")
            scheduler.say(SetPolicy(clients=0, word=9), b"")
            await until(lambda: len(over) > 1)

    asyncio.run(story())


def test_so_many_clients_and_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with station(tmp_path / "n", where(tmp_path), rules=HouseRules(clients=2)) as (one, address, _lines):
            over: list[str] = []
            one.duty.on_served = over.append
            first = RemoteScheduler("s1")
            await first.dial(address)
            computation = function(nap)
            first.prepare(computation, "ada")
            first.release("ada")
            await first.until(lambda: first.released)
            first.prepare(computation, "ada")  # the same client once more
            first.release("ada")
            await first.until(lambda: len(first.released) == 2)
            assert over == []
            first.prepare(computation, "bob")
            await first.until(lambda: len(first.prepared) == 3)
            first.leave()  # without a word about bob
            await until(lambda: over)
            assert over[0] == "it has served 2 clients, as it was told"

    asyncio.run(story())


def test_a_node_without_an_owner_says_that_it_has_no_hours(tmp_path: Path) -> None:
    from tests.node.scheduler_double import node

    async def story() -> None:
        async with node(tmp_path / "n") as (scheduler, _agent):
            scheduler.link.send(SetPolicy(0, 60))
            await scheduler.until(lambda: any(isinstance(other, NodeNotice) for other in scheduler.others))
            computation = function(nap)
            scheduler.prepare(computation)
            assert (await scheduler.run(computation, (0.0,), options=JobOptions()))[0].kind == RETURNED

    asyncio.run(story())
