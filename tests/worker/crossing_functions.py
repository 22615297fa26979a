"""What functions are made of, for workers of another Python: run as a program, all of it goes by value.

`python crossing_functions.py` runs the table with the `run` of the module that LIGHTWORK_TEST_RUN names: Python 3.8,
but for the annotations, which are no text here.
"""

import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import decimal
import functools
import itertools
import os.path
import pathlib
import re
from typing import ClassVar

from tests.payload.table import Kind, main

made = itertools.count(1)
number = next(made)
LIMITS = {"low": 1, "high": 9}
CLOCK = dt.timedelta(minutes=1)
PRICE = decimal.Decimal("1.50")
HERE = pathlib.PurePosixPath("/a/b")
WORD = re.compile(r"\w+")


# --- functions


def positional(a, b=2, /, c=3, *more, d, e=5, **rest):
    return a, b, c, more, d, e, rest


def later(n, stamp=next(made)):
    return n, stamp


def grows(item, seen=[]):
    seen.append(item)
    return list(seen)


grows("before")


def annotated(n: "int | None" = None, *rest: list[int] | None, key: dict[str, int] | None = None) -> list[int] | None:
    def inner(m: int | None = 3) -> int | None:
        total: int | list[int] = 0
        total += m
        return total

    return inner(n), sorted(annotated.__annotations__)


def counting():
    count = 0

    def up():
        nonlocal count
        count += 1
        return count

    def now():
        return count

    def both(times):
        for _ in range(times):
            up()
        return now()

    return both


def factorial_maker():
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    return factorial


def uses_constants(n):
    return LIMITS["high"] * n, CLOCK.seconds, str(PRICE), HERE.name, WORD.findall("a b"), number


def uses_packages(n):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(os.path.join, "a", str(n)).result()


total = 0


def adds_up(n):
    global total
    total += n
    return total


def calls_by_table(name, n):
    return OPERATIONS[name](n)


def double(n):
    return n * 2


def negate(n):
    return -n


OPERATIONS = {"double": double, "negate": negate, "both": lambda n: negate(double(n))}


def squares(n):
    for i in range(n):
        yield i * i


def uses_generator(n):
    return list(squares(n)), sum(m for m in squares(n))


async def asynchronous(n):
    async def numbers():
        for i in range(n):
            yield i

    return [i async for i in numbers() if i % 2]


@contextlib.contextmanager
def around(log):
    log.append("in")
    yield log
    log.append("out")


def uses_context():
    with around([]) as log:
        log.append("body")
    return log


def own_name():
    return __name__, own_name.__name__, own_name.__qualname__, own_name.__doc__


def documented():
    """Said once."""
    return documented.__doc__


def makes_classes(n):
    class Local:
        size = n
        limit = LIMITS

        def get(self):
            return self.size + n

    return Local().get(), Local.limit["low"]


def fails_deep(n):
    return deeper(n)


def deeper(n):
    raise Broken(n, "here")  # the line that fails


class Broken(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


def catches(n):
    try:
        fails_deep(n)
    except Broken as error:
        return error.code


# --- lambdas

several, others = (lambda n: n + 1), (lambda n: n + 2, lambda n, k=number: n + k)
ö = "é"; after_umlauts = (ö, lambda n: "ä" * n)  # fmt: skip  # noqa: E702
nested = lambda a: lambda b: a + b
constant, twin = (lambda: 5), (lambda: 6)
long = (
    lambda n, m=2: n
    * m
    + len(LIMITS)
)  # fmt: skip


# --- decorators


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return 2 * function(*args, **kwargs)

    return wrapper


def times(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return factor * function(*args, **kwargs)

        wrapper.factor = factor
        return wrapper

    return decorate


class Traced:
    """A decorator that is an object."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.calls, self.function(*args)


@times(3)
@doubled
def stacked(n):
    return n + 1


@Traced
def traced(n):
    return n + 1


def uses_decorated(n):
    return stacked(n), stacked.factor, traced(n), traced(n), cached(3), cached.cache_info().maxsize


@functools.lru_cache(maxsize=7)
def cached(n):
    return n if n < 2 else cached(n - 1) + cached(n - 2)


@functools.singledispatch
def shape(value):
    return "thing"


@shape.register(int)
def _(value):
    return "number of " + shape("x")


# --- a class


@dataclasses.dataclass
class Part:
    name: str | None
    size: int = 3
    tags: list = dataclasses.field(default_factory=OPERATIONS.copy)
    count: ClassVar[int] = 4
    scale: dataclasses.InitVar[int] = 2

    def __post_init__(self, scale):
        self.size *= scale
        self.tags = self.count

    def total(self):
        return self.size + self.tags


def path_of(name):
    return pathlib.PurePosixPath(name) / "x"


def kinds():
    """The table."""
    return [
        Kind("every sort of parameter", positional, (1,), (1, 2, 3, (), 4, 5, {"z": 6}), {"d": 4, "z": 6}),
        Kind("default that was computed", later, (1,), (1, 2)),
        Kind("default that has grown", grows, ("now",), ["before", "now"]),
        Kind("annotations", annotated, (4,), (4, ["key", "n", "rest", "return"])),
        Kind("closures that share a variable", counting(), (3,), 3),
        Kind("local function that calls itself", factorial_maker(), (5,), 120),
        Kind("globals of many types", uses_constants, (9,), (81, 60, "1.50", "b", ["a", "b"], 1)),
        Kind("parts of packages", uses_packages, (3,), "a/3"),
        Kind("global statement", adds_up, (3,), 3),
        Kind("table of functions", calls_by_table, ("both", 3), -6),
        Kind("generators", uses_generator, (3,), ([0, 1, 4], 5)),
        Kind("asynchronous generators", asynchronous, (5,), [1, 3]),
        Kind("context manager", uses_context, (), ["in", "body", "out"]),
        Kind("names", own_name, (), (__name__, "own_name", "own_name", None)),
        Kind("doc string", documented, (), "Said once."),
        Kind("class made in the job", makes_classes, (3,), (6, 1)),
        Kind("own error, caught", catches, (7,), 7),
        Kind("one of several lambdas", several, (1,), 2),
        Kind("another of them", others[0], (1,), 3),
        Kind("the third of them", others[1], (1,), 2),
        Kind("lambda behind umlauts", after_umlauts[1], (2,), "ää"),
        Kind("lambda in a lambda", nested(1), (2,), 3),
        Kind("constant lambdas", lambda: (constant(), twin()), (), (5, 6)),
        Kind("lambda of several lines", long, (4,), 10),
        Kind("decorators", uses_decorated, (1,), (12, 3, (1, 2), (2, 2), 2, 7)),
        Kind("dispatch by type", shape, (1,), "number of thing"),
        Kind("dataclass whose annotations are no text", Part("a", 2).total, (), 8),
        Kind("paths", path_of, (pathlib.PurePosixPath("a"),), pathlib.PurePosixPath("a/x")),
    ]


if __name__ == "__main__":
    main(kinds())
