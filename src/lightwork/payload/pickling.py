"""Pickling by value, with a record of everything that went by reference.

cloudpickle decides: what an importable module offers under its name goes by reference, all else by value. The record
tells which modules the other side must therefore have, which classes it will know, and whose source to show in
tracebacks.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
import types
import weakref
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import cloudpickle
from cloudpickle import cloudpickle as cloud

from lightwork.payload import gather, modules
from lightwork.payload.sources import Sources

_CLASS_MAKERS = (cloud._make_skeleton_class, cloud._make_skeleton_enum)


class Record:
    """What one pickling met."""

    def __init__(self) -> None:
        self.references: set[str] = set()  # modules that the other side will import
        self.classes: dict[int, type] = {}  # that went by value
        self.codes: list[tuple[types.CodeType, str]] = []  # of functions by value, with their package
        self.sources = Sources()

    def function(self, function: types.FunctionType) -> None:
        """A function that goes by value."""
        names = function.__globals__
        package = names.get("__package__") or (names.get("__name__") or "").rpartition(".")[0]
        self.codes.append((function.__code__, str(package)))
        self.sources.add(function.__code__.co_filename, names)

    def homeless(self) -> list[types.ModuleType]:
        """Modules met by reference that no other process can import."""
        names = [name for name in self.references if name != "__main__" and modules.kind_of(name) == "homeless"]
        return [sys.modules[name] for name in names if getattr(sys.modules.get(name), "__name__", "") == name]

    def local_names(self) -> set[str]:
        """The local modules that go by name, or that functions by value import when they run."""
        found = set(self.references)
        for code, package in self.codes:
            found.update(modules.imports_of_code(code, package))
        return {name for name in found if modules.kind_of(name) == "local"}

    def local_files(self) -> modules.LocalFiles:
        """Their files, and those of the local modules that they import."""
        files = modules.LocalFiles()
        for name in sorted(self.local_names()):
            files.add(name)
        return files


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler, which keeps a record; classes that the other side `knows` (by id) go as their number."""

    def __init__(
        self,
        file: Any,
        record: Record,
        knows: Container[int] = (),
        take: Callable[[pickle.PickleBuffer], bool] | None = None,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=take)
        self._record = record
        self._knows = knows

    def reducer_override(self, obj: Any) -> Any:
        """Called for every object but numbers, strings and the plain containers."""
        if isinstance(obj, io.TextIOWrapper) and obj not in (sys.stdout, sys.stderr):
            raise TypeError("cannot pickle an open file")
        is_class = isinstance(obj, type)
        if is_class and id(obj) in self._knows:
            return class_by_number(obj)
        reduced = reduced_here(obj)
        if reduced is NotImplemented:
            reduced = super().reducer_override(obj)
        self._note(obj, is_class, reduced)
        if is_class and reduced is not NotImplemented and obj.__dict__.get("__slots__"):
            return _with_slots(obj, reduced)
        return reduced

    def _note(self, obj: Any, is_class: bool, reduced: Any) -> None:
        record = self._record
        by_value = reduced is not NotImplemented
        if isinstance(obj, types.ModuleType):
            record.references.add(obj.__name__)
        elif isinstance(obj, types.FunctionType) and by_value:
            record.function(obj)
        elif is_class and by_value:
            if reduced[0] in _CLASS_MAKERS:  # else it is one that has no name, as NoneType
                record.classes[id(obj)] = obj
        else:
            home = getattr(obj, "__module__", None)  # of an instance: its class's
            if isinstance(home, str):
                record.references.add(home)


def reduced_here(obj: Any) -> Any:
    """What cloudpickle leaves out: functions with a cache, and the weak dictionaries inside of singledispatch."""
    if isinstance(obj, _LRU):
        if getattr(sys.modules.get(obj.__module__), obj.__qualname__, None) is obj and obj.__module__ != "__main__":
            return NotImplemented
        options = obj.cache_parameters()
        parts = (obj.__wrapped__, options["maxsize"], options["typed"], functools._CacheInfo)
        return _LRU, parts, obj.__dict__
    if type(obj) is functools.cached_property:  # up to Python 3.11 it has a lock
        return functools.cached_property, (obj.func,), {"attrname": obj.attrname}
    if type(obj) in _WEAK:
        return type(obj), (dict(obj),)
    return NotImplemented


_LRU: Any = type(functools.lru_cache(len))
_WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary)


def _with_slots(kind: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """cloudpickle sets `__slots__` on the finished class, where it has no effect; a class must be made with them."""
    maker, parts, state, *rest = reduced
    if maker is not cloud._make_skeleton_class:
        return reduced
    slots = kind.__dict__["__slots__"]
    attributes = {name: value for name, value in state[0].items() if name != "__slots__"}
    parts = (*parts[:3], {**parts[3], "__slots__": slots}, *parts[4:])
    return (maker, parts, (attributes, state[1]), *rest)


def class_by_number(kind: type) -> tuple[Any, ...]:
    """How a class goes that the other side has by value: cloudpickle numbers these, and keeps them apart by it."""
    return cloud._lookup_class_or_track, (cloud._get_or_create_tracker_id(kind), None)


_by_value = threading.Lock()


@contextmanager
def _by_value_too(homeless: list[types.ModuleType]) -> Iterator[None]:
    if not homeless:
        yield
        return
    with _by_value:
        added = [module for module in homeless if module.__name__ not in cloudpickle.list_registry_pickle_by_value()]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


T = TypeVar("T")


def pickle_recorded(make_value: Callable[[Record], object], knows: Container[int] = ()) -> tuple[bytes, Record]:
    """Pickle what `make_value` builds around the record, whose sources fill while the pickler goes along."""

    def attempt(record: Record) -> bytes:
        file = io.BytesIO()
        Pickler(file, record, knows).dump(make_value(record))
        return file.getvalue()

    return _until_all_have_homes(attempt)


def gather_recorded(value: object, knows: Container[int] = ()) -> tuple[gather.Payload, Record]:
    """As `pickle_recorded`, for values that may be large."""

    def attempt(record: Record) -> gather.Payload:
        return gather.gather(value, lambda file, take: Pickler(file, record, knows, take))

    return _until_all_have_homes(attempt)


def _until_all_have_homes(attempt: Callable[[Record], T]) -> tuple[T, Record]:
    """Modules made at run time look importable to cloudpickle: what refers to one is pickled again, by value."""
    homeless: list[types.ModuleType] = []
    while True:
        record = Record()
        with _by_value_too(homeless):
            result = attempt(record)
        more = [module for module in record.homeless() if module not in homeless]
        if not more:
            return result, record
        homeless += more
