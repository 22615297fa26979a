"""Fingerprints of arguments: the same in every process, and different for what differs."""

from __future__ import annotations

import collections
import dataclasses
import enum
import fractions
import functools
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, strategies as st

from lightwork.model.errors import CannotTravel
from lightwork.payload.fingerprint import fingerprint

ROOT = pathlib.Path(__file__).parents[2]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: Any
    tags: Any = dataclasses.field(default_factory=set)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a, self.b = {"x", "y", "z"}, frozenset("abcdef")


class Words(set):
    pass


def scale(n: int, by: int = 3) -> int:
    return n * by if n in {1, 2, 3} else 0


def of(*args: Any, **kwargs: Any) -> bytes:
    return fingerprint(args, kwargs)


def everything() -> list[Any]:
    """Values whose pickles depend on the hash seed, or on which objects are the same."""
    words = [f"word{n}" for n in range(40)]
    factor = 7
    return [
        set(words),
        frozenset(map(frozenset, [words[:9], words[9:30], words[20:]])),
        {"nested": [{frozenset(words[:5]): set(words)}]},
        Point({"b", "a", "c"}, {frozenset({Colour.RED, Colour.BLUE}), ("x", frozenset(words))}),
        Slotted(),
        Words(words),
        collections.OrderedDict((word, set(words)) for word in words),
        collections.Counter(words),
        fractions.Fraction(3, 7),
        pathlib.PurePosixPath("/a/b"),
        scale,
        lambda n: n in {"u", "v", "w"} or n * factor,
        functools.partial(scale, by=4),
        "text".upper,
        len,
        os.path,
        Colour.RED,
        Point,
        range(3, 9),
        1 << 200,
        -0.0,
        2 + 3j,
        b"bytes",
        bytearray(b"bytes"),
    ]


def print_all() -> None:
    """For the other processes."""
    print(of(*everything()).hex(), *[of(value).hex() for value in everything()])


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_other_processes_with_other_hash_seeds_agree(seed: str) -> None:
    code = "from tests.payload.test_fingerprint import print_all; print_all()"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [of(*everything()).hex(), *[of(value).hex() for value in everything()]], done.stderr


def test_different_values_differ() -> None:
    values = [
        *everything(),
        1,
        1.0,
        True,
        "1",
        b"1",
        None,
        0,
        0.0,
        [],
        (),
        {},
        set(),
        frozenset(),
        "",
        [1, 2],
        [2, 1],
        [[1], 2],
        [1, [2]],
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
        {1, 2},
        {1, (2,)},
        Point(1),
        Point(2),
        Colour.BLUE,
        ("ab", "c"),
        ("a", "bc"),
        lambda n: n + 1,
        lambda n: n + 2,
        lambda n, by=1: n,
        lambda n, by=2: n,
    ]
    prints = [of(value) for value in values]
    assert len(set(prints)) == len(prints)
    assert of(1, 2) != of((1, 2)) != of(1, b=2) != of(1, a=2)
    assert of(a=1, b=2) == of(b=2, a=1)


def test_equal_values_that_are_other_objects_agree() -> None:
    word, again = ("-".join(["shared", str(n)]) for n in (1, 1))
    assert of([word, word]) == of([word, again])
    shared = [1, 2]
    assert of([shared, shared]) == of([[1, 2], [1, 2]])


def test_what_contains_itself_has_one() -> None:
    def made() -> list[Any]:
        ring: list[Any] = [1]
        ring.append({"ring": ring, "more": [ring, ring]})
        return ring

    other = made()
    other[1]["more"].pop()
    assert of(made()) == of(made()) != of(other)


def test_what_is_shared_many_times_is_looked_at_once() -> None:
    value: Any = {"leaf"}
    for _ in range(60):
        value = [value, value]
    assert len(of(value)) == 16


def test_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    ones = numpy.arange(100_000, dtype="f8")
    assert of(ones) == of(ones.copy()) != of(ones.astype("f4"))
    assert of(ones) != of(ones.reshape(100, 1000))
    assert of(ones[::2]) == of(ones[::2].copy())
    assert of(ones.reshape(100, 1000)) == of(numpy.asfortranarray(ones.reshape(100, 1000)))
    mixed = numpy.array([{"b", "a"}, "text", None], dtype=object)
    assert of(mixed) == of(mixed.copy()) != of(mixed[:2])
    dates = numpy.array(["2026-01-01"], dtype="M8[D]")
    assert of(dates) == of(dates.copy()) != of(dates + 1)
    assert of(numpy.empty(0)) != of(numpy.empty((0, 3)))


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(CannotTravel, match="lock"):
        of(threading.Lock())


def test_too_deep_is_an_error_and_no_crash() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CannotTravel, match="deeply"):
        of(deep)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_values, _values)
def test_any_two_values(one: Any, two: Any) -> None:
    assert of(one) == of(one)
    if repr(one) != repr(two):
        assert of(one) != of(two)
