"""Every kind of `depends=`, with a function that uses it: for the payload room and for real clusters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.payload.kinds import defined


class Dependency(NamedTuple):
    """`make(directory)` gives what `depends` lists; a job of `computation` then returns `expected`."""

    name: str
    make: Callable[[Path], list[Any]]
    computation: Any
    expected: Any


def _file(directory: Path) -> list[Any]:
    path = directory / "data.txt"
    path.write_text("text")
    return [str(path)]


def _path_object(directory: Path) -> list[Any]:
    return [Path(_file(directory)[0])]


def _tree(directory: Path) -> list[Any]:
    top = directory / "tree"
    (top / "inner").mkdir(parents=True)
    (top / "inner" / "leaf.txt").write_text("leaf")
    (top / "root.txt").write_text("root")
    return [top]


def _linked(directory: Path) -> list[Any]:
    (directory / "real.txt").write_text("through a link")
    (directory / "link.txt").symlink_to(directory / "real.txt")
    return [directory / "link.txt"]


def _script_module(directory: Path) -> list[Any]:
    path = directory / "beside.py"
    path.write_text("ANSWER = 42\n")
    return [path]


def _helper(directory: Path) -> list[Any]:
    return [defined("def helper(n):\n    return n + 1", "helper")]


def _lambda_free_partial(directory: Path) -> list[Any]:
    return [functools.partial(defined("def helper(n):\n    return n + 1", "helper"), 1)]


def _class(directory: Path) -> list[Any]:
    return [defined("class Box:\n    def __init__(self, n):\n        self.n = n", "Box")]


def _instance(directory: Path) -> list[Any]:
    return [_class(directory)[0](3)]


def _bound_method(directory: Path) -> list[Any]:
    return [
        defined("class Box:\n    def __init__(self, n):\n        self.n = n\n    def get(self): pass", "Box")(1).get
    ]


def _module(directory: Path) -> list[Any]:
    from tests.payload.local_code import shapes

    return [shapes]


def _package(directory: Path) -> list[Any]:
    from tests.payload import local_code

    return [local_code]


def _init(directory: Path) -> list[Any]:
    source = "def helper(n):\n    return n + 1\ndef init_depends():\n    global ready\n    ready = helper(41)"
    return [defined(source, "init_depends"), *_helper(directory)]


def _reads(name: str) -> Any:
    return defined(f"def work():\n    return open({name!r}).read()", "work")


DEPENDENCIES = [
    Dependency("file", _file, _reads("data.txt"), "text"),
    Dependency("path", _path_object, _reads("data.txt"), "text"),
    Dependency("directory", _tree, _reads("tree/inner/leaf.txt"), "leaf"),
    Dependency("link", _linked, _reads("link.txt"), "through a link"),
    Dependency(
        "source file", _script_module, defined("def work():\n    import beside\n    return beside.ANSWER", "work"), 42
    ),
    Dependency("function", _helper, defined("def work():\n    return helper(1)", "work"), 2),
    Dependency("partial", _lambda_free_partial, defined("def work():\n    return helper(1)", "work"), 2),
    Dependency("class", _class, defined("def work():\n    return Box(4).n", "work"), 4),
    Dependency("instance", _instance, defined("def work():\n    return Box(5).n", "work"), 5),
    Dependency("bound method", _bound_method, defined("def work():\n    return Box(6).n", "work"), 6),
    Dependency("module", _module, defined("def work():\n    return shapes.Square(1).area()", "work"), 7),
    Dependency("package", _package, defined("def work():\n    return local_code.FACTOR", "work"), 7),
    Dependency("init_depends", _init, defined("def work():\n    return helper(1)", "work"), 2),
]
