"""Behind a relay nobody holds up anybody: not a node that takes nothing, not one that says too much."""

from __future__ import annotations

import asyncio

from lightwork.config import limits
from lightwork.wire.messages import Ended, Ping, Pong, Started
from tests.relay.world import BEAT, World, work
from tests.transport.links import Gather, Zeros, run, until


def test_a_node_that_takes_nothing_holds_up_nobody_and_fills_no_memory() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            transport = a.link._transport  # type: ignore[attr-defined]
            transport.pause_reading()
            for _ in range(70):
                a.there.send(*work(1 << 20))
            b.there.send(*work(1 << 20))
            await until(lambda: b.said)
            await until(lambda: a.uplink.link.waiting_bytes > limits.CHANNEL_CREDIT // 2)
            await asyncio.sleep(0.3)
            most = limits.CHANNEL_CREDIT + limits.CHANNEL_PIECE + 2 * limits.WRITE_MAX
            assert limits.CHANNEL_CREDIT // 2 < a.uplink.link.waiting_bytes <= most
            assert a.there.congested, "what is more waits at the scheduler, and is seen there"
            b.link.send(Ping(1))
            await until(lambda: Pong(1) in b.said)
            transport.resume_reading()
            await until(lambda: len(a.said) == 70)
            await until(lambda: world.scheduler.drained == 1)
            assert a.uplink.link.waiting_bytes == 0

    run("asyncio", story)


def test_bulk_waits_for_everything_else() -> None:
    """A node reads slowly: files for it take no more than their part, and its jobs come first."""

    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            world.scheduler.on_fetch = lambda fetch: Zeros(8 << 20)
            sinks = [Gather(consume=True) for _ in range(8)]
            transport = a.link._transport  # type: ignore[attr-defined]
            for number, sink in enumerate(sinks):
                a.link.fetch("argument", str(number), sink)
            await until(lambda: len(world.scheduler.said(a.there)) == 8)
            transport.pause_reading()
            await asyncio.sleep(0.2)
            a.there.send(Started([1], [1]))
            await until(lambda: a.there.queued_bytes == 0)  # there is credit left for it
            await asyncio.sleep(0.1)
            done = sum(sink.size for sink in sinks)
            transport.resume_reading()
            await until(lambda: a.said)
            assert sum(sink.size for sink in sinks) - done < 3 << 20, "what is in the sockets, and not what is queued"
            await until(lambda: all(sink.end == "" for sink in sinks))

    run("asyncio", story)


def test_nodes_take_turns_on_the_way_to_the_scheduler() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            outer = world.front.links[0]._transport  # type: ignore[attr-defined]
            outer.pause_reading()
            for _ in range(40):
                a.link.send(Ended([1], [0], [0], [0], [200_000]), bytes(200_000))
            await until(lambda: a.uplink.waiting_bytes > 4 << 20)
            b.link.send(BEAT)
            b.link.send(Ping(3))
            await asyncio.sleep(0.1)
            outer.resume_reading()
            await until(lambda: Pong(3) in b.said)
            assert world.scheduler.said(b.there) == [BEAT]
            assert len(world.scheduler.said(a.there)) < 40, "b did not wait for all of a's"
            await until(lambda: len(world.scheduler.said(a.there)) == 40)

    run("asyncio", story)


def test_a_node_that_says_more_than_can_be_passed_on_is_not_read() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            outer = world.front.links[0]._transport  # type: ignore[attr-defined]
            outer.pause_reading()
            for _ in range(100):
                a.link.send(Ended([1], [0], [0], [0], [400_000]), bytes(400_000))
            await until(lambda: a.uplink.waiting_bytes > limits.CHANNEL_QUEUE_MAX)
            await asyncio.sleep(0.5)
            assert limits.CHANNEL_QUEUE_MAX < a.uplink.waiting_bytes < limits.CHANNEL_QUEUE_MAX + (1 << 20)
            outer.resume_reading()
            await until(lambda: len(world.scheduler.said(a.there)) == 100)
            assert b.link.up

    run("asyncio", story)
