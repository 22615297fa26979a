"""Whatever can be written reads back as itself, and holds where a naive reading of it does."""

from __future__ import annotations

import fnmatch
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from lightwork.model.errors import WhereError
from lightwork.model.where import node_facts, parse

Facts = dict[str, Any]
Naive = Callable[[Facts], bool]

WORDS = ["a", "B", "lab1", "lab2", "", 'q"', "b\\s", "it's", "ü"]
GROUPS = ["x", "y", "z"]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

nodes = st.fixed_dictionaries(
    {
        "name": st.sampled_from(WORDS),
        "groups": st.lists(st.sampled_from(GROUPS), unique=True),
        "pythons": st.lists(st.tuples(st.just(3), st.integers(8, 13)), max_size=3),
        "cores": st.integers(0, 5),
        "memory_bytes": st.integers(0, 5).map(lambda count: count << 29),
        "labels": st.dictionaries(st.sampled_from(["l", "m"]), st.sampled_from([*WORDS, "2", "3.5"]), max_size=2),
        "resources": st.dictionaries(st.sampled_from(["tape", "disk"]), st.integers(0, 3)),
    }
)


def quoted(word: str, mark: str) -> str:
    return mark + word.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark


texts = st.tuples(st.sampled_from(WORDS), st.sampled_from("\"'")).map(lambda both: (both[0], quoted(*both)))


@st.composite
def on_text(draw: st.DrawFn) -> tuple[str, Naive]:
    sign = draw(st.sampled_from(["==", "!="]))
    word, written = draw(texts)
    return f"name{sign}{written}", lambda node: COMPARE[sign](node["name"], word)


@st.composite
def on_pattern(draw: st.DrawFn) -> tuple[str, Naive]:
    pattern, no = draw(st.sampled_from(["*", "lab?", "l*", "[ab]", "?", "*1"])), draw(st.booleans())
    text = f"name {'not ' * no}like '{pattern}'"
    return text, lambda node: fnmatch.fnmatchcase(node["name"], pattern) != no


@st.composite
def on_group(draw: st.DrawFn) -> tuple[str, Naive]:
    some, no = draw(st.lists(st.sampled_from(GROUPS), min_size=1)), draw(st.booleans())
    text = f"group {'not ' * no}in ({', '.join(repr(one) for one in some)})"
    return text, lambda node: bool(set(some) & set(node["groups"])) != no


@st.composite
def on_version(draw: st.DrawFn) -> tuple[str, Naive]:
    sign, minor = draw(st.sampled_from(list(COMPARE))), draw(st.integers(8, 13))

    def naive(node: Facts) -> bool:
        if sign == "!=":
            return all(python != (3, minor) for python in node["pythons"])
        return any(COMPARE[sign](python, (3, minor)) for python in node["pythons"])

    return f"python {sign} 3.{minor}", naive


@st.composite
def on_number(draw: st.DrawFn) -> tuple[str, Naive]:
    sign = draw(st.sampled_from(list(COMPARE)))
    kind, count = draw(st.sampled_from(["cores", "memory", "tape"])), draw(st.integers(0, 10))
    if kind == "cores":
        return f"cores {sign} {count / 2}", lambda node: COMPARE[sign](node["cores"], count / 2)
    if kind == "memory":
        unit, factor = draw(st.sampled_from([("M", 1 << 20), ("GiB", 1 << 30), ("", 1)]))
        value = count * (1 << 29) / factor
        written = f"{value:.6f}" if unit else str(int(value))
        return f"memory {sign} {written}{unit}", lambda node: COMPARE[sign](node["memory_bytes"], count << 29)
    return f"resource.tape {sign} {count}", lambda node: COMPARE[sign](node["resources"].get("tape", 0), count)


@st.composite
def on_label(draw: st.DrawFn) -> tuple[str, Naive]:
    if draw(st.booleans()):
        word, written = draw(texts)
        return f"label.l == {written}", lambda node: node["labels"].get("l", "") == word
    sign = draw(st.sampled_from([sign for sign in COMPARE if sign != "!="]))

    def naive(node: Facts) -> bool:
        label = node["labels"].get("m", "")
        return label in ("2", "3.5") and COMPARE[sign](float(label), 3)

    return f"label.m {sign} 3", naive


def joined(inner: st.SearchStrategy[tuple[str, Naive]]) -> st.SearchStrategy[tuple[str, Naive]]:
    def both(joint: str, first: tuple[str, Naive], second: tuple[str, Naive]) -> tuple[str, Naive]:
        (one, holds_one), (two, holds_two) = first, second
        if joint == "and":
            return f"({one}) and ({two})", lambda node: holds_one(node) and holds_two(node)
        return f"({one})or({two})", lambda node: holds_one(node) or holds_two(node)

    def opposite(part: tuple[str, Naive]) -> tuple[str, Naive]:
        text, holds = part
        return f"not({text})", lambda node: not holds(node)

    return st.builds(both, st.sampled_from(["and", "or"]), inner, inner) | inner.map(opposite)


asked = on_text() | on_pattern() | on_group() | on_version() | on_number() | on_label()
expressions = st.recursive(asked, joined, max_leaves=12)


@settings(deadline=None, max_examples=300)
@given(expressions, st.lists(nodes, min_size=1, max_size=4))
def test_it_holds_where_a_naive_reading_does(expression: tuple[str, Naive], some: list[Facts]) -> None:
    text, naive = expression
    where = parse(text)
    again = parse(where.canonical)
    assert again.canonical == where.canonical
    assert again.names == where.names
    for node in some:
        facts = node_facts(**node)
        assert where.holds(facts) == again.holds(facts) == naive(node)
        assert bool(where.why(facts)) != naive(node)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                "cores",
                "name",
                "label.x",
                "==",
                "<",
                "in",
                "like",
                "not",
                "and",
                "or",
                "(",
                ")",
                ",",
                "3",
                "8G",
                '"a"',
                "&",
            ]
        ),
        max_size=14,
    ).map(" ".join)
    | st.text(max_size=30)
)
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    try:
        where = parse(text)
    except WhereError as error:
        assert 0 <= error.position <= len(text)
        assert error.text == text
        assert str(error).splitlines()[2].index("^") >= 2
    else:
        assert parse(where.canonical).canonical == where.canonical


def test_a_node_is_asked_nothing_that_is_not_in_names() -> None:
    class Watched(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            seen.add(key)
            return super().__getitem__(key)

    seen: set[str] = set()
    where = parse('(os == "x" or name == "n") and not group == "g"')
    assert where.holds(Watched(node_facts(name="n")))
    assert seen == {"os", "name", "group"} == where.names
    with pytest.raises(WhereError):
        parse("(")
