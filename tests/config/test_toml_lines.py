"""The line of each value, held against a text that has everything; and that no valid TOML is too much for it."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings, strategies as st

from lightwork.config.toml_lines import lines

TEXT = '''\
# a comment with [brackets] and = signs
name = "a # b"  # 2

[scheduler]  # 4
listen = """
three
lines"""
nodes = [  # 8
  "a", # 9
  [1,
   2],  # 11

  { x = 1, y = [ 3 ] },  # 13
]
labels.disk."big one" = 'x = [1]'  # 15

[[host]]  # 17
address = "b"
[host.labels]  # 19
a = 1979-05-27T07:32:00Z
[[host]]
address = \'\'\'
c\'\'\'
[other.deep]  # 24
"quoted key" = "\\\\" # 25
flag = true
'''


def test_each_value_has_its_line() -> None:
    assert tomllib.loads(TEXT)["host"][1]["address"] == "c"
    found = lines(TEXT)
    expected = {
        ("name",): 2,
        ("scheduler",): 4,
        ("scheduler", "listen"): 5,
        ("scheduler", "nodes"): 8,
        ("scheduler", "nodes", 0): 9,
        ("scheduler", "nodes", 1): 10,
        ("scheduler", "nodes", 1, 1): 11,
        ("scheduler", "nodes", 2): 13,
        ("scheduler", "nodes", 2, "y", 0): 13,
        ("scheduler", "labels"): 15,
        ("scheduler", "labels", "disk", "big one"): 15,
        ("host",): 17,
        ("host", 0): 17,
        ("host", 0, "address"): 18,
        ("host", 0, "labels"): 19,
        ("host", 0, "labels", "a"): 20,
        ("host", 1): 21,
        ("host", 1, "address"): 22,
        ("other", "deep"): 24,
        ("other", "deep", "quoted key"): 25,
        ("other", "deep", "flag"): 26,
    }
    assert {path: found.get(path) for path in expected} == expected


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f", min_codepoint=32), max_size=8)
_VALUES = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def written(value: Any) -> str:
    """As TOML, lists over several lines."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[ # [\n" + ",\n".join(map(written, value)) + "\n]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)} = {written(one)}" for key, one in value.items()) + "}"
    return str(value)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_TEXTS, st.dictionaries(_TEXTS, _VALUES, max_size=3)), max_size=3))
def test_whatever_is_toml_is_read_and_every_value_found(tables: list[tuple[str, dict[str, Any]]]) -> None:
    text = "".join(
        f"[[{written(name)}]]\n" + "".join(f"{written(key)} = {written(value)}\n" for key, value in table.items())
        for name, table in tables
    )
    data = tomllib.loads(text)
    found = lines(text)
    rows = text.split("\n")

    def walk(value: Any, path: tuple[str | int, ...]) -> None:
        if path:
            assert path in found, (path, text)
            if isinstance(value, str) and not isinstance(path[-1], str):
                assert written(value) in rows[found[path] - 1]
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, part in parts:
            walk(part, (*path, step))

    walk(data, ())
