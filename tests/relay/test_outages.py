"""The link of a relay to its scheduler ends and comes back."""

from __future__ import annotations

import asyncio

from lightwork.wire.messages import Started
from tests.relay.world import World
from tests.transport.links import run, until


def test_nodes_hear_nothing_of_an_outage_and_dial_again_when_it_is_over() -> None:
    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            there = a.there
            world.scheduler_door.close()
            world.front.links[0].abort()
            await until(lambda: there in world.scheduler.ended and not world.relay.up)
            a.link.send(Started([1], [1]))
            await asyncio.sleep(0.3)
            assert a.link.up and not a.recorder.ended and a.uplink.waiting_bytes == 0
            world.scheduler_door = await world.open_scheduler()
            await until(lambda: world.relay.up and a.recorder.ended)
            assert not a.link.left, "no goodbye: its claim goes on"
            again = await world.node("a")
            assert again.there is not there and again.there.up

    run("asyncio", story)


def test_a_new_link_of_a_relay_takes_the_place_of_the_old_one() -> None:
    """Whose end the scheduler has not heard of."""

    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            there, old = a.there, world.front.links[0]
            world.outbound._link = None
            world.outbound._lost.set()  # as if it had given up a link that is silent
            await until(lambda: len(world.front.links) == 2 and there in world.scheduler.ended)
            assert "relay gate" in str(world.scheduler.ended[there])
            await until(lambda: not old.up)

    run("asyncio", story)


def test_a_silent_scheduler_is_given_up() -> None:
    async def story() -> None:
        async with World() as world:
            world.front.links[0]._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
            world.relay.beat()
            for _ in range(5):
                assert world.relay.up
                world.relay.beat()
            world.relay.beat()
            await until(lambda: len(world.front.links) == 2)
            assert any("nothing comes from it any more" in line for line in world.log)

    run("asyncio", story)


def test_a_relay_that_stops_says_no_goodbye_for_its_nodes() -> None:
    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            there = a.there
            world.relay.stop()
            await world.outbound.stop("its owner has stopped it")
            await until(lambda: there in world.scheduler.ended and a.recorder.ended)
            assert not there.left and not a.link.left

    run("asyncio", story)


def test_why_a_scheduler_ends_the_connection_is_told() -> None:
    async def story() -> None:
        async with World() as world:
            world.front.links[0].close("ann wants no relays here")
            await until(lambda: any("is lost" in line for line in world.log))
            assert any("is lost: ann wants no relays here; nodes go on" in line for line in world.log)

    run("asyncio", story)
