"""Files that nodes behind a relay want: each crosses the link once, and none is taken for another."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightwork.config import limits
from lightwork.relay.core import events as on
from lightwork.relay.service.store import Store
from lightwork.transport.files import BytesSource
from lightwork.wire.messages import Fetch
from tests.relay.world import World, digest_of, kept, wanted
from tests.transport.links import run, until


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


def test_what_was_kept_is_found_again(tmp_path: Path) -> None:
    """And nothing else that lies there."""
    digest = digest_of(b"kept")
    (tmp_path / digest).write_bytes(b"kept")
    (tmp_path / ".half").write_bytes(b"ke")
    (tmp_path / "notes.txt").write_bytes(b"of the owner")
    (tmp_path / ("d" * 32)).mkdir()
    told: list[on.Event] = []
    Store(tmp_path, told.append).look()
    assert told == [on.BlobFound(digest, 4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [digest, "d" * 32, "notes.txt"]


def test_what_was_found_is_looked_into_before_a_node_gets_it() -> None:
    right, wrong = b"as it was", b"as it was not"

    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            blobs = world.directory / "blobs"
            (blobs / digest_of(right)).write_bytes(right)
            (blobs / digest_of(wrong)).write_bytes(b"as it was, too")
            world.store.look()
            world.front.on_fetch = lambda fetch: BytesSource(wrong, fetch.offset)
            for data in (right, wrong, wrong):
                sink = await wanted(a, digest_of(data))
                await until(lambda sink=sink: sink.end == "")
                assert bytes(sink.data) == data
            assert [fetch.name for _, fetch in world.front.fetched] == [digest_of(wrong)]
            assert (blobs / digest_of(wrong)).read_bytes() == wrong

    run("asyncio", story)


def test_the_disk_is_not_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of it is left to others. What was not used for longest makes room; nodes get their files all the same."""
    made = {digest_of(bytes([n]) * 1_000_000): bytes([n]) * 1_000_000 for n in range(4)}

    async def story() -> None:
        async with World() as world:
            a = await world.node("a")
            free = limits.DISK_FREE_MIN + 3_500_000

            def usage(directory: Path) -> SimpleNamespace:
                used = sum(path.stat().st_size for path in directory.iterdir())
                return SimpleNamespace(free=free - used)

            monkeypatch.setattr(shutil, "disk_usage", usage)
            world.front.on_fetch = world.scheduler.on_fetch = lambda fetch: BytesSource(made[fetch.name], fetch.offset)
            for digest in made:
                sink = await wanted(a, digest)
                await until(lambda sink=sink: sink.end == "")
                assert usage(world.directory / "blobs").free >= limits.DISK_FREE_MIN
            _, _, third, last = made
            await until(lambda: kept(world) == {third})
            again = await wanted(a, last)
            await until(lambda: again.end == "")
            assert last in kept(world)

    run("asyncio", story)
