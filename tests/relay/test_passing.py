"""A relay between a scheduler and nodes: what each of them sees of it, which is nothing but the other."""

from __future__ import annotations

import pytest

from lightwork.model.errors import PeerError
from lightwork.wire.messages import Ended, Goodbye, Hello, Ping, Pong, Refused, Started
from tests.relay.world import SCHEDULER, World, work
from tests.transport.links import Gather, Zeros, run, until


def test_a_node_sees_its_scheduler_and_the_scheduler_its_node() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            seen = a.link.peer
            assert (seen.role, seen.name, seen.session, seen.epoch) == ("scheduler", "lab", SCHEDULER.session, 3)
            assert (seen.via, seen.lease_ms) == ("gate", 60_000)
            assert (a.there.peer.name, a.there.peer.session) == ("a", "identity of a")
            assert (a.there.relay, a.there.lease_ms) == ("gate", 60_000)
            a.there.send(*work(10))
            b.there.send(Started([5], [5]))
            a.link.send(Ended([1], [0], [0], [0], [3]), b"abc")
            await until(lambda: a.said and b.said and world.scheduler.by_link[a.there])
            assert a.recorder.by_link[a.link] == [work(10)]
            assert b.said == [Started([5], [5])]
            assert world.scheduler.by_link[a.there] == [(Ended([1], [0], [0], [0], [3]), b"abc")]

    run("asyncio", story)


def test_pings_are_answered_by_the_scheduler_alone() -> None:
    """A node's lease counts from them."""

    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            a.link.send(Ping(17))
            await until(lambda: Pong(17) in a.said)
            world.relay.beat()
            world.relay.beat()
            await until(lambda: Pong(0) in a.said)
            world.front.links[0].abort()
            await until(lambda: not world.relay.up)
            a.link.send(Ping(18))
            world.relay.beat()
            world.relay.beat()
            await until(lambda: a.said.count(Pong(0)) >= 2)
            assert Pong(18) not in a.said

    run("asyncio", story)


def test_goodbyes_pass_and_ends_follow_them() -> None:
    async def story() -> None:
        async with World() as world:
            a, b, c = [await world.node(name) for name in "abc"]
            there = {node.name: node.there for node in (a, b, c)}
            a.link.send(Started([1], [1]))
            a.link.close("my owner wants me back")
            await until(lambda: there["a"] in world.scheduler.ended)
            assert world.scheduler.said(there["a"]) == [Started([1], [1]), Goodbye("my owner wants me back")]
            assert there["a"].left and world.scheduler.ended[there["a"]] is None
            b.there.send(*work(100_000))
            b.there.close("the cluster is closed")
            await until(lambda: b.recorder.ended)
            assert b.said[-1] == Goodbye("the cluster is closed") and b.link.left
            assert len(b.said) == 2 and b.recorder.ended[b.link] is None
            c.there.abort()
            await until(lambda: c.recorder.ended)
            assert not c.link.left
            await until(lambda: len(world.scheduler.ended) == 3 and not world.relay._uplinks)

    run("asyncio", story)


def test_a_refusal_of_the_scheduler_reaches_the_node() -> None:
    def removed(hello: Hello) -> Refused | None:
        return Refused("removed", f"{hello.name} was removed by ann", "ask her") if hello.name == "b" else None

    async def story() -> None:
        async with World(check=removed) as world:
            await world.node("a")
            b = await world.node("b")
            await until(lambda: b.recorder.ended)
            assert "b was removed by ann" in str(b.recorder.ended[b.link])
            assert [link.peer.name for link in world.scheduler.links] == ["a"]

    run("asyncio", story)


def test_who_is_no_node_is_turned_away_and_told_why() -> None:
    async def story() -> None:
        async with World() as world:
            with pytest.raises(PeerError, match="this is relay gate: nodes join it, and no client"):
                await world.node("c", role="client")
            world.scheduler_door.close()
            world.front.links[0].abort()
            await until(lambda: not world.relay.up)
            with pytest.raises(PeerError, match="relay gate has no connection with the scheduler at s: "):
                await world.node("d")

    run("asyncio", story)


def test_what_is_fetched_either_way_passes_through() -> None:
    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            size = 5 << 20
            a.recorder.on_fetch = lambda fetch: Zeros(size)
            world.scheduler.on_fetch = lambda fetch: Zeros(size + 1)
            up, down = Gather(), Gather()
            a.there.fetch("spool", "1/0", up)
            a.link.fetch("argument", "1", down)
            await until(lambda: up.end == "" and down.end == "")
            assert (up.size, down.size) == (size, size + 1)

    run("asyncio", story)
