"""How classes go as source: their statement is run again over there, so that dataclass, Enum and their kin make what
they make in that version. Only what cannot be run again goes as it is now:

    @installed.decorator          kept: it is to be found there as well
    @of_the_users_own             left out; what it has made of the class or method goes by value
    class C(Base):                the bases that it has
        LIMIT = 3                 as written; by value as well, if it is no longer so
        table = compute()         by value, if that is plain data; else as written
        def method(self, k=one)   as written; the default by value, if that is plain data

Names that the statement uses are bound before it runs, those that its methods use afterwards.
"""

from __future__ import annotations

import enum
import sys
import types
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle as cloud

from lightwork.payload import names, standins
from lightwork.payload.class_statement import OF_EACH_CLASS, Statement
from lightwork.payload.cutting import CutClass, NoSource, cut_class
from lightwork.payload.modules import kind_of

if TYPE_CHECKING:
    from lightwork.payload.source_pickler import Pickler

_TWICE_MAX = 50  # classes may need themselves by way of what is made before them, but not for ever
_DEEP_MAX = 20
_WRAPPED = ("__func__", "__wrapped__", "func")
_TYPES = (type(None), type(...), type(NotImplemented))


class Done:
    """Pickled last of all that a class needs to be made."""


def done(pickler: Pickler, mark: Done) -> Any:
    """The class is made now."""
    pickler.making.pop()
    return int, ()


def reduce_class(pickler: Pickler, kind: type) -> Any:
    """How a class goes. Raises NoSource."""
    if kind in _TYPES or pickler.by_name(kind):
        return NotImplemented
    if kind in cloud._BUILTIN_TYPE_NAMES:
        return standins.builtin_type, (cloud._BUILTIN_TYPE_NAMES[kind],)
    number = cloud._get_or_create_tracker_id(kind)
    pickler.sent.classes[id(kind)] = kind
    outer = _outer_of(kind)
    if outer is not None:
        return standins.attribute, (outer, kind.__name__, number)
    if pickler.making.count(kind) > _TWICE_MAX:
        raise NoSource(f"class {kind.__qualname__} would have to be there before it is made")
    functions = functions_of(kind)
    cut = None if _is_namedtuple(kind) else cut_class(kind, functions)
    if cut is None:
        return _by_call(pickler, kind, number)
    return _by_statement(pickler, kind, number, cut, functions)


def functions_of(kind: type) -> list[types.FunctionType]:
    """Those in its dictionary, out of what is wrapped around them."""
    found = []
    for value in vars(kind).values():
        parts = (value.fget, value.fset, value.fdel) if isinstance(value, property) else (value,)
        found += [function for part in parts if (function := _unwrapped(part)) is not None]
    return found


def _unwrapped(value: Any) -> types.FunctionType | None:
    for _ in range(_DEEP_MAX):
        if value is None or isinstance(value, types.FunctionType | type):
            break
        value = next((inner for name in _WRAPPED if (inner := getattr(value, name, None)) is not None), None)
    return value if isinstance(value, types.FunctionType) else None


def _functions_inside(kind: type) -> list[types.FunctionType]:
    """Those of the classes in it."""
    inner = [each for each in vars(kind).values() if isinstance(each, type)]
    inner = [each for each in inner if each.__qualname__ == f"{kind.__qualname__}.{each.__name__}"]
    return [function for each in inner for function in (*functions_of(each), *_functions_inside(each))]


def _is_namedtuple(kind: type) -> bool:
    """Whether collections.namedtuple made it. (A subclass may have its name; typing.NamedTuple has a statement.)"""
    return kind.__bases__ == (tuple,) and hasattr(kind, "_fields") and "__orig_bases__" not in vars(kind)


def _outer_of(kind: type) -> type | None:
    """The class that has it as an attribute, if that can be found by name."""
    path = kind.__qualname__.split(".")
    if len(path) < 2 or "<locals>" in path:
        return None
    outer: Any = sys.modules.get(kind.__module__)
    for name in path[:-1]:
        outer = getattr(outer, name, None)
    return outer if isinstance(outer, type) and vars(outer).get(path[-1]) is kind else None


def _by_statement(pickler: Pickler, kind: type, number: str, cut: CutClass, functions: list[types.FunctionType]) -> Any:
    own = [each for each in functions if cut.contains(each.__code__)]
    globals_ = own[0].__globals__ if own else _globals_of(kind)
    scope = pickler.scopes.find(globals_)
    statement = Statement(pickler, kind, cut, globals_, functions, _functions_inside(kind))
    owner = f"class {kind.__qualname__}"
    needed, free = statement.needed(), statement.free
    state = {
        "globals": pickler.globals_of(scope, names.globals_inside(cut.code) | statement.told, owner),
        "imports": pickler.imports_of(scope, cut.code),
        "attributes": statement.changed(),
        "cells": pickler.contents(free, owner),
    }
    pickler.making.append(kind)
    form = {
        "drop": statement.dropped,
        "bare": sorted(statement.bare),
        "given": statement.given,
        "free": free,
        "cells": pickler.contents({name: cell for name, cell in free.items() if name in needed}, owner),
        "globals": pickler.globals_of(scope, needed - set(free), owner),
    }
    known_as = (kind.__name__, kind.__qualname__, kind.__module__, number, globals_.get(kind.__name__) is kind)
    args = (tuple(cut.definition), scope, known_as, {k: v for k, v in form.items() if v}, Done())
    state = {key: value for key, value in state.items() if value}
    return standins.class_, args, state, None, None, standins.class_state


def _globals_of(kind: type) -> dict[str, Any]:
    module = sys.modules.get(kind.__module__)
    if module is None:
        raise NoSource(f"class {kind.__qualname__} is of module {kind.__module__}, which is not there")
    return vars(module)


def _by_call(pickler: Pickler, kind: type, number: str) -> Any:
    """Classes that no statement made."""
    globals_ = _globals_of(kind)
    scope = pickler.scopes.find(globals_)
    known_as = (kind.__name__, kind.__qualname__, kind.__module__, number, globals_.get(kind.__name__) is kind)
    if _is_namedtuple(kind):
        made: Any = kind
        parts = (made._fields, tuple(made._field_defaults.values()))
        return standins.class_by_call, ("namedtuple", scope, known_as, parts)
    generated = f"class {kind.__qualname__} was made by exec, by a call or at a prompt; its source is not available"
    if isinstance(kind, enum.EnumMeta):
        if any(kind_of(str(each.__globals__.get("__name__"))) != "installed" for each in functions_of(kind)):
            raise NoSource(generated)
        each: dict[str, Any] = dict(kind.__members__)
        members = [(name, member.value) for name, member in each.items()]
        return standins.class_by_call, ("enum", scope, known_as, (kind.__bases__, members))
    attributes = {name: value for name, value in vars(kind).items() if name not in OF_EACH_CLASS}
    if any(_is_generated(value) for value in attributes.values()):
        raise NoSource(generated)
    slots = attributes.pop("__slots__", None)
    for name in (slots,) if isinstance(slots, str) else slots or ():
        attributes.pop(name, None)
    pickler.making.append(kind)
    args = ("type", scope, known_as, (type(kind), kind.__bases__, slots), Done())
    return standins.class_by_call, args, {"attributes": attributes}, None, None, standins.class_state


def _is_generated(value: Any) -> bool:
    value = getattr(value, "__func__", value)
    return isinstance(value, types.FunctionType) and value.__code__.co_filename == "<string>"
