"""A job's arguments, pickled. Small ones cost one call of the C pickler and nothing else.

    pickle, protocol 5 -- no byte 0x93 in it: nothing of it goes by name, done
                       -- or every name belongs to an installed module or to one shipped with the computation
                       -- else: by value (cloudpickle), once the computation brings the local modules and the
                          classes of `__main__` that this needs (`Needs`), so that the next job names them only.
                          What then is still by value is bytecode: the job is for workers of our version of Python

Protocol 5 names functions and classes by STACK_GLOBAL alone, whose code is 0x93; a false alarm costs microseconds.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any

from lightwork.config import limits
from lightwork.payload import explain, gather, modules
from lightwork.payload.computation import PackedComputation, for_own_version, with_more
from lightwork.payload.gather import Payload
from lightwork.wire.messages import FUNCTION, Computation

_dumps = pickle.dumps
_BY_NAME = b"\x93"
_SUSPECT = 64 << 10  # arguments that alone are so large are not even tried in one piece
_LONG = frozenset((bytes, str))
_HEAVY = frozenset((bytes, str, bytearray))
_MAKERS = tuple(
    b"\x8c%c%s" % (len(name), name)
    for name in (b"_make_function", b"_make_skeleton_class", b"_make_skeleton_enum", b"CodeType")
)
_CODE = "the arguments of the job hold functions or classes that the program made"
_ATOMS = frozenset((int, float, bool, type(None)))


def pack_plain(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    """Numbers and short texts, which name nothing and are never large; None: not only such. The common case, 0.4 us."""
    for value in (*args, *kwargs.values()) if kwargs else args:
        kind = type(value)
        if kind not in _ATOMS and (kind not in _LONG or len(value) >= _SUSPECT):
            return None
    data = _dumps((args, kwargs), 5)
    return data if len(data) < limits.INLINE_MAX else None


class Needs(Exception):
    """Arguments need local modules, or classes of `__main__`, that the computation does not have with it."""

    def __init__(self, modules: Iterable[str], classes: Iterable[type]) -> None:
        super().__init__(*modules, *classes)
        self.modules = list(modules)
        self.classes = list(classes)


def pack_job(
    packed: PackedComputation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[PackedComputation, Payload]:
    """A job's arguments, and the computation it belongs to: another than `packed` if that has to bring more.

    One that is `pinned` is for this job alone: its arguments are nothing for other versions of Python.
    Raises CannotTravel naming the argument and the place in it.
    """
    try:
        payload = pack_arguments(args, kwargs, packed)
    except Needs as needs:
        packed = with_more(packed, needs.modules, needs.classes)
        payload = pack_arguments(args, kwargs, packed)
    if not packed.wire.untravellable and _has_code(payload):
        packed = for_own_version(packed, _CODE)
    return packed, payload


def _has_code(payload: Payload) -> bool:
    """Whether functions or classes go by value: cloudpickle says so by name, also in pickles inside of pickles."""
    if isinstance(payload, bytes):
        return _BY_NAME in payload and any(name in payload for name in _MAKERS)
    return any(name in piece for piece in payload.texts(_SUSPECT) for name in _MAKERS)


def pack_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], packed: PackedComputation | None = None) -> Payload:
    """Bytes, or a LargePayload to be written into a region. Raises Needs, CannotTravel."""
    for value in (*args, *kwargs.values()) if kwargs else args:
        if type(value) in _HEAVY and len(value) >= _SUSPECT:
            return _pack_carefully(args, kwargs, packed)
    buffers: list[pickle.PickleBuffer] = []
    try:
        data = _dumps((args, kwargs), 5, buffer_callback=buffers.append)
    except Exception:  # noqa: BLE001 - whatever it was, the careful way meets it again and explains it
        data = _BY_NAME
    if buffers or _BY_NAME in data or len(data) >= limits.INLINE_MAX:
        return _pack_carefully(args, kwargs, packed)
    return data


def _pack_carefully(args: tuple[Any, ...], kwargs: dict[str, Any], packed: PackedComputation | None) -> Payload:
    packed = packed or _ALONE
    payload = _pack_by_name(args, kwargs, packed)
    return payload or _pack_by_value(args, kwargs, packed)


def _pack_by_name(args: tuple[Any, ...], kwargs: dict[str, Any], packed: PackedComputation) -> Payload | None:
    try:
        return gather.gather((args, kwargs), lambda file, take: _ByName(file, take, packed))
    except Exception:  # noqa: BLE001 - not by name alone; if it cannot go by value either, that is explained
        return None


def _pack_by_value(args: tuple[Any, ...], kwargs: dict[str, Any], packed: PackedComputation) -> Payload:
    from lightwork.payload import pickling  # small arguments do without cloudpickle

    with explain.explained({"args": args, "kwargs": kwargs}):
        payload, record = pickling.gather_recorded((args, kwargs), packed.classes)
    missing = record.local_names() - packed.modules
    classes = [kind for kind in record.classes.values() if _is_of_main(kind)]
    if packed is not _ALONE and (missing or classes):
        raise Needs(sorted(missing), classes)
    return payload


def _is_of_main(kind: type) -> bool:
    """Whether it is one that stays: sending each class that is made for one job ahead of that job would not pay."""
    if kind.__module__ != "__main__":
        return False
    found: Any = sys.modules["__main__"]
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


class _NotByName(Exception):
    """Something in the arguments is of a module that the other side cannot import."""


_ALONE = PackedComputation(Computation("", FUNCTION, ""), {})
_installed: set[str] = {"builtins"}


class _ByName(pickle.Pickler):
    """The plain pickler; it stops at the first name that the other side could not import and does not know."""

    def __init__(self, file: Any, take: Callable[[pickle.PickleBuffer], bool], packed: PackedComputation) -> None:
        super().__init__(file, 5, buffer_callback=take)
        self._shipped = packed.modules
        self._known = packed.classes

    def reducer_override(self, obj: Any) -> Any:
        """Called for every object but numbers, strings and the plain containers."""
        if self._known and id(obj) in self._known:
            from lightwork.payload.pickling import class_by_number

            return class_by_number(obj)
        if type(obj) is MethodType and getattr(obj.__self__, obj.__name__, None) == obj:
            return NotImplemented  # by its name, of the object it is bound to
        home = getattr(obj, "__module__", None)  # of an instance: its class's
        if home not in _installed and home is not None and home not in self._shipped:
            if id(type(obj)) in self._known:
                return NotImplemented
            if not isinstance(home, str) or modules.kind_of(home) != "installed":
                raise _NotByName(home)
            _installed.add(home)
        return NotImplemented
