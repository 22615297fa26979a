"""The language of `where=`: what holds where, what is said of it, and what is no expression at all."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from lightwork.model.errors import UserError, WhereError
from lightwork.model.where import WORDS_MAX, node_facts, parse
from lightwork.model.where_words import LENGTH_MAX

LAB = node_facts(
    name="Lab1",
    address="tcp:192.168.3.4:9701",
    system="Linux 6.1.0",
    architecture="AMD64",
    pythons=[(3, 11), (3, 8)],
    cores=8,
    slots=6,
    memory_bytes=(16 << 30) - 12345678,
    gpus=2,
    weight=-3,
    groups=["render", "day"],
    labels={"disk": "ssd", "rack": "12", "room": "O'Neill", "a.b": "c"},
    resources={"scratch": 100 << 30, "licence": 1},
    relay="west",
)
BARE = node_facts(name="bare")


@pytest.mark.parametrize(
    "text",
    [
        'os == "linux"',
        "os=='LINUX'",
        'arch == "x86_64"',
        'arch == "amd64" and arch like "x86*"',
        'arch in ("x86_64", "arm64",)',
        "python >= 3.11",
        "python == 3.8",
        "python == 3 and python < 3.9",
        "python in (3.10, 3.11)",
        "python != 3.12",
        'name == "Lab1" and name != "lab1"',
        'name like "Lab*" and name like "L?b[0-9]" and not name like "lab*"',
        'name not in ("lab1", "lab2")',
        'name not like "*2"',
        'address like "192.168.3.*" and address == "192.168.3.4"',
        'host == "lab1" and host == "192.168.3.4" and host like "192.*"',
        'group == "render" and groups == "day" and group != "night"',
        'relay == "west" and relay != ""',
        "cores >= 8 and cores <= 8.5 and cores > 7.999",
        "slots == 6 and cpus < 7",
        "memory > 15G and memory < 16 and not memory > 0 or memory < 16G",
        'memory >= "15 GiB"',
        "memory < 17179869184",
        "gpu == 2 and gpus > 1 and resource.gpu == 2",
        "weight == -3 and weight > -3.5 and weight < 0",
        'label.disk == "ssd" and label.disk != "SSD" and label.disk like "s*"',
        "label.rack >= 3 and label.rack == 12 and label.rack in (1, 12)",
        'label.rack == "12"',
        "label.room == \"O'Neill\" and label.room == 'O\\'Neill'",
        'label.a.b == "c"',
        'label.none == "" and label.none != "x" and label.none not like "?*"',
        "not label.none > 0 and not label.none < 0",
        "resource.scratch >= 100GB and resource.none == 0 and resource.cpus == 6 and resource.memory > 15G",
        "not (cores < 8 or gpu == 0) and (cores < 8 or gpu == 2)",
        "cores == 1 and cores == 2 or cores == 8",
        "not cores == 1 or cores == 1 and cores == 2",
        "\n not\tcores==1 ",
    ],
)
def test_it_holds(text: str) -> None:
    where = parse(text)
    assert where.holds(LAB)
    assert where.why(LAB) == ""
    assert not parse(f"not ({text})").holds(LAB)


@pytest.mark.parametrize(
    "text", ['os == "linux"', "python >= 3", 'group == "x"', "memory > 0", "gpu >= 1", 'label.x == "y"', "cores > 0"]
)
def test_a_node_that_tells_nothing_has_nothing(text: str) -> None:
    assert not parse(text).holds(BARE)
    assert parse(f"not {text}").holds(BARE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('os == "windows"', 'os == "windows" does not hold: os is "linux"'),
        ("memory >= 32G", "memory >= 32G does not hold: memory is 16G"),
        ('group == "night"', 'group == "night" does not hold: group is "render" and "day"'),
        ('label.gpu == "a100"', 'label.gpu == "a100" does not hold: it has no label.gpu'),
        ("python >= 3.12", "python >= 3.12 does not hold: python is 3.11 and 3.8"),
        ("gpu >= 4 and cores > 1", "gpu >= 4 does not hold: gpu is 2"),
        ("gpu >= 4 or cores > 9", "gpu >= 4 does not hold: gpu is 2; cores > 9 does not hold: cores is 8"),
        ("not (gpu >= 1 and cores == 3 or slots == 6)", "not slots == 6 does not hold: slots is 6"),
        ("not gpu >= 1", "not gpu >= 1 does not hold: gpu is 2"),
        ("gpu != 2", "gpu != 2 does not hold: gpu is 2"),
        ("weight > 0 and (weight > 0)", "weight > 0 does not hold: weight is -3"),
    ],
)
def test_why_it_does_not_hold(text: str, why: str) -> None:
    assert parse(text).why(LAB) == why


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("  cpus>=2 and gpus==1 ", "slots >= 2 and gpu == 1"),
        ("((cores==1))", "cores == 1"),
        ("(cores==1 and cores==2) and cores==3", "cores == 1 and cores == 2 and cores == 3"),
        ("(cores==1 or cores==2) and cores==3", "(cores == 1 or cores == 2) and cores == 3"),
        ("cores==1 or (cores==2 and cores==3)", "cores == 1 or cores == 2 and cores == 3"),
        ("not(cores==1)", "not cores == 1"),
        ("not (cores==1 and not not cores==2)", "not (cores == 1 and not not cores == 2)"),
        ("memory>=8192MB", "memory >= 8G"),
        ("memory >= 1.5G", "memory >= 1536M"),
        ("memory == 1000", "memory == 1000"),
        ("cores == 2.500", "cores == 2.5"),
        ("cores == 2.0", "cores == 2"),
        ("resource.disk > 1024k and resource.tapes == 1K", "resource.disk > 1M and resource.tapes == 1024"),
        ("python==3.010", "python == 3.10"),
        ("name in ('b','a','b')", 'name in ("b", "a")'),
        (r"""name == 'say "hi" \\ '""", r'name == "say \"hi\" \\ "'),
    ],
)
def test_one_spelling(text: str, canonical: str) -> None:
    assert parse(text).canonical == canonical
    assert parse(canonical).canonical == canonical
    assert parse(text) == parse(canonical)
    assert hash(parse(text)) == hash(parse(canonical))


def test_it_tells_what_it_asks_about() -> None:
    where = parse('not (os == "linux" or groups == "a") and label.x.y != "" and cpus > 1')
    assert where.names == {"os", "group", "label.x.y", "slots"}


# --- mistakes ---


@pytest.mark.parametrize(
    ("text", "at", "what", "hint"),
    [
        ('memory > 8G and oss == "linux"', "oss", "oss is no name", "did you mean os?"),
        ('OS == "linux"', "OS", "OS is no name", "did you mean os?"),
        ("labels.disk == 1", "labels", "labels.disk is no name", "did you mean label.disk?"),
        ("cores == 1 AND cores == 2", "AND", "AND is one too many", "join"),
        ("zzz == 1", "zzz", "zzz is no name", "the names: os, arch"),
        ("label == 1", "label", "label alone is no name", "label.NAME is one"),
        ('os = "linux"', "= ", "= has no meaning", "write =="),
        ("cores == 1 && gpu == 1", "&&", "&& has no meaning", "write and"),
        ("cores == 1 || gpu == 1", "||", "|| has no meaning", "write or"),
        ("!cores == 1", "!", "! has no meaning", "write not"),
        ("cores + 1 == 2", "+", "+ has no meaning", ""),
        ('name == "lab', '"lab', "no end", 'another " closes it'),
        ("os == linux", "linux", "linux is no value", 'os == "linux"'),
        ("cores == many", "many", "many is no value", "cores is a number"),
        ("name == 3", "3", "name is text", 'name == "3"'),
        ('cores == "x"', '"x"', '"x" is not a number', "such as 2"),
        ("memory >= 8X", "8X", "8X is not a size", "such as 8G"),
        ("python >= 3.11.4", "3.11.4", "no version of Python", "3.11"),
        ('python >= "three"', '"three"', "no version of Python", "3.11"),
        ('name < "b"', "<", "has no order", 'name == "lab1"'),
        ('label.x < "b"', '"b"', '"b" is not a number', ""),
        ('cores like "8"', "like", "`like` is for text", "cores >= 2"),
        ("name like 3", "3", "a pattern is missing", 'like "lab*"'),
        ('name in "a"', '"a"', "a ( is missing", "name in ("),
        ('name in ("a" "b")', '"b"', "a , or ) is missing", "name in ("),
        ("name in ()", ")", "a value is missing", ""),
        ("cores in (1", "", "a , or ) is missing", ""),
        ("gpu", "", "gpu alone says nothing", "gpu >= 1"),
        ('label.ssd and os == "x"', "and", "label.ssd alone says nothing", 'label.ssd != ""'),
        ("gpu not 3", "not", "not cannot follow gpu", "gpu == 1"),
        ("name is 3", "is", "is cannot follow name", 'name == "lab1"'),
        ('"render" in group', '"render"', "is no name", 'the name stands first: group == "render"'),
        ("8G <= memory", "8G", "is no name", "the name stands first: memory >= 8G"),
        ("3 cores", "3", "is no name", "the name stands first: os"),
        ("(cores == 1", "", "a ) is missing", "the ( at character 1"),
        ("cores == 1)", ")", "one too many", "no ( for it"),
        ("cores == 1 gpu == 1", "gpu", "one too many", "join comparisons"),
        ("cores == 1 and", "", "a comparison is missing", 'os == "linux"'),
        ("and cores == 1", "and", "a name is missing before and", "the names"),
        ("cores ==", "", "a value is missing", "cores == 2"),
        ("cores == == 1", "== 1", "a value is missing", ""),
        ("", "", "a comparison is missing", ""),
        ("()", ")", "a name is missing before )", ""),
        ("in (3)", "in", "a name is missing before in", ""),
        ("cores == -", "-", "- has no meaning", ""),
        (f"cores == {1 << 62}", "4611", "is not a number", ""),
    ],
)
def test_mistakes_show_their_place(text: str, at: str, what: str, hint: str) -> None:
    with pytest.raises(WhereError) as caught:
        parse(text)
    error = caught.value
    assert isinstance(error, UserError)
    assert error.text == text
    assert error.position == (text.rindex(at) if at else len(text)), str(error)
    assert what in error.args[0].splitlines()[0]
    assert hint in error.hint
    head, shown, caret = error.args[0].splitlines()
    assert head.startswith("where: ")
    assert shown == f"  {text}"
    assert caret == " " * (2 + error.position) + "^"


def test_of_long_text_the_place_is_shown() -> None:
    text = " and ".join(["cores == 1"] * 20) + "\n and corse\t== 1 and " + " and ".join(["cores == 1"] * 20)
    with pytest.raises(WhereError) as caught:
        parse(text)
    _, shown, caret = str(caught.value.args[0]).splitlines()
    assert shown.startswith("  ...")
    assert shown.endswith("...")
    assert len(shown) < 130
    assert shown[caret.index("^") :].startswith("corse == 1")
    assert caught.value.hint == "did you mean cores?"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("(" * 51 + "cores == 1" + ")" * 51, "more than 50 parentheses"),
        ("not " * 51 + "cores == 1", "more than 50 parentheses"),
        ("(" * 100_000, f"more than {LENGTH_MAX:,} characters"),
        (" and ".join(["os==1"] * (WORDS_MAX // 4 + 1)), f"more than {WORDS_MAX:,} words"),
        ("name=='" + '"' * (LENGTH_MAX - 8) + "'", "written out"),
    ],
)
def test_there_is_an_end_to_it(text: str, what: str) -> None:
    with pytest.raises(WhereError, match=what):
        parse(text)


def test_what_is_allowed_can_be_read() -> None:
    deep = "(" * 25 + "not " * 25 + "cores == 1" + ")" * 25
    assert parse(deep).canonical == "not " * 25 + "cores == 1"
    wide = " or ".join(["cores==1"] * (WORDS_MAX // 4))
    assert not parse(wide).holds(LAB)


def test_the_error_travels() -> None:
    with pytest.raises(WhereError) as caught:
        parse("corse == 1")
    for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (again.text, again.position, again.hint) == ("corse == 1", 0, "did you mean cores?")
        assert str(again) == str(caught.value)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("tcp:10.0.0.3:9701", "10.0.0.3"),
        ("10.0.0.3", "10.0.0.3"),
        ("[fe80::1]:9701", "fe80::1"),
        ("Lab1:9701", "lab1"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("", ""),
    ],
)
def test_an_address_is_without_its_port(address: str, place: str) -> None:
    facts: dict[str, Any] = node_facts(name="n", address=address)
    assert facts["address"] == (place,)
    assert facts["host"] == ("n", place)
