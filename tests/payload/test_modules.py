"""What is installed, what is local, and which files of local modules go along."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

from lightwork.payload import modules
from lightwork.payload.computation import pack_computation
from tests.payload import elsewhere
from tests.payload.local_code import shapes

M = modules.MODULES_DIRECTORY


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("json", "installed"),
        ("os.path", "installed"),
        ("sys", "installed"),
        ("_thread", "installed"),
        ("zlib", "installed"),
        ("cloudpickle", "installed"),
        ("numpy.random", "installed"),
        ("lightwork.wire.messages", "installed"),
        ("no_such_module", "installed"),
        ("tests.payload.kinds", "local"),
        ("__main__", "homeless"),
    ],
)
def test_kinds_of_modules(name: str, kind: str):
    assert modules.kind_of(name) == kind


def test_nothing_is_imported_to_find_out():
    before = set(sys.modules)
    assert modules.kind_of("this") == "installed"
    assert modules.kind_of("tests.payload.local_code.inner.found_late") == "local"
    assert set(sys.modules) == before


def test_a_package_goes_whole_with_all_its_code():
    found = {file.path for file in pack_computation(shapes.plugin).wire.files}
    package = f"{M}/tests/payload/local_code"
    names = ("__init__.py", "numbers.py", "shapes.py", "inner/__init__.py", "inner/base.py", "inner/found_late.py")
    assert found >= {f"{package}/{name}" for name in names}
    assert not [path for path in found if "__pycache__" in path]
    assert f"{M}/tests/payload/test_modules.py" not in found  # a namespace package: its named parts only


def test_a_module_that_imports_nothing_of_ours_goes_alone():
    assert [file.path for file in pack_computation(elsewhere.place_files).wire.files] == [
        f"{M}/tests/payload/elsewhere.py"
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, c", {"a.b", "c"}),
        ("from a import b as x, c", {"a", "a.b", "a.c"}),
        ("from . import b", {"pkg.sub", "pkg.sub.b"}),
        ("from ..x import y", {"pkg.x", "pkg.x.y"}),
        ("def f():\n    if 1:\n        import deep\n    return lambda: __import__('unseen')", {"deep"}),
        ("import os\nx = [1, 2, 'text', (3, 4)]\nfrom q import r", {"os", "q", "q.r"}),
    ],
)
def test_imports_by_source_and_by_code_agree(source: str, expected: set[str]):
    assert set(modules.imports_of_source(source, "pkg.sub")) == expected
    inside = "def outer():\n" + "\n".join("    " + line for line in source.splitlines())
    namespace: dict = {}
    exec(inside, namespace)
    assert set(modules.imports_of_code(namespace["outer"].__code__, "pkg.sub")) == expected


def test_a_parser_that_met_another_thread_is_asked_again(monkeypatch):
    parse, calls = ast.parse, []

    def stumbling(source):
        calls.append(source)
        if len(calls) < 3:
            raise SystemError("AST constructor recursion depth mismatch (before=48, after=43)")
        return parse(source)

    monkeypatch.setattr(ast, "parse", stumbling)
    assert list(modules.imports_of_source("import os", "")) == ["os"]
    assert len(calls) == 3


def test_source_that_cannot_be_read_imports_nothing():
    assert list(modules.imports_of_source("this is no python", "")) == []


def test_module_from_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import zipfile

    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped_module.py", "def work():\n    return 1\n")
    monkeypatch.syspath_prepend(str(archive))
    try:
        packed = pack_computation(importlib.import_module("zipped_module").work)
    finally:
        del sys.modules["zipped_module"]
    assert [file.path for file in packed.wire.files] == [f"{M}/zipped_module.py"]
    assert list(packed.blobs.values()) == [b"def work():\n    return 1\n"]


def test_a_heap_of_code_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modules, "PACKAGE_FILES_MAX", 3)
    package = tmp_path / "heap_of_code"
    package.mkdir()
    for number in range(5):
        (package / f"part{number}.py").write_text("")
    (package / "__init__.py").write_text("from heap_of_code import part1\ndef work(): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        packed = pack_computation(importlib.import_module("heap_of_code").work)
    finally:
        for name in [name for name in sys.modules if name.startswith("heap_of_code")]:
            del sys.modules[name]
    found = sorted(file.path for file in packed.wire.files)
    assert found == [f"{M}/heap_of_code/__init__.py", f"{M}/heap_of_code/part1.py"]


def test_a_folder_within_a_folder_without_init_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """None was ever imported: the import machinery alone would ask the outer one, loaded, for its path."""
    inner = tmp_path / "outer_folder" / "inner" / "innermost"
    inner.mkdir(parents=True)
    (inner / "leaf.py").write_text("")
    (tmp_path / "uses_folders.py").write_text("def work():\n    from outer_folder.inner.innermost import leaf\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        packed = pack_computation(importlib.import_module("uses_folders").work)
    finally:
        del sys.modules["uses_folders"]
    assert {file.path for file in packed.wire.files} == {
        f"{M}/uses_folders.py",
        f"{M}/outer_folder/inner/innermost/leaf.py",
    }
