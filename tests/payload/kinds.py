"""Every kind of callable and of argument, with what its job returns: the table that is run here and on real clusters.

As a module, its functions travel by name; run as a program, by value: `python kinds.py` runs the whole table with the
`run` of the module that LIGHTWORK_TEST_RUN names, and says which kinds failed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import importlib
import logging
import math
import operator
import re
import textwrap
from collections import namedtuple
from typing import Any, NamedTuple

from tests.payload.table import Kind, failures as failures, main

OFFSET = 100
WORDS = ["many", "hands"]
PATTERN = re.compile(r"\d+")
LOG = logging.getLogger("kinds")


# --- functions


def plain(n, m=1, *, k=0):
    return n * m + k


def helper(n):
    return n + OFFSET


def uses_globals(n):
    return helper(n), WORDS, PATTERN.findall("a1b22")


def uses_logger():
    LOG.debug("unheard")
    return LOG.name


def recursive(n):
    return 1 if n < 2 else n * recursive(n - 1)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def make_closure(k):
    def closure(n):
        return n + k

    return closure


def make_counter():
    count = 0

    def counter(times):
        nonlocal count
        for _ in range(times):
            count += 1
        return count

    return counter


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return 2 * function(*args, **kwargs)

    return wrapper


@doubled
def decorated(n):
    """Doubled."""
    return n + 1


@functools.lru_cache(maxsize=64)
def cached(n):
    return n if n < 2 else cached(n - 1) + cached(n - 2)


@functools.singledispatch
def dispatched(value):
    return "anything"


@dispatched.register
def _(value: int):
    return "a number"


async def coroutine(n):
    await asyncio.sleep(0)
    return n + 1


def imports_inside(n):
    import statistics

    return statistics.mean([n, n + 2])


def annotated(n: Point | None = None, *rest: Color | None) -> list[Point]:
    return [n] if n is not None else []


def numbers_setup(n=0):
    return n


# --- classes


class Counter:
    total = 5

    def __init__(self, start=0):
        self.start = start

    def method(self, n):
        return self.start + n + self.total

    @classmethod
    def of_class(cls, n):
        return cls.__name__, cls.total + n

    @staticmethod
    def static(n):
        return helper(n)

    def __call__(self, n):
        return self.method(n) * 2

    def __eq__(self, other):
        return type(other) is type(self) and other.start == self.start

    class Nested:
        def answer(self):
            return 42


class Child(Counter):
    def method(self, n):
        return super().method(n) + 1


class AsyncCallable:
    async def __call__(self, n):
        return n - 1


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0

    def moved(self, by: int) -> Point:
        return dataclasses.replace(self, x=self.x + by)


class Color(enum.Enum):
    RED = 1
    GREEN = 2


Pair = namedtuple("Pair", "a b")


class Typed(NamedTuple):
    a: int


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is type(self) and other.value == self.value


@dataclasses.dataclass(slots=True, frozen=True)
class SlottedPoint:
    x: int
    _y: int = 0

    def sum(self):
        return self.x + self._y


class OwnError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


def move(point, by=1):
    return point.moved(by)


def is_point(value):
    return isinstance(value, Point)


def paint(color):
    return color is Color.RED, Color.GREEN


def swap(pair):
    return Pair(pair.b, pair.a)


def same(value):
    return value


def apply(function, *args):
    return function(*args)


def call_with_bytes(data):
    return type(data).__name__, len(data)


# --- made in unusual ways


def defined(source: str, name: str) -> Any:
    """A function as a notebook or `exec` makes it: in a namespace that no module has."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(source), namespace)
    return namespace[name]


exec_defined = defined(
    """
    BASE = 3
    def power(n):
        return BASE ** n
    def typed_in(n):
        return power(n) + 1
    """,
    "typed_in",
)


def _local() -> Any:
    return importlib.import_module("tests.payload.local_code.shapes")


def uses_local_inside(side):
    from tests.payload.local_code import FACTOR, shapes

    return shapes.Square(side).area(), FACTOR


def kinds() -> list[Kind]:
    """The table."""
    local = _local()
    return [
        Kind("plain function", plain, (3,), 3),
        Kind("keyword arguments", plain, (3,), 17, {"m": 5, "k": 2}),
        Kind("lambda", lambda n: n + OFFSET, (1,), 101),
        Kind("closure", make_closure(4), (1,), 5),
        Kind("closure that counts", make_counter(), (3,), 3),
        Kind("function with globals and helpers", uses_globals, (1,), (101, ["many", "hands"], ["1", "22"])),
        Kind("function with a logger", uses_logger, (), "kinds"),
        Kind("recursive function", recursive, (5,), 120),
        Kind("functions that call each other", even, (4,), True),
        Kind("decorated function", decorated, (4,), 10),
        Kind("lru_cache", cached, (20,), 6765),
        Kind("singledispatch", dispatched, (1,), "a number"),
        Kind("function from exec", exec_defined, (2,), 10),
        Kind("function with annotations", annotated, (), []),
        Kind("function that imports inside", imports_inside, (1,), 2),
        Kind("bound method", Counter(10).method, (1,), 16),
        Kind("bound method with super()", Child(10).method, (1,), 17),
        Kind("class method", Counter.of_class, (1,), ("Counter", 6)),
        Kind("inherited class method", Child.of_class, (1,), ("Child", 6)),
        Kind("static method", Counter.static, (1,), 101),
        Kind("partial", functools.partial(plain, 2, m=3), (), 6),
        Kind("partial of a method", functools.partial(Counter(1).method, 2), (), 8),
        Kind("callable object", Counter(10), (1,), 32),
        Kind("class", Counter, (8,), Counter(8)),
        Kind("nested class", Counter.Nested, (), None),
        Kind("dataclass", Point, (1,), Point(1, 0)),
        Kind("builtin type", int, ("12",), 12),
        Kind("builtin function", len, ([1, 2],), 2),
        Kind("builtin of a C module", math.sqrt, (16,), 4.0),
        Kind("bound builtin method", "many hands".split, (), ["many", "hands"]),
        Kind("unbound builtin method", str.upper, ("a",), "A"),
        Kind("operator", operator.itemgetter(1), ([1, 2],), 2),
        Kind("coroutine function", coroutine, (1,), 2),
        Kind("async callable object", AsyncCallable(), (1,), 0),
        Kind("partial of a coroutine function", functools.partial(coroutine, 5), (), 6),
        Kind("function of the standard library", textwrap.dedent, ("  a",), "a"),
        Kind("function of an installed module", importlib.import_module("cloudpickle").loads, (b"N.",), None),
        Kind("function of a local module", local.plugin, ("found_late",), "found"),
        Kind("class of a local package", local.Square, (2,), local.Square(2)),
        Kind("method of an object of a local module", local.Square(2).area, (), 28),
        Kind("function that imports a local module", uses_local_inside, (2,), (28, 7)),
        *argument_kinds(local),
    ]


def argument_kinds(local: Any) -> list[Kind]:
    """What arguments and results can be."""
    return [
        Kind("dataclass argument", move, (Point(1, 2),), Point(2, 2)),
        Kind("argument of the computation's own class", is_point, (Point(1),), True),
        Kind("class of which the function knows nothing", same, (Slotted(3),), Slotted(3)),
        Kind("dataclass with slots", same, (SlottedPoint(1, 2),), SlottedPoint(1, 2)),
        Kind("method of a dataclass with slots", SlottedPoint(1, 2).sum, (), 3),
        Kind("error of one's own", same, (OwnError(3, "three"),)),
        Kind("enum argument", paint, (Color.RED,), (True, Color.GREEN)),
        Kind("namedtuple argument", swap, (Pair(1, 2),), Pair(2, 1)),
        Kind("typed namedtuple", same, (Typed(1),), Typed(1)),
        Kind("class as argument", apply, (Point, 3), Point(3)),
        Kind("function as argument", apply, (helper, 1), 101),
        Kind("lambda as argument", apply, (lambda n: n * OFFSET, 2), 200),
        Kind("bound method as argument", apply, (Counter(1).method, 1), 7),
        Kind("builtin as argument", apply, (max, 1, 2), 2),
        Kind("module as argument", apply, (operator.attrgetter("pi"), math), math.pi),
        Kind(
            "object of a local module the computation does not know",
            operator.methodcaller("area"),
            (local.Square(3),),
            63,
        ),
        Kind("function of a local module as argument", apply, (local.plugin, "found_late"), "found"),
        Kind("nested containers", same, ({"a": [(1, {2}), None]},), {"a": [(1, {2}), None]}),
        Kind("number 0x93", same, (0x93,), 0x93),
        Kind("text that names a class", same, ("__main__.Point \x93",), "__main__.Point \x93"),
        Kind("large bytes", call_with_bytes, (b"x" * 300_000,), ("bytes", 300_000)),
        Kind("large bytearray", call_with_bytes, (bytearray(300_000),), ("bytearray", 300_000)),
        Kind("no value", same, (None,), None),
        Kind("an error as value", same, (ValueError("a", 1),), None),
    ]


if __name__ == "__main__":
    main(kinds())
