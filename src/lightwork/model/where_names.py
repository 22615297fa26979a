"""The names that a `where=` may ask about, and what the comparison of one with a value comes to.

A name has one value or several (`group`, `python`, and both spellings of an `os`): a comparison holds if it does for
any of them. `!=`, `not in` and `not like` are the opposites of `==`, `in` and `like`.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lightwork.model.where_words import number_of, quoted, written

Facts = Mapping[str, Any]  # of a node, as `node_facts` makes them
Test = Callable[[Facts], bool]
Values = Callable[[Facts], Sequence[Any]]

TEXTS, NUMBERS, VERSIONS, LABELS = "text", "number", "version", "label"  # kinds of values
ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
OPPOSITES = {"!=": "==", "not in": "in", "not like": "like"}

KINDS = {
    "os": TEXTS,
    "arch": TEXTS,
    "python": VERSIONS,
    "name": TEXTS,
    "address": TEXTS,
    "host": TEXTS,
    "group": TEXTS,
    "relay": TEXTS,
    "cores": NUMBERS,
    "slots": NUMBERS,
    "memory": NUMBERS,
    "gpu": NUMBERS,
    "weight": NUMBERS,
}
PREFIXES = {"label": LABELS, "resource": NUMBERS}
ALIASES = {"gpus": "gpu", "cpus": "slots", "groups": "group"}
EXAMPLES = {
    "os": '"linux"',
    "arch": '"x86_64"',
    "python": "3.11",
    "address": '"192.168.3.4"',
    "memory": "8G",
    "gpu": "1",
    "resource.memory": "8G",
    TEXTS: '"lab1"',
    NUMBERS: "2",
    LABELS: '"ssd"',
}
_SAME = (("x86_64", "amd64"), ("aarch64", "arm64"), ("darwin", "macos"))  # other people's words for the same
_SPELLINGS = {one: same for same in _SAME for one in same}
_FOLDED = ("os", "arch", "address", "host")  # large and small letters are the same in these
_ADDRESS = re.compile(r"(?:tcp:)?(?:\[([^\]]+)\]|([^:/]+))(?::\d+)?")


class Comparison(NamedTuple):
    """A name, a sign (one of ==, in, like, or of ORDERED), values, and whether the opposite is meant."""

    name: str
    sign: str
    values: tuple[Any, ...]
    opposite: bool = False

    @property
    def canonical(self) -> str:
        """As it is written."""
        sign = next(word for word, plain in OPPOSITES.items() if plain == self.sign) if self.opposite else self.sign
        each = [value_written(self.name, value) for value in self.values]
        return f"{self.name} {sign} {'(' + ', '.join(each) + ')' if self.sign == 'in' else each[0]}"


def kind_of(name: str) -> str:
    """Which kind of values a name has; "": there is none such."""
    prefix, dot, rest = name.partition(".")
    return PREFIXES.get(prefix, "") if dot and rest else KINDS.get(name, "")


def is_size(name: str) -> bool:
    """Whether it is counted in bytes."""
    return name.removeprefix("resource.") in ("memory", "disk")


def value_written(name: str, value: Any) -> str:
    """A value as it is written."""
    if isinstance(value, str):
        return quoted(value)
    return ".".join(map(str, value)) if isinstance(value, tuple) else written(value, size=is_size(name))


def node_facts(
    *,
    name: str,
    address: str = "",
    system: str = "",
    architecture: str = "",
    pythons: Iterable[tuple[int, int]] = (),
    cores: int = 0,
    slots: int = 0,
    memory_bytes: int = 0,
    gpus: int = 0,
    weight: int = 0,
    groups: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    resources: Mapping[str, int] | None = None,
    relay: str = "",
) -> dict[str, Any]:
    """What `Where.holds` asks of a node. `address`: with its port or without; `system`: "Linux 6.1" or so."""
    match = _ADDRESS.fullmatch(address)
    place = match[1] or match[2] if match is not None else address
    own = {"cpus": slots, "memory": memory_bytes, "gpu": gpus, **(resources or {})}
    words = system.split()
    return {
        "os": _spellings(words[0] if words else ""),
        "arch": _spellings(architecture),
        "python": tuple(pythons),
        "name": (name,),
        "address": (place.lower(),),
        "host": (name.lower(), place.lower()),
        "group": tuple(groups),
        "relay": (relay,),
        "cores": (cores,),
        "slots": (slots,),
        "memory": (own["memory"],),
        "gpu": (own["gpu"],),
        "weight": (weight,),
        "label": dict(labels or {}),
        "resource": own,
    }


def _spellings(word: str) -> tuple[str, ...]:
    word = word.lower()
    return (word, *(other for other in _SPELLINGS.get(word, ()) if other != word))


def values_of(name: str) -> Values:
    """How a node's values of a name are found among its facts."""
    prefix, _, rest = name.partition(".")
    if prefix == "label" and rest:
        return lambda facts: (facts["label"].get(rest, ""),)
    if prefix == "resource" and rest:
        return lambda facts: (facts["resource"].get(rest, 0),)
    return operator.itemgetter(name)


def told(name: str, facts: Facts) -> str:
    """What a node has there, in words."""
    values = values_of(name)(facts)[: 1 if name in ("os", "arch") else None]
    known = [value for value in values if value != ""]
    if not known:
        return f"it has no {name}"
    if is_size(name):
        return f"{name} is {_about(known[0])}"
    return f"{name} is {' and '.join(value_written(name, value) for value in known)}"


def _about(size: int) -> str:
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + unit
    return str(size)


def test_of(asked: Comparison) -> Test:
    """A function that says whether a comparison holds for a node."""
    holds, find = _any_of(asked), values_of(asked.name)
    if asked.opposite:
        return lambda facts: not any(map(holds, find(facts)))
    return lambda facts: any(map(holds, find(facts)))


def _any_of(asked: Comparison) -> Callable[[Any], bool]:
    """The same for one of a name's values."""
    kind = kind_of(asked.name)
    if kind == TEXTS:
        fold = asked.name in _FOLDED
        return _text_test(asked.sign, [value.lower() if fold else value for value in asked.values])
    if kind == LABELS:
        return _label_test(asked)
    if kind == VERSIONS:
        return _version_test(asked.sign, asked.values)
    return _number_test(asked.sign, asked.values)


def _text_test(sign: str, values: Sequence[str]) -> Callable[[str], bool]:
    if sign == "like":
        match = re.compile(fnmatch.translate(values[0])).match
        return lambda text: match(text) is not None
    return frozenset(values).__contains__


def _number_test(sign: str, values: Sequence[float]) -> Callable[[float], bool]:
    if sign in ORDERED:
        compare, limit = ORDERED[sign], values[0]
        return lambda number: bool(compare(number, limit))
    return frozenset(values).__contains__


def _version_test(sign: str, values: Sequence[tuple[int, ...]]) -> Callable[[tuple[int, ...]], bool]:
    """As precise as what is written: 3.11 is 3."""
    compare = ORDERED.get(sign, operator.eq)
    return lambda version: any(compare(version[: len(value)], value) for value in values)


def _label_test(asked: Comparison) -> Callable[[str], bool]:
    """A label is text; compared with a number, it is one, too, if it reads like one."""
    if asked.sign == "like":
        return _text_test("like", asked.values)
    texts = frozenset(value for value in asked.values if isinstance(value, str))
    numbers = [value for value in asked.values if not isinstance(value, str)]
    if not numbers:
        return texts.__contains__
    compare = _number_test(asked.sign, numbers)

    def test(label: str) -> bool:
        number = number_of(label)
        return label in texts or (number is not None and compare(number))

    return test
