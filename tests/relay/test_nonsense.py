"""Nodes and relays that talk nonsense: it ends their own link, and nobody else's."""

from __future__ import annotations

import pytest

from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import ChannelCredit, ChannelFrames, ChannelOpened, Hello, Ping, Pong, Started
from tests.relay.world import World
from tests.transport.links import run, until


def test_a_node_that_talks_nonsense_ends_its_own_link_only() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            there = a.there
            a.link._transport.write(b"GET / HTTP/1.1\r\n\r\n" + bytes(50))  # type: ignore[attr-defined]
            await until(lambda: a.recorder.ended and there in world.scheduler.ended)
            assert b.link.up and b.there.up and world.relay.up

    run("asyncio", story)


def test_frames_that_only_the_scheduler_understands_end_one_channel() -> None:
    """Well-formed on the outside, nonsense within: the relay does not look, the scheduler refuses."""

    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            there = a.there
            frame = bytearray(b"".join(map(bytes, encode_frame(Started([1], [1])))))
            frame[-1] = 0xC1  # no msgpack
            a.link._transport.write(bytes(frame))  # type: ignore[attr-defined]
            await until(lambda: there in world.scheduler.ended)
            assert "Started" in str(world.scheduler.ended[there])
            await until(lambda: a.recorder.ended)
            assert "Started" in str(a.recorder.ended[a.link]), "the node reads what was wrong"
            assert b.there.up and not world.front.errors

    run("asyncio", story)


@pytest.mark.parametrize(
    "message",
    [ChannelCredit(1, 1), ChannelCredit(1, -5), ChannelOpened(1, Hello(5, "node", "x"), ""), Started([1], [1])],
    ids=lambda message: type(message).__name__,
)
def test_a_relay_that_talks_nonsense_is_cut_off(message: object) -> None:
    async def story() -> None:
        async with World() as world:
            await world.node("a")
            world.relay._outer.send(message)  # type: ignore[union-attr,arg-type]
            await until(lambda: len(world.front.errors) == 1)
            assert type(message).__name__ in str(world.front.errors[0])

    run("asyncio", story)


def test_words_for_channels_that_are_gone_are_ignored() -> None:
    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            for message in (ChannelFrames(99), ChannelCredit(99, 5)):
                world.relay._outer.send(message)  # type: ignore[union-attr]
                world.front.links[0].send(message)
            a.link.send(Ping(1))
            await until(lambda: Pong(1) in a.said)
            assert not world.front.errors

    run("asyncio", story)
