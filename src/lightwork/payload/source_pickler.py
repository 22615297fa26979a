"""Pickling with functions and classes as source, for another Python: no bytecode, and nothing but plain pickles.

    function     its cut source; globals, defaults, attributes and closure variables by value, as they are now
    class        its statement, to be run again, and what was changed since (source_classes.py)
    both         by name, if another process can import them: what is local goes along as files
    the rest     as the standard pickler does it

A function is made without its globals, which are bound one by one once it can be referred to. So circles of functions,
classes and data come out as they went in; what must be there before itself is refused.
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import io
import pickle
import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cloudpickle import cloudpickle as cloud

from lightwork.payload import cutting, modules, names, source_classes, standins
from lightwork.payload.cutting import NoSource
from lightwork.payload.pickling import reduced_here

_LEFT_OUT = frozenset(("__builtins__", "__loader__", "__name__", "__package__", "__spec__"))
_CONTAINERS = (dict, list, set)
_COMPILED = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_BYTECODE = tuple(importlib.machinery.BYTECODE_SUFFIXES)


class Scope:
    """The globals of functions that go as source. `number` tells those of one name apart; 0 is the module's own."""

    def __init__(self, globals_: dict[str, Any], number: int) -> None:
        self.globals = globals_
        self.name = str(globals_.get("__name__", ""))
        self.number = number
        self.importable = number == 0 and modules.kind_of(self.name) != "homeless"


class Scopes:
    """Those that the computations of one environment have in common."""

    def __init__(self) -> None:
        self._known: dict[int, Scope] = {}

    def find(self, globals_: dict[str, Any]) -> Scope:
        """The scope of these globals."""
        known = self._known.get(id(globals_))
        if known is None:
            own = getattr(sys.modules.get(globals_.get("__name__", "")), "__dict__", None) is globals_
            known = self._known[id(globals_)] = Scope(globals_, 0 if own else 1 + len(self._known))
        return known


class Sent:
    """What one pickling met."""

    def __init__(self) -> None:
        self.references: set[str] = set()  # local modules that the worker will import
        self.classes: dict[int, type] = {}  # that go as source

    def refer(self, name: str, obj: Any) -> None:
        """Something goes by the name of its module. Raises NoSource if other versions cannot import that."""
        if name in self.references or modules.kind_of(name) != "local":
            return
        self.references.add(name)
        spec = modules.find(name)
        origin = spec.origin if spec is not None and spec.has_location and spec.origin else ""
        what = getattr(obj, "__qualname__", None) or names.a_thing(obj)
        if origin.endswith(_COMPILED) and ".abi3." not in origin:
            raise NoSource(f"{what} is of the compiled module {name}, which is for one version of Python only")
        if origin.endswith(_BYTECODE):
            raise NoSource(f"{what} is of module {name}, which has no source file")


class Binding(NamedTuple):
    """A global of a scope."""

    scope: Scope
    name: str
    value: Any


class Pickler(pickle.Pickler):
    """Raises NoSource for what cannot go as source."""

    def __init__(self, file: Any, scopes: Scopes, sent: Sent) -> None:
        super().__init__(file, 5)
        self.scopes = scopes
        self.sent = sent
        self.making: list[type] = []  # classes of which we pickle what they need to be made
        self._users: dict[int, str] = {}  # who has it, by id

    def reducer_override(self, obj: Any) -> Any:
        """Called for every object but numbers, strings and the plain containers."""
        reduce = _REDUCERS.get(type(obj))
        if reduce is None and isinstance(obj, type):
            reduce = source_classes.reduce_class
        try:
            if reduce is not None:
                return reduce(self, obj)
            if isinstance(obj, types.ModuleType):
                return self._module(obj)
            if isinstance(getattr(obj, "__module__", None), str):  # of an instance: its class's
                self.sent.refer(obj.__module__, obj)
        except NoSource as error:
            user = self._users.pop(id(obj), "")
            raise NoSource(f"{user}: {error}") if user else error from None
        return reduced_here(obj)

    def by_name(self, obj: Any) -> bool:
        """Whether another process finds this function, class or module where its name says."""
        if not cloud._should_pickle_by_reference(obj):
            return False
        home = obj.__name__ if isinstance(obj, types.ModuleType) else cloud._whichmodule(obj, obj.__qualname__)
        if home is None or modules.kind_of(home) == "homeless":
            return False
        self.sent.refer(home, obj)
        return True

    def plain(self, value: Any) -> bool:
        """Whether a value has nothing in it that would have to go as source."""
        try:
            _Plain(_Nowhere(), self.scopes, self.sent).dump(value)
        except Exception:  # noqa: BLE001 - a __reduce__ of the user's may raise anything; it is met again
            return False
        return True

    def _module(self, module: types.ModuleType) -> Any:
        if not self.by_name(module):
            raise NoSource(f"module {module.__name__} was made at run time, so it has no source file")
        return standins.module, (module.__name__,)

    def function(self, function: types.FunctionType) -> Any:
        """How a function goes."""
        if self.by_name(function):
            return NotImplemented
        if function.__globals__ is vars(functools) and hasattr(function, "registry"):
            return standins.dispatcher, (function.registry[object], dict(function.registry))
        definition, node = cutting.cut_function(function)
        scope, code = self.scopes.find(function.__globals__), function.__code__
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        owner = cutting.named(function)
        state = {
            "annotations": _annotations(node),
            "defaults": function.__defaults__,
            "kwdefaults": function.__kwdefaults__,
            "dict": function.__dict__,
            "cells": self.contents(cells, owner),
            "globals": self.globals_of(scope, names.globals_of(code), owner),
            "imports": self.imports_of(scope, code),
            "doc": (function.__doc__,) if function.__doc__ is not _doc_of(code) else (),
        }
        args = (tuple(definition), scope, (function.__name__, function.__qualname__, function.__module__), cells)
        state = {key: value for key, value in state.items() if value}
        return standins.function, args, state, None, None, standins.function_state

    def contents(self, cells: dict[str, types.CellType], owner: str) -> list[tuple[types.CellType, Any]]:
        """The variables of a closure that have a value."""
        found = []
        for name, cell in cells.items():
            if (value := content(cell)) is not _NOTHING:
                self._users.setdefault(id(value), f"closure variable `{name}` of {owner}")
                found.append((cell, value))
        return found

    def globals_of(self, scope: Scope, used: Iterable[str], owner: str) -> list[Binding]:
        """The globals that code uses. The making of a class may run functions: what cannot need that class comes first,
        and what may hold it is something empty of its kind meanwhile."""
        if scope.importable:
            return []
        found = [
            Binding(scope, name, scope.globals[name])
            for name in sorted(used)
            if name in scope.globals and name not in _LEFT_OUT
        ]
        for binding in found:
            self._users.setdefault(id(binding.value), f"global `{binding.name}` of {owner}")
        if not self.making:
            return found
        ranked = sorted((self._rank(each.value), at) for at, each in enumerate(found))
        ordered = [found[at] for _, at in ranked]
        empty = [Binding(scope, each.name, type(each.value)()) for each in found if type(each.value) in _CONTAINERS]
        return [*empty, *ordered]

    def _rank(self, value: Any) -> int:
        if isinstance(value, types.ModuleType) or self.plain(value):
            return 0
        return 1 if isinstance(value, types.FunctionType | type) else 2

    def imports_of(self, scope: Scope, code: types.CodeType) -> list[types.ModuleType]:
        """Parts of packages that code uses by way of the package: `import a.b` binds no more than `a`."""
        if scope.importable:
            return []
        used = [scope.globals.get(name) for name in names.globals_of(code)]
        found: list[types.ModuleType] = cloud._find_imported_submodules(code, used)
        return found


class _Plain(Pickler):
    """Refuses what goes as source."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.FunctionType | type) and not self.by_name(obj):
            raise NoSource("")
        return super().reducer_override(obj)


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


_NOTHING = object()


def content(cell: types.CellType) -> Any:
    """What is in a cell; if nothing is, an object of our own."""
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return _NOTHING


def _doc_of(code: types.CodeType) -> Any:
    first = code.co_consts[0] if code.co_consts else None
    return first if isinstance(first, str) else None


def _annotations(node: Any) -> dict[str, str]:
    """As text: what they say may mean nothing to the other version."""
    if isinstance(node, ast.Lambda):
        return {}
    given = node.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    found = {each.arg: ast.unparse(each.annotation) for each in every if each is not None and each.annotation}
    return {**found, "return": ast.unparse(node.returns)} if node.returns else found


# --- things that the standard pickler does not know, or knows otherwise


def _scope(pickler: Pickler, scope: Scope) -> Any:
    if scope.importable:
        pickler.sent.refer(scope.name, sys.modules[scope.name])
        return standins.globals_of, (scope.name,)
    about = {name: scope.globals[name] for name in ("__package__", "__file__") if scope.globals.get(name) is not None}
    return standins.scope, (scope.name, scope.number, about)


def _method(pickler: Pickler, method: types.MethodType) -> Any:
    owner, name = method.__self__, method.__func__.__name__
    if getattr(owner, name, None) == method:
        return getattr, (owner, name)
    return standins.method, (method.__func__, owner)


def _stream(pickler: Pickler, stream: Any) -> Any:
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is stream:
            return getattr, (sys, name)
    return NotImplemented


def _type_variable(pickler: Pickler, variable: typing.TypeVar) -> Any:
    if getattr(sys.modules.get(variable.__module__), variable.__name__, None) is variable:
        if modules.kind_of(variable.__module__) != "homeless":
            return NotImplemented
    options = {"bound": variable.__bound__, "covariant": variable.__covariant__}
    options["contravariant"] = variable.__contravariant__
    return standins.type_variable, (variable.__name__, variable.__constraints__, options)


def _new_type(pickler: Pickler, made: Any) -> Any:
    if modules.kind_of(made.__module__) != "homeless":
        return NotImplemented
    return typing.NewType, (made.__name__, made.__supertype__)


def _code(pickler: Pickler, code: types.CodeType) -> Any:
    raise NoSource(f"a code object ({code.co_name}) is bytecode of this version of Python")


Reducer = Callable[[Any, Any], Any]
_REDUCERS: dict[type, Reducer] = {
    types.FunctionType: Pickler.function,
    types.MethodType: _method,
    types.CodeType: _code,
    types.CellType: lambda pickler, cell: (standins.cell, ()),
    types.MappingProxyType: lambda pickler, proxy: (standins.builtin_type, ("MappingProxyType", dict(proxy))),
    property: lambda pickler, made: (property, (made.fget, made.fset, made.fdel, made.__doc__)),
    staticmethod: lambda pickler, made: (staticmethod, (made.__func__,)),
    classmethod: lambda pickler, made: (classmethod, (made.__func__,)),
    typing.TypeVar: _type_variable,
    typing.NewType: _new_type,
    io.TextIOWrapper: _stream,
    Scope: _scope,
    Binding: lambda pickler, binding: (standins.bind, tuple(binding)),
    source_classes.Done: source_classes.done,
}
