"""The sample of durations: small, and its quartile is near that of all."""

from __future__ import annotations

import random

import pytest

from lightwork.scheduler.core.durations import SAMPLE, Durations


def quartile(values: list[int]) -> int:
    return sorted(values)[(3 * len(values) - 1) // 4]


def test_nothing_is_known_of_nothing() -> None:
    durations = Durations()
    durations.saw([])
    assert durations.p75_ns() == 0


@pytest.mark.parametrize("values", [[5], [1, 9], [1, 2, 3], [1, 2, 3, 4], [7, 1, 5, 3, 2, 8, 6, 4]])
def test_few_are_all_kept(values: list[int]) -> None:
    durations = Durations()
    for value in values:
        durations.saw([value])
    assert durations.p75_ns() == quartile(values)


def test_what_took_no_time_is_known_all_the_same() -> None:
    durations = Durations()
    durations.saw([0])
    assert durations.p75_ns() == 1


@pytest.mark.parametrize("batch", [1, 7, 4096])
@pytest.mark.parametrize("count", [1_000, 100_000])
def test_many_are_sampled_evenly(count: int, batch: int) -> None:
    chance = random.Random(1)
    values = [int(chance.paretovariate(1.5) * 1000) for _ in range(count)]
    durations = Durations()
    for at in range(0, count, batch):
        durations.saw(values[at : at + batch])
    assert 0.7 < durations.p75_ns() / quartile(values) < 1.4
    assert len(durations._sample) <= SAMPLE


def test_long_jobs_are_not_drowned_by_large_batches_of_tiny_ones_nor_drown_them() -> None:
    durations = Durations()
    for _ in range(100):  # 1 % of all run for a second
        durations.saw([1_000] * 99)
        durations.saw([1_000_000_000])
    assert durations.p75_ns() == 1_000


def test_what_was_long_ago_is_forgotten() -> None:
    durations = Durations()
    durations.saw([1_000] * 200_000)
    durations.saw([9_000] * 200_000)
    assert durations.p75_ns() == 9_000
