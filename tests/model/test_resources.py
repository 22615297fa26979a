"""What jobs need and nodes have: names and amounts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from lightwork.model import resources
from lightwork.model.errors import UserError


def test_what_is_needed_travels_in_order() -> None:
    given = {"memory": "8G", "cpus": 2.5, "gpus": 1, "licence": 3, "disk": 1000}
    needed = (("cpus", 2500), ("disk", 1000), ("gpu", 1), ("licence", 3), ("memory", 8 << 30))
    assert resources.needed(given) == needed


@pytest.mark.parametrize("given", [None, {}, {"cpus": 1}, {"cpus": 1.0}, {"slots": "1"}])
def test_one_slot_is_nothing(given: Any) -> None:
    assert resources.needed(given) == ()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ([("gpu", 1)], "must be a dict"),
        ("gpu", "must be a dict"),
        ({"cpus": 0}, "cpus=0 is no number of slots"),
        ({"cpus": -1}, "cpus"),
        ({"cpus": 0.0001}, "cpus"),
        ({"cpus": float("nan")}, "cpus"),
        ({"cpus": float("inf")}, "cpus"),
        ({"cpus": 1e9}, "cpus"),
        ({"cpus": "two"}, "cpus='two'"),
        ({"cpus": True}, "cpus=True"),
        ({"memory": "much"}, "memory='much' is no size"),
        ({"memory": 0}, "memory=0 is no size"),
        ({"memory": 1 << 62}, "is no size"),
        ({"gpu": 1.5}, "gpu=1.5 is no whole number"),
        ({"gpu": None}, "gpu=None"),
        ({"licence": 0}, "licence=0 is no whole number"),
        ({"gpu": 1, "gpus": 1}, "'gpus' and 'gpu' are the same"),
        ({"a b": 1}, "'a b' is no name"),
        ({"": 1}, "'' is no name"),
        ({3: 1}, "3 is no name"),
        ({"x" * 65: 1}, "is no name"),
    ],
)
def test_what_nobody_can_mean(given: Any, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        resources.needed(given)
    assert caught.value.hint


def test_on_a_command_line() -> None:
    words = ["gpus=1", "memory=500M", "cpus=0.25", "scratch=100G", "gpu=2"]
    assert resources.assigned(words) == {"gpu": 2, "memory": 500 << 20, "cpus": 250, "scratch": 100 << 30}
    for wrong in ("gpu", "=1", "gpu=", "gpu=x", "a b=1"):
        with pytest.raises(UserError, match="--resource"):
            resources.assigned([wrong])


@given(st.sampled_from(["cpus", "memory", "gpu"]), st.integers(1, 1_000_000))
def test_what_is_shown_is_what_is_meant(name: str, amount: int) -> None:
    number, word = resources.shown(name, amount).split()
    assert (word, resources.amount_of(name, number)) == (name, amount)
