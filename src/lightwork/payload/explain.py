"""What cannot travel, and where it is captured: "the global 'conn' used by function helper is a socket, ..."

The pickler only says what it refused. So after a failure, and only then, we walk from what the user gave into
closures, globals, defaults, attributes and containers, to the smallest thing that cannot be pickled by itself.
"""

from __future__ import annotations

import functools
import io
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from lightwork.model.errors import CannotTravel, UserError
from lightwork.payload import names
from lightwork.payload.untravellable import describe

DEPTH_MAX = 40
LOOKS_MAX = 3000  # objects tried, then we name what we have

_PLAIN = (int, float, complex, bool, str, bytes, bytearray, type(None), type(Ellipsis))


class Place(NamedTuple):
    """Where something is: a noun, and the way on from there ("argument 2", "['a'][0]"), and who led us there."""

    noun: str
    way: str = ""
    through: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.noun}, at {self.way}," if self.way else self.noun

    def into(self, accessor: str) -> Place:
        return self._replace(way=self.way + accessor)

    def of(self, relation: str, owner: str) -> Place:
        return Place(f"{relation} {owner}", "", (*self.through, owner))


Child = tuple[Place, Any]


@contextmanager
def explained(roots: Mapping[str, object]) -> Iterator[None]:
    """What fails in here to be pickled becomes a CannotTravel that says what it is and which root captured it.

    Keys of `roots` are the public names of arguments; "args" and "kwargs" are the job's own.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a __reduce__ or __getstate__ of the user's may raise anything
        raise _explain(roots, error) from error


def _explain(roots: Mapping[str, object], error: Exception) -> CannotTravel:
    search = _Search()
    for place, value in _named_roots(roots):
        found = search.find(place, value, 0)
        if found is not None:
            return _sentence(*found)
    return CannotTravel(f"{' and '.join(roots)} cannot travel to another process: {_reason(error)}")


def _named_roots(roots: Mapping[str, object]) -> Iterator[Child]:
    for key, value in roots.items():
        if key in ("args", "setup_args"):
            owner = "" if key == "args" else " of setup"
            assert isinstance(value, tuple)
            yield from ((Place(f"argument {at + 1}{owner}"), item) for at, item in enumerate(value))
        elif key in ("kwargs", "depends"):
            noun = "argument" if key == "kwargs" else "depends: the name"
            assert isinstance(value, dict)
            yield from ((Place(f"{noun} '{name}'"), item) for name, item in value.items())
        else:
            yield Place(f"the {key}"), value


def _sentence(place: Place, value: Any, error: Exception | None) -> CannotTravel:
    what, hint = describe(value)
    if error is None:
        text = f"{place} is {what}, which cannot travel to another process"
    else:
        text = f"{place} is {what} and cannot travel to another process: {_reason(error)}"
    through = place.through[:-1]
    if through:
        text += f" (reached through {', '.join(through)})"
    return CannotTravel(text + ".", hint=hint)


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


class _Search:
    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}  # holds what it has seen: a dead object's id may be used again
        self._looks = 0

    def find(self, place: Place, value: Any, depth: int) -> tuple[Place, Any, Exception | None] | None:
        """The innermost thing that cannot be pickled, or None if `value` can be."""
        if type(value) in _PLAIN or id(value) in self._seen or self._looks >= LOOKS_MAX:
            return None
        self._seen[id(value)] = value
        self._looks += 1
        error = _refusal(value)
        if error is None:
            return None
        if describe(value).known:
            return place, value, None
        if depth < DEPTH_MAX:
            for inner, child in children(place, value):
                found = self.find(inner, child, depth + 1)
                if found is not None:
                    return found
        return place, value, error


def _refusal(value: Any) -> Exception | None:
    """Why it cannot be pickled, or None. Nothing is kept of what was written."""
    from lightwork.payload import pickling

    try:
        pickling.Pickler(_Nowhere(), pickling.Record(), take=lambda buffer: False).dump(value)
    except Exception as error:  # noqa: BLE001 - see `explained`
        return error
    return None


class _Nowhere(io.RawIOBase):
    def write(self, data: Any) -> int:
        return len(data)


# --- what is inside ---


def children(place: Place, value: Any) -> Iterator[Child]:
    """The parts of a value that travel with it, each with where it is."""
    if isinstance(value, types.FunctionType):
        yield from _of_function(place, value)
    elif isinstance(value, types.MethodType):
        yield place.of("the object that is bound to", f"method {value.__qualname__}"), value.__self__
        yield place, value.__func__
    elif isinstance(value, functools.partial):
        yield place.of("the function of", "the partial"), value.func
        yield from ((place.of(f"argument {at + 1} of", "the partial"), part) for at, part in enumerate(value.args))
        yield from ((place.of(f"argument '{key}' of", "the partial"), part) for key, part in value.keywords.items())
    elif isinstance(value, staticmethod | classmethod):
        yield place, value.__func__
    elif isinstance(value, property):
        yield from ((place, part) for part in (value.fget, value.fset, value.fdel) if part is not None)
    elif isinstance(value, type):
        yield from _of_class(place, value)
    else:
        yield from _of_container(place, value)
        yield from _of_instance(place, value)


def _of_function(place: Place, function: types.FunctionType) -> Iterator[Child]:
    owner = f"function {names.name_of(function)}"
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield place.of(f"the variable '{name}' captured by", owner), cell.cell_contents
        except ValueError:  # an empty cell: a variable that has no value yet
            continue
    for name in sorted(names.globals_of(function.__code__)):
        if name in function.__globals__:
            yield place.of(f"the global '{name}' used by", owner), function.__globals__[name]
    parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    for name, part in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True):
        yield place.of(f"the default of '{name}' in", owner), part
    for name, part in (function.__kwdefaults__ or {}).items():
        yield place.of(f"the default of '{name}' in", owner), part
    for name, part in function.__dict__.items():
        yield place.of(f"the attribute '{name}' of", owner), part
    for name, part in function.__annotations__.items():
        yield place.of(f"the annotation of '{name}' in", owner), part


def _of_class(place: Place, kind: type) -> Iterator[Child]:
    owner = f"class {kind.__qualname__}"
    for name, part in list(kind.__dict__.items()):
        if name not in ("__dict__", "__weakref__"):
            yield place.of(f"the attribute '{name}' of", owner), part
    yield from ((place.of("the base of", owner), base) for base in kind.__bases__)


def _of_container(place: Place, value: Any) -> Iterator[Child]:
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield place.into(f"[{_short(key)}]"), part
            yield place.into(" a key"), key
    elif isinstance(value, list | tuple):
        yield from ((place.into(f"[{at}]"), part) for at, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((place.into(" an element"), part) for part in value)


def _of_instance(place: Place, value: Any) -> Iterator[Child]:
    try:
        state = value.__reduce_ex__(5)
    except Exception:  # noqa: BLE001 - that is what we are looking for; its attributes may tell more
        state = ()
    known: dict[str, Any] = {}
    for holder in (getattr(value, "__dict__", None), _slots(value)):
        known.update(holder if isinstance(holder, dict) else {})
    yield from ((place.into(f".{name}"), part) for name, part in known.items())
    if isinstance(state, tuple):
        yield from ((place, part) for part in state[1:3] if part is not None)
    yield place.of("the class of", str(place)), type(value)


def _slots(value: Any) -> dict[str, Any]:
    found = {}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def _short(key: Any) -> str:
    shown = repr(key)
    return shown if len(shown) <= 40 else shown[:37] + "..."
