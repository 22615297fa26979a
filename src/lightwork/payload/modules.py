"""Which modules a worker can import by itself, and which files make the others importable there.

    installed   standard library, or below a site-packages directory: the worker has it, or says what is missing
    local       any other module with a file: shipped, with its package and the local modules that they import
    homeless    `__main__`, and modules made at run time: travel by value

Imports are found without running anything: by `ast` in source files, by `dis` in functions that travel by value.
"""

from __future__ import annotations

import ast
import dis
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import threading
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache

MODULES_DIRECTORY = ".lightwork/modules"
PACKAGE_FILES_MAX = 2000
PACKAGE_BYTES_MAX = 32 << 20
_PARSING = threading.Lock()
_MAINS = ("__main__", "__mp_main__")
_SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)

Spec = importlib.machinery.ModuleSpec


def kind_of(name: str, first: str = "") -> str:
    """ "installed", "local" or "homeless"; the directory `first` is searched before all others."""
    if name in _MAINS:
        return "homeless"
    top, _, below = name.partition(".")
    if top in ("lightwork", "builtins"):
        return "installed"
    spec = find(name, first)
    if spec is None and below:
        return kind_of(top, first)  # made at run time by its package, as six.moves is
    if spec is None:
        return "homeless" if name in sys.modules else "installed"
    return "local" if _is_local(spec) else "installed"


def find(name: str, first: str = "") -> Spec | None:
    """Where a module comes from, without importing anything; None if nobody knows it, or it has no home."""
    loaded = sys.modules.get(name)
    if loaded is not None and not first:
        return _spec_of(name, loaded)
    parent = name.rpartition(".")[0]
    try:
        if not parent:
            beside = importlib.machinery.PathFinder.find_spec(name, [first]) if first else None
            return beside or importlib.util.find_spec(name)
        above = find(parent, first)
        if above is None or above.submodule_search_locations is None:
            return None
        return _find_in(name, list(above.submodule_search_locations))
    except (ImportError, ValueError):  # a finder of the user's that refuses: then we do not know the module
        return None


def _find_in(name: str, directories: list[str]) -> Spec | None:
    try:
        return importlib.machinery.PathFinder.find_spec(name, directories)
    except KeyError:  # a folder without __init__.py, whose parent would have to be loaded to tell its path
        spec = Spec(name, None, is_package=True)
        places = [os.path.join(directory, name.rpartition(".")[2]) for directory in directories]
        spec.submodule_search_locations = [place for place in places if os.path.isdir(place)]
        return spec


def _spec_of(name: str, module: types.ModuleType) -> Spec | None:
    spec = getattr(module, "__spec__", None)
    if isinstance(spec, Spec) and spec.name == name:
        return spec
    path = getattr(module, "__file__", None)
    if isinstance(path, str) and os.path.isfile(path):
        return importlib.util.spec_from_file_location(name, path)
    return None


def _is_local(spec: Spec) -> bool:
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return bool(places) and not any(is_installed_path(place) for place in places)


@lru_cache(maxsize=1)
def _library_directories() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {os.path.realpath(paths[key]) for key in ("stdlib", "platstdlib")}
    found |= {os.path.abspath(paths[key]) for key in ("stdlib", "platstdlib")}
    return tuple(directory + os.sep for directory in found)


def is_installed_path(path: str) -> bool:
    """Whether a file belongs to the standard library or to an installed distribution."""
    parts = path.replace("\\", "/").split("/")
    if "site-packages" in parts or "dist-packages" in parts:
        return True
    absolute = os.path.abspath(path)
    return absolute.startswith(_library_directories()) or os.path.realpath(path).startswith(_library_directories())


# --- which modules are imported ---


def imports_of_code(code: types.CodeType, package: str) -> Iterator[str]:
    """Names of modules that a function's code may import; relative ones are resolved against `package`."""
    constants: list[object] = []
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            constants.append(step.argval)
        elif step.opname == "IMPORT_NAME":
            level, names = [0, None, *constants][-2:]
            wanted = names if isinstance(names, tuple) else ()
            yield from _candidates(step.argval, level if isinstance(level, int) else 0, wanted, package)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from imports_of_code(constant, package)


def imports_of_source(source: str, package: str) -> Iterator[str]:
    """Names of modules that a source text may import; nothing if it is no Python of this version."""
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            yield from _candidates(node.module or "", node.level, [alias.name for alias in node.names], package)


def parsed(source: str) -> ast.Module:
    """As `ast.parse`, which in CPython 3.11 counts its depth for all threads together, and stumbles when two parse at
    once (gh-106905): so ours take turns, and if it met a thread of the user's, we try again."""
    for _ in range(10):
        with _PARSING:
            try:
                return ast.parse(source)
            except SystemError:
                continue
    return ast.parse(source)


def imports_of_file(path: str) -> list[str]:
    """Names of modules that a script imports."""
    return list(imports_of_source(_read_source(path), ""))


def _candidates(module: str, level: int, names: Iterable[str], package: str) -> Iterator[str]:
    """`from module import names`: the module, and each name, which may be a module as well."""
    if level:
        above = package.split(".")
        above = above[: len(above) - level + 1]
        module = ".".join([*above, module] if module else above)
    if module:
        yield module
        yield from (f"{module}.{name}" for name in names if name != "*")


# --- which files they need ---


class LocalFiles:
    """Collects the files of local modules: path on the node -> path here (or the content, if it lies in an archive)."""

    def __init__(self, first: str = "") -> None:
        self._first = first
        self.files: dict[str, str | bytes] = {}
        self.modules: set[str] = set()
        self._seen: set[str] = set()

    def add(self, name: str) -> None:
        """A module by name, the packages above it, and what these import."""
        todo = [name]
        while todo:
            name = todo.pop()
            if name in self._seen:
                continue
            self._seen.add(name)
            parent = name.rpartition(".")[0]
            if parent:
                todo.append(parent)
            if kind_of(name, self._first) == "local":
                spec = find(name, self._first)
                if spec is not None:
                    self.modules.add(name)
                    todo += self._add_spec(spec)

    def _add_spec(self, spec: Spec) -> list[str]:
        base = "/".join([MODULES_DIRECTORY, *spec.name.split(".")])
        if not spec.has_location or not spec.origin:
            return []  # a namespace package: nothing but its parts
        package = spec.submodule_search_locations is not None
        ending = os.path.basename(spec.origin)[len(spec.name.rpartition(".")[2]) :]
        self._put(f"{base}/{os.path.basename(spec.origin)}" if package else base + ending, spec)
        if package and not self._is_package(spec.name.rpartition(".")[0]):
            self._add_package(spec.origin, base)
        source = _source(spec)
        return list(imports_of_source(source, spec.name if package else spec.name.rpartition(".")[0]))

    def _is_package(self, name: str) -> bool:
        """Whether it has an `__init__` file (else it is a namespace, of which we take the named parts only)."""
        spec = find(name, self._first) if name else None
        return spec is not None and spec.has_location

    def _put(self, path: str, spec: Spec) -> None:
        assert spec.origin is not None
        if os.path.isfile(spec.origin):
            self.files[path] = spec.origin
        else:
            self.files[path] = _source(spec).encode()

    def _add_package(self, origin: str, base: str) -> None:
        """All code of a package: what it imports by computed names is seen by nobody."""
        top = os.path.dirname(origin)
        found: dict[str, str] = {}
        size = 0
        for path in _code_below(top):
            size += os.path.getsize(path)
            if len(found) >= PACKAGE_FILES_MAX or size > PACKAGE_BYTES_MAX:
                return  # a heap of code: then only what is imported by name
            found[f"{base}/{os.path.relpath(path, top).replace(os.sep, '/')}"] = path
        for relative, path in found.items():
            self.files.setdefault(relative, path)
            source = _read_source(path) if path.endswith(".py") else ""
            package = os.path.dirname(relative)[len(MODULES_DIRECTORY) + 1 :].replace("/", ".")
            for name in imports_of_source(source, package):
                if name.partition(".")[0] != package.partition(".")[0]:
                    self.add(name)


def _code_below(top: str) -> Iterator[str]:
    for directory, below, names in os.walk(top):
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__pycache__")
        yield from (os.path.join(directory, name) for name in sorted(names) if name.endswith(_SUFFIXES))


def _source(spec: Spec) -> str:
    """A module's source text; empty for C code."""
    get_source = getattr(spec.loader, "get_source", None)
    if get_source is None:  # a loader of a test runner, say, that rewrites what it loads
        return _read_source(spec.origin) if spec.origin and spec.origin.endswith(".py") else ""
    try:
        return get_source(spec.name) or ""
    except (ImportError, OSError, SyntaxError):  # bytecode only, or an encoding we cannot read: no imports to see
        return ""


def _read_source(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return importlib.util.decode_source(file.read())
    except (OSError, SyntaxError, UnicodeDecodeError):  # found, not readable as source: shipped as it is
        return ""
