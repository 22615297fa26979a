"""Unpickling what users' programs have pickled, so that parts of one computation see one another's globals.

Here it is what cloudpickle wrote, under the very version of Python; bytecode of another is refused, as it would crash
the interpreter. What came as source: source_loader.py.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from typing import Any, Dict, Iterator, List, Sequence, Set

Scopes = Dict[str, Dict[str, Any]]  # globals of functions that came along, by the name of their module

_BYTECODE = frozenset(("_make_function", "_make_skeleton_class", "_make_skeleton_enum", "CodeType"))


class WrongPython(Exception):
    """Something that does not cross from one version of Python to another."""


def version() -> str:
    """Ours, as people write it."""
    return "%d.%d" % sys.version_info[:2]


def foreign_code(home: str) -> WrongPython:
    """What to raise where bytecode of another version is met."""
    return WrongPython(
        "it brings bytecode of Python %s, and this worker runs Python %s, which it would crash" % (home, version())
    )


class Loader(pickle.Unpickler):
    """Unpickles what cloudpickle wrote, with one set of globals per module for all parts of a computation.

    Each cloudpickle stream makes its functions fresh globals; `setup` and the jobs' function travel in two streams,
    but what setup makes global the jobs must see. `captured` are the names that came as globals of functions.
    `home` is the client's version, if it is told.
    """

    def __init__(self, payload: Any, scopes: Scopes, home: str = "", buffers: Sequence[Any] = ()) -> None:
        self._file = io.BytesIO(payload)
        super().__init__(self._file, buffers=buffers)
        self._scopes = scopes
        self._home = home
        self._foreign = home not in ("", version())
        self.captured: Dict[str, Set[str]] = {}

    def load_all(self) -> List[Any]:
        """Every pickle of the payload: the first is what it says, the others bring classes that arguments refer to."""
        values = [self.load()]
        rest = self._file.read()
        if rest:  # each by an unpickler of its own: they number what they refer to from 0
            values += Loader(rest, self._scopes, self._home).load_all()
        return values

    def find_class(self, module: str, name: str) -> Any:
        """As the stdlib's, but functions by value are made by us."""
        if module.partition(".")[0] == "cloudpickle":
            if self._foreign and name in _BYTECODE:
                raise foreign_code(self._home)
            if name == "_make_function":
                return self._make_function
            if name == "_function_setstate":
                return self._set_state
            if name == "_builtin_type" and self._foreign:
                return self._builtin_type
        if self._foreign:
            if module == "types" and name in _BYTECODE:
                raise foreign_code(self._home)
            return self._find_elsewhere(module, name)
        return super().find_class(module, name)

    def _find_elsewhere(self, module: str, name: str) -> Any:
        """Other versions keep things in other private modules: 3.13's paths say that they are of `pathlib._local`."""
        try:
            return super().find_class(module, name)
        except ModuleNotFoundError:
            outer, _, inner = module.rpartition(".")
            if not (outer and inner.startswith("_")):
                raise
            return super().find_class(outer, name)

    def _builtin_type(self, name: str) -> Any:
        if name in _BYTECODE:
            raise foreign_code(self._home)
        return getattr(types, name)

    def _make_function(self, code: Any, scope: Dict[str, Any], name: Any, defaults: Any, closure: Any) -> Any:
        shared = self._scopes.setdefault(scope.get("__name__", ""), scope)
        if shared is not scope:
            for key, value in scope.items():
                shared.setdefault(key, value)
        shared["__builtins__"] = __builtins__
        return types.FunctionType(code, shared, name, defaults, closure)

    def _set_state(self, function: Any, state: Any) -> Any:
        from cloudpickle import cloudpickle

        module = function.__globals__.get("__name__", "")
        self.captured.setdefault(module, set()).update(state[1].get("__globals__", ()))
        return cloudpickle._function_setstate(function, state)


def globals_of(call: Any, depth: int) -> Iterator[Dict[str, Any]]:
    """The globals that a callable's own code sees: through partials, methods, decorators, classes and instances."""
    if depth > 5:
        return
    scope = getattr(call, "__globals__", None)
    if isinstance(scope, dict):
        yield scope
    for name in ("__func__", "__wrapped__", "func"):
        inner = getattr(call, name, None)
        if callable(inner):
            yield from globals_of(inner, depth + 1)
    kind = call if isinstance(call, type) else type(call)
    if kind.__module__ != "builtins" and not isinstance(call, types.FunctionType):
        for value in vars(kind).values():
            if isinstance(value, (types.FunctionType, staticmethod, classmethod)):
                yield from globals_of(getattr(value, "__func__", value), depth + 1)
