"""docs/reference/features.md holds every promise once, with an honest status."""

from __future__ import annotations

import re
from collections import Counter

from tests.house.helpers import ROOT

PAGE = ROOT / "docs" / "reference" / "features.md"
FAMILIES = {
    "D": 23, "E": 25, "Y": 20, "F-C": 9, "F-J": 21, "F-S": 8, "F-M": 21, "F-D": 10, "F-N": 8, "F-I": 11, "F-K": 7,
    "F-T": 15, "F-X": 7, "R": 30, "U": 16,
}  # fmt: skip
PROGRAMS = {
    "dispynode": 36,
    "dispyscheduler": 30,
    "dispynetrelay": 13,
    "dispy_cmd": 12,
    "dispyadmin": 35,
    "DispyHTTPServer": 34,
}
STATUS = re.compile(r"works|replaced by|dropped because|in work|planned")
KEY = re.compile(r"(?:%s)[1-9]\d*|`(?:%s) \S[^`]*`" % ("|".join(FAMILIES), "|".join(PROGRAMS)))
HEADS = {"ID", "option", "status", "---"}


def rows() -> list[tuple[str, str, str, str]]:
    """(key, promise, status, where) of each row that is a promise."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 2 or cells[0] in HEADS:
                continue
            assert len(cells) == 4, line
            found.append((cells[0], cells[1], cells[2], cells[3]))
    return found


def test_every_identifier_stands_there_once():
    keys = [key for key, *_ in rows()]
    assert [key for key, times in Counter(keys).items() if times > 1] == []
    assert [key for key in keys if not KEY.fullmatch(key)] == []
    expected = {f"{family}{number}" for family, last in FAMILIES.items() for number in range(1, last + 1)}
    assert {key for key in keys if not key.startswith("`")} == expected


def test_every_option_stands_there():
    programs = Counter(key.strip("`").split()[0] for key, *_ in rows() if key.startswith("`"))
    assert programs == PROGRAMS


def test_each_status_is_one_of_those_allowed():
    assert [(key, status) for key, _, status, _ in rows() if not STATUS.fullmatch(status)] == []


def test_what_is_replaced_or_dropped_says_by_what_or_why():
    silent = [key for key, _, status, where in rows() if status in {"replaced by", "dropped because"} and not where]
    assert silent == []


def named_tests(where: str) -> list[str]:
    """The test files that a cell names; `tests/a/test_b.py::test_c` names a function in it as well."""
    return re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", where)


def test_what_works_names_a_test_that_exists():
    missing = []
    for key, _, status, where in rows():
        tests = named_tests(where)
        if status == "works" and not tests:
            missing.append(f"{key}: no test named")
        for name in tests if status == "works" else []:
            path, _, function = name.partition("::")
            file = ROOT / path
            if not file.is_file() or (function and f"def {function}(" not in file.read_text(encoding="utf-8")):
                missing.append(f"{key}: {name}")
    assert missing == []
    assert named_tests("see `tests/a/test_b.py::test_c` and `tests/d.py`") == [
        "tests/a/test_b.py::test_c",
        "tests/d.py",
    ]
