"""What classes are made of, for workers of another Python: run as a program, all of it goes by value.

`python crossing_classes.py` runs the table with the `run` of the module that LIGHTWORK_TEST_RUN names: Python 3.8,
but for the annotations.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import itertools
import re
import string
import typing
from collections import namedtuple
from typing import ClassVar, Generic, NamedTuple, TypeVar

from tests.payload.table import Kind, main

made = itertools.count(3)
LIMITS = {"low": 1, "high": 9}
WORD = re.compile(r"\w+")


def double(n):
    return n * 2


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return 2 * function(*args, **kwargs)

    return wrapper


REGISTRY = {}


def register(kind):
    REGISTRY[kind.__name__] = kind
    kind.registered = True
    kind.describe = describe
    return kind


def describe(self):
    return type(self).__name__.lower()


@register
class Account:
    rate = 2
    table = {name: at for at, name in enumerate(string.ascii_lowercase[:3])}
    pattern = WORD
    _cache: ClassVar[dict] = dict()  # noqa: C408
    history = list()  # noqa: C408

    def __init__(self, start=0, kind=LIMITS["low"], *, extra=next(made)):
        self.__start = start
        self.kind, self.extra = kind, extra

    @property
    def start(self):
        return self.__start

    @start.setter
    def start(self, value):
        self.__start = value * self.rate

    @doubled
    def twice(self, n):
        return n + self.__start + len(__class__.__name__)

    @staticmethod
    def plain(n):
        return double(n)

    @classmethod
    def make(cls, n):
        return cls(n)

    @functools.cached_property
    def slow(self):
        return self.__secret() + 1

    def __secret(self):
        return self.__start + 100

    def other(self):
        return REGISTRY["Account"] is Account, Savings(1).start

    def __eq__(self, other):
        return type(other) is type(self) and other.start == self.start


class Savings(Account):
    def __init__(self, start):
        super().__init__(start)
        self.start = start

    @doubled
    def twice(self, n):
        return super().twice(n) + 1


Account.rate = 5
Account.added = lambda self: self.start + 1000
Account.history.append(Account(1))


def uses_account(n):
    account = Account(n)
    first = account.kind, account.extra, account.twice(1), account.plain(2), account.make(3).start, account.slow
    account.start = 3
    rest = account.start, account.other(), account.describe(), account.registered, account.added(), account.table["c"]
    return first, rest, account.pattern.findall("x y"), len(account.history), Savings(2).twice(3)


class Plugin:
    known = {}

    def __init_subclass__(cls, **options):
        Plugin.known[cls.__name__] = options
        PLUGINS.append(cls)

    def create(self, name):
        return next(kind for kind in PLUGINS if kind.__name__ == name)()


PLUGINS = []


class First(Plugin, order=1):
    pass


class Second(Plugin, order=2):
    pass


def uses_plugins():
    return sorted(Plugin.known.items()), [kind.__name__ for kind in PLUGINS], type(First().create("Second")) is Second


class Meta(type):
    def __new__(mcs, name, bases, namespace, **options):
        kind = super().__new__(mcs, name, bases, namespace)
        kind.tag = tag_of(name)
        return kind

    def __len__(cls):
        return len(cls.tag)


def tag_of(name):
    return "<%s>" % name


class WithMeta(metaclass=Meta):
    pass


def uses_meta():
    return WithMeta.tag, len(WithMeta), type(WithMeta) is Meta


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

    @classmethod
    def parse(cls, text):
        return {"square": Square, "circle": Circle}[text](2)


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2


class Circle(Square):
    def area(self):
        return 3 * super().area()


def uses_shapes():
    try:
        Shape()
    except TypeError:
        return Shape.parse("square").area(), Square.parse("circle").area(), isinstance(Circle(1), Shape)


Item = TypeVar("Item")


class Stack(Generic[Item]):
    def __init__(self):
        self.items: list[Item] = []

    def push(self, item: Item) -> Stack[Item]:
        self.items.append(item)
        return self


class Numbers(Stack[int]):
    pass


def uses_generic():
    return Numbers().push(1).push(2).items, Stack[int]().push(3).items


class Planet(enum.Enum):
    EARTH = (5, 6)
    MARS = (1, 2)
    TERRA = (5, 6)  # noqa: PIE796

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius

    @property
    def gravity(self):
        return self.mass * LIMITS["high"]

    @doubled
    def twice(self):
        return self.mass


class Access(enum.IntFlag):
    READ = enum.auto()
    WRITE = enum.auto()


Fruit = enum.Enum("Fruit", "APPLE PEAR")
Level = enum.Enum("Level", {"LOW": "l", "HIGH": "h"}, type=str)


def uses_enums(planet):
    flags = int(Access.READ | Access.WRITE)
    earth = Planet.TERRA is Planet.EARTH, planet.gravity, planet.radius, planet.twice()
    return earth, flags, Fruit.PEAR.value, Fruit["APPLE"], Level.HIGH == "h"


Point = namedtuple("Point", "x y", defaults=(7,))


class Labelled(namedtuple("Labelled", "a b")):
    def both(self):
        return self.a + self.b


class Row(NamedTuple):
    a: int
    b: str = "b"

    def both(self):
        return self.b * self.a


class Options(typing.TypedDict, total=False):
    name: str


def uses_tuples():
    return Point(1), Labelled(1, 2).both(), Row(2).both(), Options(name="x"), collections.OrderedDict(a=Row(1))


def fresh():
    return [LIMITS["low"]]


@dataclasses.dataclass(order=True)
class Part:
    name: str | None
    size: int = dataclasses.field(default=3, compare=False)
    tags: list = dataclasses.field(default_factory=fresh)
    count: ClassVar[int] = 4
    scale: dataclasses.InitVar[int] = 2
    limit: float = LIMITS["high"]

    def __post_init__(self, scale):
        self.size *= scale

    def total(self):
        return self.size + self.count


@dataclasses.dataclass(unsafe_hash=True)
class Exact(Part):
    code: int = 0


def uses_dataclasses(part):
    fields = len(dataclasses.fields(Exact))
    made = Part("a")
    return made == Part("a", 99), made.total(), made.tags, fields, dataclasses.replace(part, size=1, scale=4)


def uses_frozen():
    @dataclasses.dataclass(frozen=True)
    class Fixed:
        n: int

    try:
        Fixed(1).n = 2
    except dataclasses.FrozenInstanceError:
        return hash(Fixed(3)) == hash(Fixed(3))


@functools.total_ordering
class Version:
    __slots__ = ("parts",)

    def __init__(self, text):
        self.parts = tuple(map(int, text.split(".")))

    def __eq__(self, other):
        return self.parts == other.parts

    def __lt__(self, other):
        return self.parts < other.parts

    def __getstate__(self):
        return self.parts

    def __setstate__(self, parts):
        self.parts = checked(parts)


def checked(parts):
    assert all(isinstance(part, int) for part in parts)
    return parts


def newest(versions):
    return max(versions)


def local_class(step):
    class Base:
        def up(self):
            return step

    class Local(Base):
        size = step * 2

        def up(self):
            return super().up() + self.size

        def same(self):
            return Local

    return Local


def local_plus(step):
    kind = local_class(step)

    def use(n):
        return kind().up() + n, kind().same() is kind

    return use


class Adder:
    def __init__(self, step):
        self.step = step
        self.helper = double
        self.partial = functools.partial(pow, 2)

    def __call__(self, n):
        return self.helper(n) + self.step + self.partial(3)

    add = functools.partialmethod(__call__)

    class Inner:
        factor = 3

        def by(self, n):
            return self.factor * n

        class Innermost:
            def answer(self):
                return 42


def made_by_type():
    return Dynamic().get(), Dynamic.size, Dynamic.__name__


Dynamic = type("Dynamic", (Adder.Inner,), {"get": lambda self: self.by(4), "size": 8})


class Singleton:
    instance = None

    def __init__(self):
        self.n = 1


Singleton.instance = Singleton()
Singleton.instance.me = Singleton.instance


def uses_singleton():
    return Singleton.instance.n, Singleton.instance.me is Singleton.instance


def is_exact(value, kind):
    return type(value) is kind


def same(value):
    return value


@dataclasses.dataclass
class Parent:
    """Each says the other's name in its annotations."""

    name: str
    child: Young | None = None

    def grandchild(self) -> Young:
        return self.child.child.child


@dataclasses.dataclass
class Young(Parent):
    parent: Parent | None = None


def uses_family(n):
    family = Parent("a", Young("b", Young("c", Young("d" * n))))
    return family.grandchild()


def same_kind(values):
    return [type(value) for value in values]


def kinds():
    """The table."""
    account = ((1, 3, 36, 4, 3, 111), (15, (True, 5), "account", True, 1015, 2), ["x", "y"], 1, 82)
    plugins = [("First", {"order": 1}), ("Second", {"order": 2})]
    part = Part("p", 2, scale=2)
    mixed = [Planet.MARS, Access.READ, Row(1), Point(2), part]
    tuples = (Point(1, 7), 3, "bb", {"name": "x"}, {"a": Row(1, "b")})
    return [
        Kind("class with everything", uses_account, (10,), account),
        Kind("method with a decorator", Account(1).twice, (1,), 18),
        Kind("bound class method", Savings.make, (3,), Savings(3)),
        Kind("plug-ins", uses_plugins, (), (plugins, ["First", "Second"], True)),
        Kind("metaclass", uses_meta, (), ("<WithMeta>", 10, True)),
        Kind("abstract classes that know one another", uses_shapes, (), (4, 12, True)),
        Kind("generic classes", uses_generic, (), ([1, 2], [3])),
        Kind("enums", uses_enums, (Planet.EARTH,), ((True, 45, 6, 10), 3, 2, Fruit.APPLE, True)),
        Kind("tuples with names", uses_tuples, (), tuples),
        Kind("dataclasses", uses_dataclasses, (Part("p", 2),), (True, 10, [1], 5, part)),
        Kind("frozen dataclass of a job", uses_frozen, (), True),
        Kind("dataclasses that name one another", uses_family, (3,), Young("ddd")),
        Kind("ordered class with slots", newest, ([Version("3.8"), Version("3.12")],), Version("3.12")),
        Kind("local class", local_plus(2), (1,), (7, True)),
        Kind("local class as the computation", local_class(2)().up, (), 6),
        Kind("callable object", Adder(1), (2,), 13),
        Kind("partial method", Adder(1).add, (2,), 13),
        Kind("class in a class in a class", Adder.Inner.Innermost().answer, (), 42),
        Kind("class made by type()", made_by_type, (), (12, 8, "Dynamic")),
        Kind("object in its own class", uses_singleton, (), (1, True)),
        Kind("arguments of inner classes", is_exact, (Adder.Inner(), Adder.Inner), True),
        Kind("arguments and results", same, (mixed,), mixed),
        Kind("classes as results", same_kind, (mixed,), [Planet, Access, Row, Point, Part]),
    ]


if __name__ == "__main__":
    main(kinds())
