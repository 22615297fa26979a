"""Corners of functions and classes, for workers of another Python: run as a program, all of it goes by value.

`python crossing_corners.py` runs the table with the `run` of the module that LIGHTWORK_TEST_RUN names. Python 3.8.
"""

import abc
import collections
import dataclasses
import enum
import functools
import os
import types
import typing
from collections import namedtuple

from tests.payload.table import Kind, main

LIMIT = 3

# --- classes that are registered as they are made

KNOWN = {}
ORDER = []


class Registering(type):
    def __new__(mcs, name, bases, namespace):
        kind = super().__new__(mcs, name, bases, namespace)
        KNOWN[name] = kind
        ORDER.append(name)
        return kind


class First(metaclass=Registering):
    pass


class Second(First):
    pass


def uses_known():
    return sorted(KNOWN), ORDER, KNOWN["Second"] is Second


HOOKED = {}


class Hook:
    def __init_subclass__(cls, **options):
        HOOKED[cls.__name__] = entry(cls)


def entry(kind):
    return [kind, LIMIT]


class Hooked(Hook):
    above = LIMIT + 1


def uses_hooked():
    return HOOKED["Hooked"][0] is Hooked, HOOKED["Hooked"][1], Hooked.above


class Falsy(type):
    def __len__(cls):
        return 0


class Nothing(metaclass=Falsy):
    def get(self):
        return 1


def uses_nothing():
    return Nothing().get(), bool(Nothing), type(Nothing) is Falsy


# --- functions

alike = [lambda n: n + 1 for _ in range(2)]
with_lambda = lambda n, f=lambda m: m + 1: f(n)

if LIMIT == 3:

    def either():
        return "this"

    class Either:
        def get(self):
            return "this"

else:

    def either():
        return "that"

    class Either:
        def get(self):
            return "that"


TABLE = {}


def by_table(n):
    return n if n < 1 else TABLE["by_table"](n - 1)


TABLE["by_table"] = by_table


def gathering():
    found = []

    def add(value):
        found.append(value)
        return len(found)

    def both():
        add(1)
        return add(2), found

    return both


def walrus(n):
    if (more := n + 1) > 2:
        return more


def default_function(function=either, *, other=lambda: LIMIT):
    return function(), other()


def attributes_of_modules():
    return types.SimpleNamespace(a=1).a, os.sep


def new_global():
    global made_here
    made_here = 5
    return made_here + LIMIT


UserId = typing.NewType("UserId", int)


def new_type(n):
    return UserId(n) + 1


# --- classes


class Private:
    def __init__(self):
        self.__value = 1

    def get(self):
        class Inner:
            def __init__(own):
                own.__other = 5

            def get(own):
                return own.__other

        def read():
            return self.__value

        return read() + Inner().get()

    @staticmethod
    def own_class():
        return __class__.__name__


class Slotted:
    __slots__ = ["__private", "public"]

    def __init__(self):
        self.public, self.__private = 1, 2

    def total(self):
        return self.public + self.__private


def checked(value):
    return value + LIMIT


class Field:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, obj, kind=None):
        return self.name if obj is None else obj.__dict__[self.name]

    def __set__(self, obj, value):
        obj.__dict__[self.name] = checked(value)


class Sized:
    size = Field()

    def __init__(self, size):
        self.size = size


def uses_field(n):
    return Sized(n).size, Sized.size


class Missing(dict):
    def __missing__(self, key):
        return LIMIT


MISSING = Missing(a=1)


def uses_missing():
    return MISSING["z"], MISSING["a"], type(MISSING) is Missing


class Reduced(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code

    def __reduce__(self):
        return type(self), (self.args[0], self.code)


class Odd(int):
    def __add__(self, other):
        return Odd(int(self) * 10 + other)


class Color(str, enum.Enum):  # noqa: UP042
    RED = "red"

    def loud(self):
        return self.value.upper()


class Various:
    def __init__(self):
        self._size = 1

    size = property(lambda self: self._size + LIMIT, lambda self, value: setattr(self, "_size", value))
    power = functools.partial(pow, 3)

    @functools.lru_cache(None)
    def cached(self, n):
        return n + LIMIT

    @functools.singledispatchmethod
    def dispatched(self, value):
        return "anything"

    @dispatched.register
    def _(self, value: int):
        return "number"


def uses_various():
    various = Various()
    various.size = 5
    return various.size, various.power(2), various.cached(2), various.dispatched(1), various.dispatched("s")


class Outer:
    @dataclasses.dataclass
    class Settings:
        n: int = 3

    Letters = enum.Enum("Letters", "A B")
    settings = Settings()

    def get(self):
        return self.settings.n, self.Letters.B.value


Pair = namedtuple("Pair", "a b")


class Abstract(abc.ABC):
    @property
    @abc.abstractmethod
    def size(self): ...


class Concrete(Abstract):
    @property
    def size(self):
        return 7


@typing.runtime_checkable
class HasSize(typing.Protocol):
    def size(self): ...


def uses_protocol(value):
    return isinstance(value, HasSize), isinstance(1, HasSize), value.size


class ByLambda:
    __call__ = lambda self, n: n + LIMIT


@dataclasses.dataclass
class Node:
    value: int
    below: "list[Node]" = dataclasses.field(default_factory=list)

    def total(self):
        return self.value + sum(node.total() for node in self.below)


ROOT = Node(1, [Node(2), Node(3, [Node(4)])])


def annotated_with_classes(pair: Pair, node: Node = ROOT) -> Outer:
    return pair.a + node.total()


# --- local classes


def local(step):
    def helper(n):
        return n + step

    class Local:
        class Inner:
            def get(self):
                return helper(step)

        base = helper(1)

        def get(self):
            return self.Inner().get(), self.base

    return Local


def know_each_other(step):
    class One:
        def other(self):
            return Two

    class Two(One):
        sums = [step + i for i in range(2)]

        def both(self):
            return One, step

    return Two


def uses_local(kind):
    return kind.sums, kind().both()[1], kind().other() is kind


def counting():
    count = 0

    class Counter:
        def up(self):
            nonlocal count
            count += 1
            return count

    counter = Counter()

    def both():
        return counter.up(), counter.up(), count

    return both


def decorated_inside(value):
    def mark(kind):
        kind.tag = value
        return kind

    @mark
    class Marked:
        @functools.lru_cache(maxsize=value)
        def get(self):
            return value

        @functools.wraps(mark)
        def wrapped(self):
            return value + 1

    return Marked


def uses_marked(kind):
    return kind.tag, kind().get(), kind().wrapped()


def kinds():
    """The table."""
    return [
        Kind("registered by a metaclass", uses_known, (), (["First", "Second"], ["First", "Second"], True)),
        Kind("registered by a hook", uses_hooked, (), (True, 3, 4)),
        Kind("class that is false", uses_nothing, (), (1, False, True)),
        Kind("lambdas that are alike", alike[1], (1,), 2),
        Kind("lambda as default of a lambda", with_lambda, (1,), 2),
        Kind("one of two definitions", either, (), "this"),
        Kind("one of two classes", Either().get, (), "this"),
        Kind("function by way of a table", by_table, (3,), 0),
        Kind("closures that gather", gathering(), (), (2, [1, 2])),
        Kind("walrus", walrus, (5,), 6),
        Kind("functions as defaults", default_function, (), ("this", 3)),
        Kind("attributes of modules", attributes_of_modules, (), (1, "/")),
        Kind("global that the job makes", new_global, (), 8),
        Kind("new type", new_type, (3,), 4),
        Kind("private names", Private().get, (), 6),
        Kind("__class__", Private.own_class, (), "Private"),
        Kind("private slots", Slotted().total, (), 3),
        Kind("descriptors", uses_field, (1,), (4, "size")),
        Kind("subclass of dict", uses_missing, (), (3, 1, True)),
        Kind("errors that reduce", lambda error: (error.args, error.code), (Reduced(1, 2),), ((1,), 2)),
        Kind("subclass of int", lambda n: n + 1, (Odd(2),), Odd(21)),
        Kind("method of an enum", Color.RED.loud, (), "RED"),
        Kind("properties of lambdas, caches, dispatch", uses_various, (), (8, 9, 5, "number", "anything")),
        Kind("classes inside", Outer().get, (), (3, 2)),
        Kind("class inside as the computation", Outer.Settings, (4,), Outer.Settings(4)),
        Kind("abstract property", lambda value: value.size, (Concrete(),), 7),
        Kind("protocol", uses_protocol, (Concrete(),), (True, False, 7)),
        Kind("callable by a lambda", ByLambda(), (1,), 4),
        Kind("partial of a lambda", functools.partial(lambda a, b: a + b + LIMIT, 1), (2,), 6),
        Kind("tree of objects", ROOT.total, (), 10),
        Kind("tree as an argument", Node.total, (ROOT,), 10),
        Kind("classes in annotations", annotated_with_classes, (Pair(1, 2),), 11),
        Kind("class method of a builtin", collections.OrderedDict.fromkeys, ("ab",), {"a": None, "b": None}),
        Kind("local class with a class inside", local(2)().get, (), (4, 3)),
        Kind(
            "local classes that know each other",
            lambda kind=know_each_other(3): uses_local(kind),
            (),
            ([3, 4], 3, True),
        ),
        Kind("closure over a class", counting(), (), (1, 2, 2)),
        Kind("local class with local decorators", lambda kind=decorated_inside(4): uses_marked(kind), (), (4, 4, 5)),
    ]


if __name__ == "__main__":
    main(kinds())
