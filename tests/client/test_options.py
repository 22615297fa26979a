"""The small parsers behind the keywords."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.client import options
from lightwork.model.errors import UserError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (None, 0),
        (1000, 1000),
        ("1000", 1000),
        ("1K", 1024),
        ("500M", 500 << 20),
        ("8G", 8 << 30),
        ("8 GiB", 8 << 30),
        ("8gb", 8 << 30),
        ("1.5T", 3 << 39),
        (" 2k ", 2048),
    ],
)
def test_sizes(text, count):
    assert options.bytes_of(text, "memory") == count


@pytest.mark.parametrize("text", ["", "G", "-1", "1X", "8 G B x", 0, -5, 1.5, "nan", "inf", [], "1e99"])
def test_no_sizes(text):
    with pytest.raises(UserError, match="memory"):
        options.bytes_of(text, "memory")


def test_timeouts():
    assert options.timeout_ns(None) == 0
    assert options.timeout_ns(1.5) == 1_500_000_000
    assert options.timeout_ns(1e-12) == 1
    wrong: Any
    for wrong in (0, -1, float("nan"), float("inf"), "1", True):
        with pytest.raises(UserError):
            options.timeout_ns(wrong)


def test_stdin(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff")
    assert options.stdin_of(None) == b""
    assert options.stdin_of("ü") == "ü".encode()
    assert options.stdin_of(bytearray(b"x")) == b"x"
    assert options.stdin_of(tmp_path / "file") == b"\xff"
    for wrong in (3, tmp_path / "none"):
        with pytest.raises(UserError):
            options.stdin_of(wrong)


def test_environments():
    assert options.environment_of({"B": "2", "A": ""}) == (("A", ""), ("B", "2"))
    wrong: Any
    for wrong in ({"": "x"}, {"A=B": "x"}, {"A": 1}, {"A": "\0"}):
        with pytest.raises(UserError):
            options.environment_of(wrong)


def test_depends():
    assert options.depends_of(None) == ()
    assert options.depends_of("file") == ("file",)
    assert options.depends_of(["a", len]) == ("a", len)
