"""Values from payloads and arenas: copied or mapped, and a region is released when nobody looks at it any more."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from lightwork.payload import reading
from lightwork.payload.arguments import pack_arguments
from lightwork.payload.gather import LargePayload
from lightwork.payload.reading import ArenaReader, unpack_value
from lightwork.store.arena import GRANULE, Arena


@pytest.fixture
def arena():
    made = Arena.create(64 << 20)
    yield made
    made.close()


@pytest.fixture
def released() -> list[int]:
    return []


def put(arena: Arena, *values: object) -> tuple[int, int]:
    payload = pack_arguments(values, {})
    assert isinstance(payload, LargePayload)
    offset = arena.allocate(payload.size)
    assert offset is not None
    payload.write_into(arena.view(offset, payload.size))
    return offset, payload.size


def test_bytes_are_copied_and_the_region_is_free_at_once(arena: Arena, released: list[int]):
    arena.allocate(GRANULE)
    offset, size = put(arena, b"x" * 500_000, "y" * 500_000)
    (first, second), _ = ArenaReader(arena, released.append).read(offset, size)
    assert released == [offset]
    arena.view(offset, size)[:] = bytes(size)
    assert first == b"x" * 500_000
    assert second == "y" * 500_000


def test_arrays_are_writable_views_that_hold_the_region(arena: Arena, released: list[int]):
    arena.allocate(GRANULE)
    sent = np.arange(200_000)
    offset, size = put(arena, sent, sent[::-1].copy())
    (first, second), _ = ArenaReader(arena, released.append).read(offset, size)
    first += 1
    assert np.array_equal(first, sent + 1)
    assert first.base is not None
    part = second[5:10]
    del first, second
    gc.collect()
    assert released == []
    assert list(part) == list(sent[::-1][5:10])
    del part
    gc.collect()
    assert released == [offset]


def test_writing_into_a_view_changes_nothing_for_others(arena: Arena, released: list[int]):
    offset, size = put(arena, np.zeros(100_000))
    reader = ArenaReader(arena, released.append)
    (first,), _ = reader.read(offset, size)
    first[:] = 5
    (second,), _ = reader.read(offset, size)
    assert second.sum() == 0


def test_past_the_limit_arrays_are_copied(arena: Arena, released: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "VIEWS_MAX", 2)
    reader = ArenaReader(arena, released.append)
    places = [put(arena, np.full(50_000, number)) for number in range(4)]
    kept = [reader.read(*place)[0][0] for place in places]
    assert released == [offset for offset, _ in places[2:]]
    assert [array[0] for array in kept] == [0, 1, 2, 3]
    kept[3][:] = 9
    kept.clear()
    gc.collect()
    assert sorted(released) == sorted(offset for offset, _ in places)
    reader.read(*put(arena, np.ones(50_000)))


def test_views_hold_half_of_the_arena_at_most(released: list[int]):
    arena = Arena.create(4 << 20)
    reader = ArenaReader(arena, released.append)
    kept = []
    for _ in range(10):
        offset, size = put(arena, np.ones(100_000))
        kept.append(reader.read(offset, size))
        if offset in released:
            arena.free(offset)
    assert len(released) >= 7
    arena.close()


class Explosive:
    def __reduce__(self):
        return _explode, ()


def _explode():
    raise ZeroDivisionError("while unpickling")


def test_a_value_that_cannot_be_rebuilt_releases_its_region(arena: Arena, released: list[int]):
    for values in ((b"x" * 500_000, Explosive()), (np.ones(100_000), Explosive())):
        offset, size = put(arena, *values)
        with pytest.raises(ZeroDivisionError):
            ArenaReader(arena, released.append).read(offset, size)
        gc.collect()
        assert released.pop() == offset


def test_garbage_is_a_value_error(arena: Arena, released: list[int]):
    arena.view(0, 24)[:] = b"\0LWSEG\0\1" + (1 << 60).to_bytes(8, "little") + bytes(8)
    with pytest.raises(ValueError, match="segments"):
        ArenaReader(arena, released.append).read(0, 4096)


def test_inline_values():
    assert unpack_value(b"\x80\x05K\x07.") == 7
    payload = pack_arguments((np.ones(100_000), b"z" * 300_000), {})
    assert isinstance(payload, LargePayload)
    (array, data), _ = unpack_value(payload.to_bytes())
    array[0] = 3
    assert data == b"z" * 300_000
    assert weakref.ref(array)() is array
