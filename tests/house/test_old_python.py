"""What workers run must work under any Python from 3.8 that a node has, with nothing installed there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.helpers import ROOT, SOURCE, interpreter, old_python_sources, sources

STDLIB_OF_38_ADDED_LATER = {"tomllib", "zoneinfo", "graphlib"}


@pytest.mark.parametrize("path", old_python_sources(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_is_written_in_python_38(path: Path):
    ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 8))


def imported(path: Path) -> set[str]:
    """The top names of what a file imports, our own by their full path."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if _is_module(name) else node.module for name in names}
    return {name if name.split(".")[0] == "lightwork" else name.split(".")[0] for name in found}


def _is_module(name: str) -> bool:
    path = SOURCE.parent.joinpath(*name.split("."))
    return name.startswith("lightwork.") and (path.with_suffix(".py").is_file() or path.is_dir())


def test_imports_only_the_standard_library_and_its_like():
    like = {"lightwork." + ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in old_python_sources()}
    like |= {name.removesuffix(".__init__") for name in like} | {"lightwork"}
    allowed = (sys.stdlib_module_names - STDLIB_OF_38_ADDED_LATER) | {"cloudpickle"} | like
    strangers = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in old_python_sources()
        if path != SOURCE / "__init__.py"
        for name in imported(path) - allowed
    }
    assert strangers == set()


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13"])
def test_loads_under(version: str):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in old_python_sources()]
    modules = sorted({name.removesuffix(".__init__") for name in names if not name.endswith("__main__")})
    code = "import sys, importlib\nsys.path.insert(0, sys.argv[1])\nfor n in sys.argv[2:]: importlib.import_module(n)"
    command = [python, "-B", "-W", "error", "-c", code, str(ROOT / "src"), *modules]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


# Each costs milliseconds that every start of a worker would pay; inside a function that needs one, they are welcome.
HEAVY = {
    "argparse", "asyncio", "cloudpickle", "concurrent", "dataclasses", "email", "http", "importlib.metadata", "inspect",
    "logging", "multiprocessing", "pathlib", "shutil", "ssl", "tempfile", "unittest", "urllib", "uuid",
}  # fmt: skip


def imported_at_start(text: str) -> set[str]:
    """What a file imports as it is loaded: outside of functions and of `if TYPE_CHECKING`."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return found | {name.split(".")[0] for name in found}


def test_a_worker_starts_with_little():
    heavy = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in old_python_sources()
        for name in imported_at_start(path.read_text(encoding="utf-8")) & HEAVY
    }
    assert heavy == set()
    text = "if TYPE_CHECKING:\n    import logging\ntry:\n    import ssl\nfinally:\n    def f():\n        import uuid"
    assert imported_at_start(text) & HEAVY == {"ssl"}


def test_the_walk_sees_imports():
    assert "lightwork.wire.outcome" not in imported(SOURCE / "wire" / "outcome.py")
    assert imported(SOURCE / "__init__.py") >= {"importlib", "lightwork.client.cluster"}
    assert len(sources()) > len(old_python_sources())
