"""Unpickling a computation, so that its parts see one another's globals; and finding what those are."""

from __future__ import annotations

import io
import pickle
import types
from typing import Any, Dict, Iterator, List, Set

Scopes = Dict[str, Dict[str, Any]]  # globals of functions by value, by the name of their module


class Loader(pickle.Unpickler):
    """Unpickles what cloudpickle wrote, with one set of globals per module for all parts of a computation.

    Each cloudpickle stream makes its functions fresh globals; `setup` and the jobs' function travel in two streams,
    but what setup makes global the jobs must see. `captured` are the names that came as globals of functions.
    """

    def __init__(self, payload: bytes, scopes: Scopes) -> None:
        self._file = io.BytesIO(payload)
        super().__init__(self._file)
        self._scopes = scopes
        self.captured: Dict[str, Set[str]] = {}

    def load_all(self) -> List[Any]:
        """Every pickle of the payload: the first is what it says, the others bring classes that arguments refer to."""
        values = [self.load()]
        rest = self._file.read()
        if rest:  # each by an unpickler of its own: they number what they refer to from 0
            values += Loader(rest, self._scopes).load_all()
        return values

    def find_class(self, module: str, name: str) -> Any:
        """As the stdlib's, but functions by value are made by us."""
        if module.partition(".")[0] == "cloudpickle":
            if name == "_make_function":
                return self._make_function
            if name == "_function_setstate":
                return self._set_state
        return super().find_class(module, name)

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
