"""A relay between a scheduler and nodes: what each of them sees of it, which is nothing but the other."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from lightwork.config import limits
from lightwork.model.errors import PeerError
from lightwork.transport.files import BytesSource
from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import (
    Assign,
    ChannelCredit,
    ChannelFrames,
    ChannelOpened,
    Ended,
    Fetch,
    Goodbye,
    Heartbeat,
    Hello,
    JobOptions,
    Load,
    Ping,
    Pong,
    Refused,
    Started,
)
from tests.relay.world import SCHEDULER, Node, World
from tests.transport.links import Gather, Zeros, run, until

BEAT = Heartbeat(1, [], [], Load())


def work(size: int) -> tuple[Assign, bytes]:
    """Something to do, with an argument of so many bytes."""
    return Assign("s", "d" * 32, [1], [size], JobOptions()), bytes(size)


def digest_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def kept(world: World) -> set[str]:
    return {path.name for path in (world.directory / "blobs").iterdir()}


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


# --- nobody holds up anybody ---


def test_a_node_that_takes_nothing_holds_up_nobody_and_fills_no_memory() -> None:
    async def story() -> None:
        async with World() as world:
            a, b = await world.node("a"), await world.node("b")
            transport = a.link._transport  # type: ignore[attr-defined]
            transport.pause_reading()
            for _ in range(70):
                a.there.send(*work(1 << 20))
            sink = Gather()
            b.there.send(*work(1 << 20))
            await until(lambda: b.said)
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
            assert sink.end is None

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
            await asyncio.sleep(0.5)
            assert limits.CHANNEL_QUEUE_MAX < a.uplink.waiting_bytes < limits.CHANNEL_QUEUE_MAX + (1 << 20)
            outer.resume_reading()
            await until(lambda: len(world.scheduler.said(a.there)) == 100)
            assert b.link.up

    run("asyncio", story)


# --- what makes no sense ---


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


# --- files ---


async def wanted(node: Node, digest: str, offset: int = 0) -> Gather:
    sink = Gather(keep=True)
    node.link.fetch("blob", digest, sink, offset)
    return sink


def test_a_file_crosses_once_for_all_nodes() -> None:
    data = bytes(range(256)) * 20_000

    async def story() -> None:
        async with World() as world:
            nodes = [await world.node(name) for name in "abc"]
            world.front.on_fetch = lambda fetch: BytesSource(data, fetch.offset)
            sinks = [await wanted(node, digest_of(data)) for node in nodes]
            await until(lambda: all(sink.end == "" for sink in sinks))
            assert all(bytes(sink.data) == data for sink in sinks)
            rest = await wanted(nodes[0], digest_of(data), 5_000_000)
            await until(lambda: rest.end == "")
            assert bytes(rest.data) == data[5_000_000:]
            assert [fetch.name for _, fetch in world.front.fetched] == [digest_of(data)]
            assert kept(world) == {digest_of(data)}
            assert not any(isinstance(said, Fetch) for node in nodes for said in world.scheduler.said(node.there))

    run("asyncio", story)


def test_a_file_that_was_cut_off_goes_on_where_it_stopped() -> None:
    data = bytes(range(256)) * 40_000

    class Slow(BytesSource):
        """Stops after 3 MB."""

        left = 3_000_000

        def read(self, size: int) -> memoryview | None:  # type: ignore[override]
            piece = super().read(min(size, self.left))
            self.left -= len(piece)
            return piece if len(piece) else None

    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            world.front.on_fetch = lambda fetch: Slow(data, fetch.offset)
            await wanted(a, digest_of(data))
            draft = world.directory / "blobs"
            await until(lambda: sum(path.stat().st_size for path in draft.iterdir()) == 3_000_000)
            world.front.on_fetch = lambda fetch: BytesSource(data, fetch.offset)
            world.front.links[0].abort()
            await until(lambda: a.recorder.ended and world.relay.up)
            a = await world.node("a")
            sink = await wanted(a, digest_of(data))
            await until(lambda: sink.end == "")
            assert bytes(sink.data) == data
            assert [fetch.offset for _, fetch in world.front.fetched] == [0, 3_000_000]

    run("asyncio", story)


def test_a_file_that_is_not_what_it_should_be_is_not_kept() -> None:
    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            world.front.on_fetch = lambda fetch: BytesSource(b"something else")
            sink = await wanted(a, digest_of(b"this"))
            await until(lambda: sink.end)
            assert "not what was announced" in str(sink.end)
            assert kept(world) == set()
            strange = await wanted(a, "../../etc/passwd")
            await until(lambda: strange.end)
            assert "is no digest" in str(strange.end)

    run("asyncio", story)


def test_without_room_each_node_gets_it_from_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(3_000_000)

    async def story() -> None:
        async with World() as world:
            nodes = [await world.node(name) for name in "ab"]

            def full(digest: str) -> object:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(world.store._blobs, "writer", full)
            world.scheduler.on_fetch = lambda fetch: BytesSource(data, fetch.offset)
            sinks = [await wanted(node, digest_of(data)) for node in nodes]
            await until(lambda: all(sink.end == "" for sink in sinks))
            assert all(bytes(sink.data) == data for sink in sinks)
            assert world.front.fetched == []
            assert any("cannot be kept here" in line for line in world.log)

    run("asyncio", story)


def test_the_quota_holds_and_files_survive_the_relay() -> None:
    async def story() -> None:
        async with World(quota=2_500_000) as world:
            a = await world.node("a")
            made = {digest_of(bytes([n]) * 1_000_000): bytes([n]) * 1_000_000 for n in range(4)}
            world.front.on_fetch = lambda fetch: BytesSource(made[fetch.name], fetch.offset)
            for digest in made:
                sink = await wanted(a, digest)
                await until(lambda: sink.end == "")
            await until(lambda: kept(world) == set(list(made)[-2:]))
            (world.directory / "blobs" / list(made)[-1]).unlink()
            again = await wanted(a, list(made)[-1])
            await until(lambda: again.end == "")
            assert len(world.front.fetched) == 5, "what somebody deleted is asked for again"

    run("asyncio", story)


# --- the link to the scheduler ---


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


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    from lightwork.relay.core import events as on
    from lightwork.relay.service.store import Store

    digest = digest_of(b"kept")
    (tmp_path / digest).write_bytes(b"kept")
    (tmp_path / ".half").write_bytes(b"ke")
    told: list[on.Event] = []
    Store(tmp_path, told.append).look()
    assert told == [on.BlobFound(digest, 4)]
    assert [path.name for path in tmp_path.iterdir()] == [digest]
