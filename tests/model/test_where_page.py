"""docs/where.md has every name, sign and kind of value of the language, and what it shows is so."""

from __future__ import annotations

import re

import pytest

from lightwork.model import resources
from lightwork.model.errors import WhereError
from lightwork.model.where import node_facts, parse
from lightwork.model.where_names import ALIASES, KINDS, OPPOSITES, ORDERED, PREFIXES
from tests.house.helpers import ROOT

PAGE = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")

# A node on which every example of the page holds.
NODE = node_facts(
    name="lab1",
    address="192.168.3.5:9701",
    system="Linux 6",
    architecture="x86_64",
    pythons=[(3, 12), (3, 11)],
    cores=8,
    slots=7,
    memory_bytes=16 << 30,
    gpus=1,
    weight=1,
    groups=["render"],
    labels={"disk": "ssd", "room": "O'Neill", "rack": "3"},
    resources={"scratch": 100 << 30},
)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = PAGE.split(f"\n## {heading}\n", 1)[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_name_is_told_and_exists() -> None:
    rows = table("Names")
    assert {code(row[0])[0] for row in rows} == {*KINDS, *(f"{prefix}.NAME" for prefix in PREFIXES)}
    also = {code(row[1].split("also")[1])[0]: code(row[0])[0] for row in rows if "also" in row[1]}
    assert also == ALIASES
    for row in rows:
        (example,) = code(row[-1])
        name = code(row[0])[0].removesuffix("NAME")
        assert any(asked.startswith(name) for asked in parse(example).names), example


def test_every_sign_is_told_and_exists() -> None:
    told = {sign for row in table("Comparisons") for sign in code(row[0])}
    known = {"==", "in", "like", *ORDERED, *OPPOSITES}
    assert {sign.removesuffix(" (..)") for sign in told} == known


@pytest.mark.parametrize("heading", ["Names", "Comparisons", "Values"])
def test_the_examples_hold(heading: str) -> None:
    examples = [example for row in table(heading) for example in code(row[-1])]
    assert len(examples) >= 4
    for example in examples:
        if example == 'name != "lab1"':
            assert not parse(example).holds(NODE)
        else:
            assert parse(example).why(NODE) == ""


def test_what_the_text_says_holds() -> None:
    for text in re.findall(r"where='([^']+)'", PAGE) + re.findall(r"--where '([^']+)'", PAGE):
        parse(text)
    assert parse("label.rack >= 3").holds(NODE)
    assert parse('os == "LINUX"').holds(NODE)
    assert not parse('name == "LAB1"').holds(NODE)


def test_the_mistake_looks_like_that() -> None:
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    with pytest.raises(WhereError) as caught:
        parse(shown[1].splitlines()[1].strip())
    assert str(caught.value) == shown[1].rstrip("\n")


def test_resources_are_told() -> None:
    rows = table("What jobs use up: `resources=`")
    assert [code(row[0]) for row in rows] == [["cpus"], ["memory", "disk"], ["gpu"], []]
    (call,) = re.findall(r"resources=(\{[^}]+\})", PAGE)
    told = dict(re.findall(r'"(\w+)": "?(\w+)', call))
    assert resources.needed(told) == (("cpus", 2000), ("gpu", 1), ("licence", 1), ("memory", 8 << 30))
