"""The arena: regions never overlap, holes close, warm memory is used first and given back; two processes share it."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from lightwork.store.arena import GRANULE, Arena, Regions
from lightwork.store.extents import Extents

UNITS = 64


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, UNITS - 1), st.integers(1, 12)), max_size=60))
def test_extents_are_a_set_of_offsets(steps: list[tuple[bool, int, int]]):
    extents = Extents()
    model: set[int] = set()
    for add, start, length in steps:
        end = min(start + length, UNITS)
        (extents.add if add else extents.remove)(start, end)
        (model.update if add else model.difference_update)(range(start, end))
        ranges = list(extents)
        assert {at for low, high in ranges for at in range(low, high)} == model
        assert extents.total == len(model)
        assert all(first[1] < second[0] for first, second in pairwise(ranges))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("aaaffft"), st.integers(0, 20)), max_size=80))
def test_regions_never_overlap_and_nothing_is_lost(steps: list[tuple[str, int]]):
    regions = Regions(UNITS, granule=1)
    live: dict[int, int] = {}
    touched: set[int] = set()
    for what, number in steps:
        if what == "a":
            offset = regions.allocate(number)
            size = max(number, 1)
            taken = {at for low, length in live.items() for at in range(low, low + length)}
            if offset is None:
                free = [at not in taken for at in range(UNITS)]
                assert not any(all(free[at : at + size]) for at in range(UNITS - size + 1))
                continue
            assert not taken & set(range(offset, offset + size))
            live[offset] = size
            touched |= set(range(offset, offset + size))
        elif what == "f" and live:
            offset = sorted(live)[number % len(live)]
            regions.free(offset)
            del live[offset]
        elif what == "t":
            for start, end in regions.trim(number):
                assert touched >= set(range(start, end))
                touched -= set(range(start, end))
            assert regions.warm <= number
        used = {at for low, length in live.items() for at in range(low, low + length)}
        assert regions.used == len(used)
        assert regions.warm == len(touched - used)


def region(regions: Regions, size: int) -> int:
    offset = regions.allocate(size)
    assert offset is not None
    return offset


def test_sizes_are_whole_granules():
    regions = Regions(10 * 4096 + 5, granule=4096)
    assert regions.capacity == 10 * 4096
    assert [regions.allocate(size) for size in (1, 4096, 4097, 0)] == [0, 4096, 8192, 16384]
    assert regions.used == 5 * 4096
    assert regions.allocate(6 * 4096) is None


def test_warm_memory_is_used_before_fresh():
    regions = Regions(100, granule=1)
    first, second, third = (region(regions, size) for size in (10, 5, 20))
    regions.free(first)
    regions.free(third)
    assert regions.allocate(8) == first  # the smallest warm hole that fits
    assert regions.allocate(15) == third
    assert regions.allocate(30) == 30  # no warm hole is so large: the lowest place
    assert second == 10


def test_freeing_what_is_not_allocated_is_an_error():
    regions = Regions(100, granule=1)
    offset = region(regions, 10)
    regions.free(offset)
    with pytest.raises(KeyError):
        regions.free(offset)
    with pytest.raises(KeyError):
        regions.free(3)


@pytest.fixture(params=["memory", "file"])
def arena(request: pytest.FixtureRequest, tmp_path: Path):
    made = Arena.create(64 << 20, directory=str(tmp_path) if request.param == "file" else "", keep=1 << 20)
    yield made
    made.close()


def test_written_here_and_read_there(arena: Arena):
    offset = arena.allocate(100_000)
    assert offset is not None
    arena.view(offset, 5)[:] = b"hello"
    code = (
        "import sys; from lightwork.store.arena import Arena\n"
        "place, offset = sys.argv[1], int(sys.argv[2])\n"
        "arena = Arena(int(place)) if place.isdecimal() else Arena.open(place)\n"
        "print(bytes(arena.view(offset, 5)).decode())\n"
        "arena.view(offset, 5)[:] = b'there'\n"
    )
    place = arena.path or str(arena.descriptor)
    done = subprocess.run(
        [sys.executable, "-c", code, place, str(offset)],
        pass_fds=[arena.descriptor],
        env={**os.environ, "PYTHONPATH": "src"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "hello\n", done.stderr
    assert bytes(arena.view(offset, 5)) == b"there"


def test_it_is_sparse_and_gives_memory_back(arena: Arena):
    def backed() -> int:
        return os.fstat(arena.descriptor).st_blocks * 512

    before = backed()
    assert before < 1 << 20
    offset = arena.allocate(32 << 20)
    assert offset is not None
    arena.view(offset, 32 << 20)[:] = b"x" * (32 << 20)
    assert backed() >= 32 << 20
    arena.free(offset)
    if sys.platform == "linux":
        assert backed() <= before + (1 << 20)
    again = arena.allocate(32 << 20)
    assert again == offset
    arena.view(again, 4)[:] = b"good"
    assert bytes(arena.view(again, 4)) == b"good"


def test_private_views_do_not_write_through(arena: Arena):
    arena.allocate(GRANULE)
    offset = arena.allocate(10_000)
    assert offset is not None
    arena.view(offset, 3)[:] = b"abc"
    private = arena.private(offset, 10_000)
    private[:3] = b"xyz"
    assert bytes(arena.view(offset, 3)) == b"abc"
    assert private[:3] == b"xyz"
    private.close()


def test_views_outside_are_refused(arena: Arena):
    for offset, size in ((-1, 5), (0, arena.capacity + 1), (arena.capacity, 1), (5, -1)):
        with pytest.raises(ValueError, match="lies outside"):
            arena.view(offset, size)


def test_views_outlive_the_arena():
    arena = Arena.create(1 << 20)
    view = arena.view(0, 10)
    private = arena.private(0, 10)
    view[:3] = b"abc"
    arena.close()
    arena.close()
    assert bytes(view[:3]) == b"abc"
    assert isinstance(private, mmap.mmap)


def test_descriptor_is_not_inherited_by_chance():
    arena = Arena.create(1 << 20)
    assert not os.get_inheritable(arena.descriptor)
    arena.close()


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path: Path):
    with pytest.raises((OSError, ValueError, OverflowError)):
        Arena.create(1 << 62, directory=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="there are no seals")
def test_who_has_its_descriptor_cannot_cut_it_off():
    """Jobs have it; a store beyond its end would kill the agent and its clients."""
    arena = Arena.create(1 << 20)
    for size in (0, 2 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(arena.descriptor, size)
    arena.view(0, 4)[:] = b"here"
    arena.close()
