"""Loading what came as source: the worker's side of payload/source_pickler.py.

    Modules        those of one computation: their globals are its scopes, and while its jobs run they stand in
                   sys.modules, so that what it pickles or imports by the name `__main__` is its own
    SourceLoader   unpickles; what payload/standins.py only names, it does

Classes keep the number that the client knows them by. One that is here already is not made again: two computations
that speak of one class mean one class.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import types
import weakref
from typing import Any, Callable, Dict, List, Sequence, Tuple

from lightwork.worker.loader import Loader, Scopes, WrongPython, foreign_code, version
from lightwork.worker.source import Compiler, Definition, SourceError, closure_of, syntax_sentence

_STANDINS = "lightwork.payload.standins"
_BY_NAME = b"\x93"  # how protocol 5 names functions and classes; a false alarm costs microseconds
_SMALL = 64 << 10
_CONTAINERS = (list, dict, set)
_SMALL_ENOUGH = 1000

classes: "weakref.WeakValueDictionary[str, type]" = weakref.WeakValueDictionary()  # by number
_ours: "weakref.WeakSet[types.ModuleType]" = weakref.WeakSet()
numbers: "weakref.WeakKeyDictionary[type, str]" = weakref.WeakKeyDictionary()


class Modules:
    """The modules of one computation. `texts` are the lines of its files that came along."""

    def __init__(self, home: str, scopes: Scopes) -> None:
        self.home = home
        self.scopes = scopes
        self.compiler = Compiler(home)
        self.texts: Dict[str, Dict[int, str]] = {}
        self._modules: Dict[str, types.ModuleType] = {}

    def scope(self, name: str, number: int, about: Dict[str, Any]) -> Dict[str, Any]:
        """The globals of one of them."""
        key = "%s %d" % (name, number) if number else name
        if key not in self._modules:
            module = self._modules[key] = types.ModuleType(name)
            _ours.add(module)
            module.__dict__.update(about, __builtins__=__builtins__)
            self.scopes[key] = module.__dict__
        return self._modules[key].__dict__

    def enter(self) -> None:
        """Their names are theirs from now on."""
        for key in sorted(self._modules, reverse=True):  # number 0 last: that one is meant by the bare name
            module = self._modules[key]
            if module.__name__ == "__main__" or sys.modules.get(module.__name__, module) in _ours:
                sys.modules[module.__name__] = module

    def unpack(self, payload: Any) -> Any:
        """The arguments of a job; those that name nothing need no help."""
        if len(payload) <= _SMALL and _BY_NAME not in bytes(payload):
            return pickle.loads(payload)
        return SourceLoader(payload, self).load()

    def unpack_segments(self, segments: Sequence[Any]) -> Any:
        """The same, if they are in several pieces."""
        return SourceLoader(segments[0], self, segments[1:]).load()

    def contents(self) -> List[Tuple[Any, Any]]:
        """The smaller lists, dicts and sets among the globals, and what is in them."""
        found = []
        for module in self._modules.values():
            for value in module.__dict__.values():
                if type(value) in _CONTAINERS and len(value) <= _SMALL_ENOUGH:
                    found.append((value, type(value)(value)))
        return found

    def note(self, definition: Definition) -> None:
        """Keep its lines, for tracebacks."""
        self.texts.setdefault(definition[1], {})[definition[2]] = definition[3]

    def sources(self) -> Dict[str, str]:
        """What is known of the files' texts; the lines between are empty."""
        found = {}
        for filename, pieces in self.texts.items():
            lines: List[str] = []
            for first, text in sorted(pieces.items()):
                for at, line in enumerate(text.split("\n")[:-1], first - 1):
                    lines += [""] * (at + 1 - len(lines))
                    lines[at] = line
            found[filename] = "\n".join(lines) + "\n"
        return found


class SourceLoader(Loader):
    """Unpickles source form, and the plain data that belongs to it."""

    def __init__(self, payload: Any, modules: Modules, buffers: Sequence[Any] = ()) -> None:
        super().__init__(payload, modules.scopes, modules.home, buffers)
        self._modules = modules

    def find_class(self, module: str, name: str) -> Any:
        """What payload/standins.py names is ours to do; classes by number are those that came before."""
        if module == _STANDINS:
            return getattr(self, "_" + name.rstrip("_"))
        if module.partition(".")[0] == "cloudpickle":
            if name == "_lookup_class_or_track":
                return _known_class
            if name == "subimport":
                return self._module
        return super().find_class(module, name)

    # --- scopes

    def _scope(self, name: str, number: int, about: Dict[str, Any]) -> Dict[str, Any]:
        scope = self._modules.scope(name, number, about)
        self._modules.enter()
        return scope

    def _globals_of(self, name: str) -> Dict[str, Any]:
        return importlib.import_module(name).__dict__

    def _module(self, name: str) -> Any:
        return importlib.import_module(name)

    def _bind(self, scope: Dict[str, Any], name: str, value: Any) -> None:
        scope[name] = value
        self.captured.setdefault(self._key_of(scope), set()).add(name)

    def _key_of(self, scope: Dict[str, Any]) -> str:
        return next((key for key, known in self._scopes.items() if known is scope), "")

    # --- functions

    def _cell(self) -> Any:
        return types.CellType()

    def _function(
        self, definition: Definition, scope: Dict[str, Any], known_as: Tuple[str, str, Any], cells: Dict[str, Any]
    ) -> Any:
        self._modules.note(definition)
        code = self._modules.compiler.function(definition, list(cells))
        function = types.FunctionType(code, scope, known_as[0], None, closure_of(code, cells))
        function.__qualname__, function.__module__ = known_as[1:]
        return function

    def _function_state(self, function: Any, state: Dict[str, Any]) -> None:
        function.__defaults__ = state.get("defaults")
        function.__kwdefaults__ = state.get("kwdefaults")
        function.__annotations__ = state.get("annotations", {})
        function.__dict__.update(state.get("dict", {}))
        if "doc" in state:
            function.__doc__ = state["doc"][0]
        _fill(state)

    def _method(self, function: Any, owner: Any) -> Any:
        return types.MethodType(function, owner)

    def _dispatcher(self, default: Any, others: Dict[type, Any]) -> Any:
        import functools

        made = functools.singledispatch(default)
        for kind, function in others.items():
            made.register(kind, function)
        return made

    # --- classes

    def _class(
        self,
        definition: Definition,
        scope: Dict[str, Any],
        known_as: Tuple[str, str, Any, str, bool],
        form: Dict[str, Any],
        done: int,
    ) -> type:
        name, qualname, module, number, bound = known_as
        known = classes.get(number)
        if known is not None:
            if bound:
                scope[name] = known
            return known
        self._modules.note(definition)
        _fill(form)
        before = self._modules.contents()
        try:
            made = self._modules.compiler.class_(definition, scope, form.get("free", {}), form)
        except SourceError:
            raise
        except Exception as error:
            what = "class %s cannot be made under Python %s: %s: %s"
            raise SourceError(what % (qualname, version(), type(error).__name__, error)) from error
        finally:
            _restore(before)
        if bound:
            scope[name] = made
        return _numbered(made, qualname, module, number)

    def _class_state(self, kind: type, state: Dict[str, Any]) -> None:
        for name, value in state.get("attributes", {}).items():
            type.__setattr__(kind, name, value)
        _fill(state)

    def _class_by_call(
        self, way: str, scope: Dict[str, Any], known_as: Tuple[str, str, Any, str, bool], parts: Any, done: int = 0
    ) -> type:
        name, qualname, module, number, bound = known_as
        made = classes.get(number)
        if made is None:
            made = _numbered(_CALLS[way](name, *parts), qualname, module, number)
        if bound:
            scope[name] = made
        return made

    def _attribute(self, outer: type, name: str, number: str) -> type:
        kind: type = getattr(outer, name)
        return _numbered(kind, kind.__qualname__, kind.__module__, number)

    # --- others

    def _builtin_type(self, name: str, *args: Any) -> Any:
        if name == "CodeType":
            raise foreign_code(self._home)
        kind = getattr(types, name)
        return kind(*args) if args else kind

    def _type_variable(self, name: str, constraints: Tuple[Any, ...], options: Dict[str, Any]) -> Any:
        import typing

        return typing.TypeVar(name, *constraints, **options)


def _restore(before: List[Tuple[Any, Any]]) -> None:
    """What the making of a class has put into lists and dicts is in them already: they came as they are now."""
    for value, content in before:
        if len(value) != len(content):
            if isinstance(value, list):
                value[:] = content
            else:
                value.clear()
                value.update(content)


def _fill(state: Dict[str, Any]) -> None:
    for cell, value in state.get("cells", ()):
        cell.cell_contents = value


def _numbered(kind: Any, qualname: str, module: Any, number: str) -> type:
    for name, value in (("__qualname__", qualname), ("__module__", module)):
        if getattr(kind, name, None) != value:
            type.__setattr__(kind, name, value)
    classes[number] = kind
    numbers[kind] = number
    made: type = kind
    return made


def _known_class(number: str, kind: Any) -> Any:
    known = classes.get(number)
    if known is None:
        raise LookupError("it is of a class that did not come with the computation")
    return known


def _namedtuple(name: str, fields: Sequence[str], defaults: Tuple[Any, ...]) -> Any:
    import collections

    return collections.namedtuple(name, fields, defaults=defaults)


def _enumeration(name: str, bases: Tuple[Any, ...], members: List[Tuple[str, Any]]) -> Any:
    return bases[-1](name, members, **({"type": bases[0]} if len(bases) > 1 else {}))


def _type(name: str, meta: Any, bases: Tuple[type, ...], slots: Any) -> Any:
    return types.new_class(
        name,
        bases,
        {"metaclass": meta},
        lambda namespace: namespace.update({} if slots is None else {"__slots__": slots}),
    )


_CALLS: Dict[str, Callable[..., Any]] = {"namedtuple": _namedtuple, "enum": _enumeration, "type": _type}


# --- envelopes


def load(parts: Dict[str, bytes], modules: Modules) -> Tuple[Any, List[Any]]:
    """The call part of an envelope, and further classes. Raises SourceError, WrongPython, and what users' code does."""
    refuse(parts)
    _one_name_for_paths()
    try:
        call = SourceLoader(parts["call"], modules).load()
        more = sorted((key for key in parts if key.startswith("more.")), key=lambda key: int(key[5:]))
        return call, [SourceLoader(parts[key], modules).load() for key in more]
    except SyntaxError as error:  # of a module that came along
        raise SourceError(syntax_sentence(error, modules.home)) from error
    except (TypeError, AttributeError, NameError) as error:  # something that this version has not, mostly
        told = version(), modules.home, type(error).__name__, error
        raise SourceError("it cannot be loaded under Python %s (the program runs %s): %s: %s" % told) from error


def refuse(parts: Dict[str, bytes]) -> None:
    """Raise WrongPython if this is an envelope that says why there is nothing in it."""
    if "refused" in parts:
        told = parts["refused"].decode("utf-8", "replace"), version(), parts["python"].decode()
        raise WrongPython("%s; this worker runs Python %s, the program Python %s" % told)


def _one_name_for_paths() -> None:
    """Python 3.13 says that paths are of `pathlib._local`, which no other version has."""
    if sys.version_info[:2] == (3, 13):
        import pathlib

        for kind in vars(pathlib).values():
            if isinstance(kind, type) and kind.__module__ == "pathlib._local":
                kind.__module__ = "pathlib"
