"""The page of promises names each of them, and tests that exist."""

from __future__ import annotations

import re

from tests.house.helpers import ROOT
from tests.house.test_features import named_tests

PAGE = ROOT / "docs" / "explanation" / "promises.md"
PROMISES = [f"P{number}" for number in range(1, 15)]


def sections() -> dict[str, str]:
    """What the page says about each promise."""
    parts = re.split(r"^### (P\d+)\. ", PAGE.read_text(encoding="utf-8").partition("\n## What is not")[0], flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_promise_is_there():
    assert list(sections()) == PROMISES


def test_each_names_a_test_that_exists():
    missing = []
    for promise, text in sections().items():
        tests = named_tests(text.partition("*Noticed by*")[2])
        if not tests:
            missing.append(f"{promise}: no test named")
        for name in tests:
            path, _, function = name.partition("::")
            file = ROOT / path
            if not file.is_file() or (function and f"def {function}(" not in file.read_text(encoding="utf-8")):
                missing.append(f"{promise}: {name}")
    assert missing == []
