"""Who has a node's credential and means ill: it gets its own link ended, holds up nobody, and fills no memory."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count
from typing import Any

import pytest

from lightwork.config import limits, timers
from lightwork.kit.owner_log import LINES_MAX
from lightwork.model.errors import PeerError, ProtocolError
from lightwork.relay.core import commands as do, events as on, shelf
from lightwork.relay.core.core import Core
from lightwork.relay.service.nodes import Dialling, Wanted
from lightwork.relay.service.uplink import Uplink
from lightwork.transport import channels
from lightwork.transport.endpoint import listen
from lightwork.transport.link import Link
from lightwork.wire.connection import Connection
from lightwork.wire.cutting import CONTROL
from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import (
    PROTOCOL,
    ChannelFrames,
    ChannelOpened,
    Ended,
    Fetch,
    Hello,
    Message,
    Ping,
    Pong,
    Started,
)
from lightwork.wire.passing import Passed
from lightwork.wire.turns import Turns
from tests.relay.test_ended_in_line import Full
from tests.relay.world import SCHEDULER, Many, Node, World, digest_of, wanted
from tests.transport.links import run, until

NODE = Hello(PROTOCOL, "node", "x")


def packed(message: Message, body: bytes = b"") -> bytes:
    return b"".join(bytes(piece) for piece in encode_frame(message, body))


def transport(link: Link) -> Any:
    return link._transport  # type: ignore[attr-defined]


# --- numbers and names without bounds ---


@pytest.mark.parametrize(
    "message",
    [
        ChannelOpened(1, NODE, "", lease_ms=-1),
        ChannelOpened(1, NODE, "", lease_ms=1 << 62),  # in nanoseconds that is more than a journal takes
        ChannelOpened(1, NODE, "a" * 5000),
        Fetch(1, "blob", "d" * 32, -1),
        Fetch(1, "blob", "d" * 32, (1 << 64) - 1),  # more than a file can be sought for
        Fetch(1, "blob", "d" * 4_000_000),  # a refusal that repeats it would be too long to be said
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_cannot_be_is_not_read(message: Message) -> None:
    stranger = Connection(SCHEDULER, listening=True)
    stranger.feed(packed(NODE))
    assert stranger.feed(packed(message)) == []
    assert isinstance(stranger.error, PeerError)


def test_a_fetch_that_makes_no_sense_ends_one_link() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            (world.directory / "blobs" / digest_of(b"x")).write_bytes(b"x")
            world.relay.feed(on.BlobFound(digest_of(b"x"), 1))
            await wanted(a, digest_of(b"x"), (1 << 64) - 1)
            await until(lambda: a.recorder.ended)
            assert "Fetch" in str(a.recorder.ended[a.link])
            assert b.link.up and world.relay.up

    run("asyncio", story)


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 100_000, packed(Started([1], [1]))])
def test_who_does_not_say_who_it_is_is_turned_away(words: bytes) -> None:
    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            reader, writer = await asyncio.open_unix_connection(world.relay_address.removeprefix("unix:"))
            writer.write(words)
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
            assert a.link.up and len(world.relay._uplinks) == 1

    run("asyncio", story)


# --- who asks, and does not read ---


def test_answers_to_pings_wait_at_the_scheduler_and_not_for_ever() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            transport(a.link).pause_reading()
            there = a.there
            for _ in range(60):  # more than all credit
                transport(a.link).write(packed(Ping(1 << 40)) * 10_000)
            b.link.send(Started([1], [1]))
            await until(lambda: transport(a.link).get_write_buffer_size() == 0)
            transport(a.link).write(packed(Started([2], [2])))
            await until(lambda: world.scheduler.by_link[there] and world.scheduler.by_link[b.there])
            assert len(there._talk._urgent) <= limits.PONGS_MAX
            assert a.uplink.link.waiting_bytes <= limits.CHANNEL_CREDIT + 4 * limits.CHANNEL_PIECE
            transport(a.link).resume_reading()
            a.link.send(Ping(7))
            await until(lambda: Pong(7) in a.said)

    run("asyncio", story)


def test_who_asks_for_nonsense_and_does_not_read_the_answers_is_cut_off() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            link, numbers = a.uplink.link, count(1)
            transport(a.link).pause_reading()
            while not a.recorder.ended:
                asked = b"".join(packed(Fetch(next(numbers), "blob", "no digest" * 20)) for _ in range(500))
                transport(a.link).write(asked)
                await asyncio.sleep(0)
                await until(lambda: a.recorder.ended or not transport(a.link).get_write_buffer_size())
                assert link.queued_bytes < 2 << 20
            assert isinstance(link.error, ProtocolError) and "streams at once" in str(link.error)
            assert b.link.up and world.relay.up

    run("asyncio", story)


def test_files_that_are_awaited_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that the scheduler answers for itself, and holds each node to what is its own."""
    core = Core(100)
    core.handle(on.SchedulerGreeted())
    asked = [core.handle(on.BlobWanted(1, n, f"d{n}")) for n in range(limits.RELAY_FILES_COMING)]
    assert asked == [[do.FetchBlob(f"d{n}")] for n in range(limits.RELAY_FILES_COMING)]
    core.handle(on.NodeGone(1))  # they come, all the same
    assert core.handle(on.BlobWanted(2, 5, "one more", 7)) == [do.PassFetch(2, 5, "one more", 7)]
    assert core.handle(on.BlobWanted(2, 6, "d0")) == []
    monkeypatch.setattr(shelf, "RELAY_FILES_AWAITED", 3)
    assert core.handle(on.BlobWanted(2, 7, "d0")) == core.handle(on.BlobWanted(3, 1, "d1")) == []
    assert core.handle(on.BlobWanted(2, 8, "d0")) == [do.PassFetch(2, 8, "d0")]
    assert len(core.handle(on.BlobFailed("d0", "nobody has it"))) == 2
    assert core.handle(on.BlobWanted(2, 9, "d1")) == []
    core.handle(on.NodeGone(2))
    assert core.handle(on.BlobWanted(3, 2, "d0")) == [do.FetchBlob("d0")]


# --- who comes and goes ---


def test_there_is_an_end_to_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHANNELS_MAX", 2)

    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            with pytest.raises(PeerError, match="relay gate carries 2 nodes, and no more") as refused:
                await world.node("c")
            assert "another relay" in refused.value.hint
            assert a.link.up and b.link.up

    run("asyncio", story)


def test_one_channel_too_many_is_closed_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of nodes that have gone still count, until their last words are out."""
    monkeypatch.setattr(channels, "CHANNELS_MAX", 2)

    async def story() -> None:
        async with World() as world:
            a, _, c = await world.node("a"), await world.node("b"), await greets(world, "c")
            await until(lambda: c.recorder.ended)
            assert a.there.up and not world.front.errors
            assert len(world.scheduler.links) == 2

    run("asyncio", story)


async def greets(world: World, name: str) -> Node:
    """A node that the relay has, and the scheduler perhaps not."""
    from lightwork.transport.endpoint import connect

    recorder = Many()
    link = await connect(world.relay_address, recorder, Hello(PROTOCOL, "node", name, f"identity of {name}"))
    return Node(world, name, link, recorder)


def test_last_words_that_cannot_be_passed_on_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RELAY_PARTING_MAX", 3 << 20)

    async def story() -> None:
        async with World() as world:
            outer = transport(world.front.links[0])
            outer.pause_reading()
            for name in "abcdef":
                node = await greets(world, name)
                node.link.send(Ended([1], [0], [0], [0], [2_000_000]), bytes(2_000_000))
                await until(lambda: transport(node.link).get_write_buffer_size() == 0)
                node.link.close("done")
                await until(lambda: not world.relay._uplinks)
                assert sum(one.waiting_bytes for one in world.relay._parting) <= 3 << 20
            outer.resume_reading()
            await until(lambda: len(world.scheduler.ended) == 6)
            last = world.scheduler.named("f")
            assert len(world.scheduler.said(last)) == 2
            assert not world.front.errors

    run("asyncio", story)


def test_a_node_that_comes_and_goes_does_not_fill_the_log() -> None:
    async def story() -> None:
        async with World() as world:
            for _ in range(LINES_MAX + 5):
                node = await world.node("a")
                node.link.abort()
                await until(lambda: not world.relay._uplinks)
            assert len([line for line in world.log if "node a" in line]) == LINES_MAX

    run("asyncio", story)


def test_who_hangs_up_at_once_is_not_dialled_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "RETRY_S", 3600.0)

    class Busy(Many):
        def link_up(self, link: Link) -> None:
            super().link_up(link)
            link.abort()

    async def story() -> None:
        async with World() as world:
            address = f"unix:{world.directory / 'n'}"
            door = await listen(address, Busy(), Hello(PROTOCOL, "node", "a", "identity of a"))
            dialling = Dialling(world.relay, Wanted([], discovery=False), None)
            assert await dialling._try(address, True, first=True) == 3600.0
            door.close()

    run("asyncio", story)


# --- what is ours to say, between frames of a node ---


def test_a_question_that_is_passed_on_does_not_cut_a_frame() -> None:
    class Silent:
        def on_left(self, call: object) -> None:
            """Nothing is taken."""

        def disown(self, stream: int) -> None:
            """It is not ours."""

        def hold(self, held: bool) -> None:
            """Nothing comes."""

    turns = Turns()
    outer = Full(turns)
    uplink = Uplink(1, Silent())  # type: ignore[arg-type]
    uplink.open(outer, turns)  # type: ignore[arg-type]
    large, fetch = packed(Ended([1], [0], [0], [0], [200_000]), bytes(200_000)), Fetch(3, "blob", "d" * 32)
    uplink.passes(Passed(CONTROL, False), large[:150_000])
    uplink.passes_fetch(fetch)
    uplink.passes(Passed(CONTROL, True), large[150_000:])
    there = Connection(SCHEDULER, listening=True)
    there.feed(packed(NODE))
    got = []
    while (piece := outer.next()) is not None:
        assert isinstance(piece[0], ChannelFrames)
        got += [message for message, _ in there.feed(piece[1])]
    assert there.error is None
    assert got == [fetch, Ended([1], [0], [0], [0], [200_000])]
