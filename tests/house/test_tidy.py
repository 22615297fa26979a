"""The style itself is a test: sizes, spelling of the rooms, and what may never be in a tracked file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.helpers import ROOT, SOURCE, sources, tracked_files

FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 60

# Files or "file:function" that may be longer, each with its reason. Keep it short.
ALLOWED: dict[str, str] = {}


def too_long(path: Path, text: str) -> Iterator[str]:
    """Each place of a file that is over a limit, as "file" or "file:function"."""
    name = path.name if not path.is_relative_to(SOURCE) else path.relative_to(SOURCE).as_posix()
    if text.count("\n") > FILE_LINES_MAX:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            if node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX:
                yield f"{name}:{node.name}"


def test_files_and_functions_can_be_seen_whole():
    found = {place for path in sources() for place in too_long(path, path.read_text(encoding="utf-8"))}
    assert not found - set(ALLOWED), "does it hold a second subject?"
    assert not set(ALLOWED) - found, "no longer an exception: take it off the list"


def test_too_long_is_noticed():
    text = "def long():\n" + "    pass\n" * FUNCTION_LINES_MAX + "\n" * FILE_LINES_MAX
    assert set(too_long(Path("some.py"), text)) == {"some.py", "some.py:long"}


def test_each_room_opens_with_its_law():
    rooms = {path.parent for path in sources()} - {SOURCE}
    for room in rooms:
        law = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert law, f"{room.relative_to(ROOT)}/__init__.py has no docstring that says what the room is and its law"


def loose_tasks(text: str) -> list[int]:
    """Lines that make an asyncio task past kit (the linter sees only calls by their full name)."""
    names = {"create_task", "ensure_future", "TaskGroup"}
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names
    ]


def test_only_kit_makes_tasks():
    loose = {path.name: loose_tasks(path.read_text(encoding="utf-8")) for path in sources() if path.name != "tasks.py"}
    assert {name: lines for name, lines in loose.items() if lines} == {}
    assert loose_tasks("loop.create_task(work())") == [1]


def bare_excepts(text: str) -> list[int]:
    return [n.lineno for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ExceptHandler) and n.type is None]


def test_no_bare_except():
    bare = {path.name: bare_excepts(path.read_text(encoding="utf-8")) for path in sources()}
    assert {name: lines for name, lines in bare.items() if lines} == {}
    assert bare_excepts("try:\n    pass\nexcept:\n    pass\n") == [3]


# In parts, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": r"(?:^|[^\w.])/(?:wo" + r"rk|ro" + r"ot|fa" + r"rm)/",
    "a download address": r"https?://[^ \"']+\.(?:whl|tgz|tar\.gz|zip)\b",
    "a package index": r"--(?:extra-)?index-url|--find-links|--trusted-host|(?:pypi|pythonhosted|npmjs)\.(?:org|com)",
    "a private key": r"-----BEGIN [A-Z ]*PRIV" + r"ATE KEY-----",
    "a token": r"\b(?:ghp_|github_pat_|sk-[A-Za-z]+-|AKIA[0-9A-Z]{12})[A-Za-z0-9_-]{12,}",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_has(what):
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = []
    for path in tracked_files():
        if path.suffix in {".png", ".svg"} or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, f"{what} in a tracked file"


def test_constraints_are_plain_pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines, key=str.casefold)
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []


def test_every_dependency_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in wanted}
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names - pinned == set()
