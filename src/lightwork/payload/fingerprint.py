"""A fingerprint of a job's arguments: equal arguments have equal ones, in every process, whatever the hash seed.

    value --canonical form--> blake2b, 16 bytes

A pickle will not do: the same value is pickled in different ways, for sets come in the order of their hashes, and what
is one object here may be two equal ones there. So values are taken apart, and each container is hashed over the hashes
of what it holds:

    numbers, text, bytes     their type and value: 1, 1.0 and True differ
    tuple, list              items in order           dict     items in the order in which they were put in
    set, frozenset           items sorted by hash     arrays   of numbers: type, shape, bytes
    functions                module, name, code, defaults, what they close over
    classes, modules         by name
    other objects            what their own pickling says of them (`__reduce_ex__`), taken apart likewise

Limits: an object whose pickling differs from time to time (a clock, a number drawn at random, its address) has another
fingerprint each time; the code of a function differs between minor versions of Python. Attributes of functions, and
globals that they use, are not looked at.
"""

from __future__ import annotations

import copyreg
import hashlib
import pickle
import struct
import sys
from array import array
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from lightwork.model.errors import CannotTravel

SIZE = 16  # bytes

_SHORT = 64 << 10  # atoms that are longer are hashed by themselves

_Part = bytes | memoryview


def fingerprint(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Of one job's arguments; keyword arguments count by name, in any order. CannotTravel: they cannot be told."""
    walk = _Walk()
    try:
        named = [walk.hash(part) for name in sorted(kwargs) for part in (name, kwargs[name])]
        return _digest(b"arguments", [walk.hash(args), *named])
    except RecursionError:
        raise CannotTravel("The arguments are nested too deeply to be compared with those of another job.") from None


def _digest(kind: bytes, parts: Iterable[_Part]) -> bytes:
    """Of a container, by what stands for each thing in it. Lengths go first, so that no two lists look alike."""
    found = list(parts)
    lengths = array("Q", map(len, found))
    if sys.byteorder == "big":
        lengths.byteswap()
    made = hashlib.blake2b(b"%s %d " % (kind, len(found)), digest_size=SIZE)
    made.update(lengths.tobytes())
    made.update(found[0] if len(found) == 1 else b"".join(found))
    return made.digest()


class _Walk:
    """Through one set of arguments. What occurs twice is looked at once; what contains itself ends."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        self._held: list[Any] = []  # so that no number in `_known` comes to mean something else
        self._above: dict[int, int] = {}  # objects that we are inside of, with their depth
        self._lowest = 1 << 30  # the depth of the outermost one that was met again

    def hash(self, value: Any) -> bytes:
        """What stands for any value: of short atoms themselves, of the rest a hash."""
        atom = _ATOMS.get(type(value))
        if atom is not None:
            name, write = atom
            written = write(value)
            return name + written if len(written) <= _SHORT else _digest(name, [written])
        identity = id(value)
        known = self._known.get(identity)
        if known is not None:
            return known
        if identity in self._above:
            depth = self._above[identity]
            self._lowest = min(self._lowest, depth)
            return _digest(b"above", [struct.pack("<I", len(self._above) - depth)])
        return self._inside(value, identity)

    def _inside(self, value: Any, identity: int) -> bytes:
        depth = len(self._above)
        outer, self._lowest = self._lowest, 1 << 30
        self._above[identity] = depth
        try:
            made = self._take_apart(value)
        finally:
            del self._above[identity]
        if self._lowest >= depth:  # else it holds something that it lies in: its hash is true for this place alone
            self._known[identity] = made
            self._held.append(value)
            self._lowest = outer
        else:
            self._lowest = min(self._lowest, outer)
        return made

    def _take_apart(self, value: Any) -> bytes:
        kind = type(value)
        if kind in (tuple, list):
            return _digest(kind.__name__.encode(), map(self.hash, value))
        if kind is dict:
            return _digest(b"dict", [part for item in value.items() for part in map(self.hash, item)])
        if kind in (set, frozenset):
            return _digest(kind.__name__.encode(), sorted(map(self.hash, value)))
        if (kind.__module__, kind.__name__) in _ARRAYS and (made := _array(value)) is not None:
            return made
        for family, how in _FAMILIES:
            if isinstance(value, family):
                return how(self, value)
        return self._object(value)

    # --- by name, and code ---

    def _named(self, value: Any) -> bytes:
        home = getattr(value, "__module__", None) or ""
        return _digest(b"name", [home.encode(), getattr(value, "__qualname__", value.__name__).encode()])

    def _function(self, value: FunctionType) -> bytes:
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        more = (value.__defaults__, value.__kwdefaults__, cells)
        return _digest(b"function", [self._named(value), self._code(value.__code__), *map(self.hash, more)])

    def _method(self, value: Any) -> bytes:
        return _digest(b"method", [value.__name__.encode(), self.hash(value.__self__)])

    def _builtin(self, value: BuiltinFunctionType) -> bytes:
        home = value.__self__
        bound = home is not None and not isinstance(home, ModuleType | type)
        return self._method(value) if bound else self._named(value)

    def _module(self, value: ModuleType) -> bytes:
        return _digest(b"module", [value.__name__.encode()])

    def _code(self, code: CodeType) -> bytes:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        return _digest(b"code", [code.co_code, *map(self.hash, (*names, *counts, code.co_consts))])

    # --- by what pickling says ---

    def _buffer(self, value: pickle.PickleBuffer) -> bytes:
        return _digest(b"bytes", [value.raw()])

    def _object(self, value: Any) -> bytes:
        reduced = self._reduced(value)
        if isinstance(reduced, str):
            return _digest(b"global", [reduced.encode(), (getattr(value, "__module__", None) or "").encode()])
        make, args, *rest = reduced
        state, items, pairs = (*rest, None, None, None)[:3]
        if isinstance(value, set | frozenset):  # it gives its items as a list, in the order of their hashes
            args, items = (), sorted(map(self.hash, value))
        parts = [self.hash(make), self.hash(tuple(args)), self.hash(state)]
        parts += [self.hash(item) for item in items or ()]
        parts.append(b"pairs")
        parts += [self.hash(part) for pair in pairs or () for part in pair]
        return _digest(b"object", parts)

    def _reduced(self, value: Any) -> Any:
        try:
            registered = copyreg.dispatch_table.get(type(value))
            return registered(value) if registered is not None else value.__reduce_ex__(5)
        except RecursionError:
            raise
        except Exception as error:
            name = type(value).__qualname__
            raise CannotTravel(
                f"The arguments of a job with a key hold a {name}, which cannot be compared with another: {error}"
            ) from error


_ARRAYS = {("numpy", "ndarray"), ("array", "array")}


def _array(value: Any) -> bytes | None:
    """However its memory is laid out; None: its items are no plain numbers."""
    try:
        view = memoryview(value)
    except (ValueError, TypeError):  # dates
        return None
    if "O" in view.format:
        return None
    shape = b"".join(struct.pack("<q", length) for length in view.shape or ())
    data = view.cast("B") if view.c_contiguous and view.nbytes else view.tobytes()
    return _digest(b"array", [view.format.encode(), shape, data])


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is cell.cell_contents
    except ValueError:  # a function that refers to itself, before it has its name
        return False


# The type stands in front; none of these words begins another.
_ATOMS: dict[type, tuple[bytes, Callable[[Any], Any]]] = {
    type(None): (b"None", lambda value: b""),
    bool: (b"bool", lambda value: b"1" if value else b"0"),
    int: (b"int ", lambda value: b"%x" % value),
    float: (b"float", struct.Struct("<d").pack),
    complex: (b"complex", lambda value: struct.pack("<dd", value.real, value.imag)),
    str: (b"str ", lambda value: value.encode("utf-8", "surrogatepass")),
    bytes: (b"bytes ", lambda value: value),
    bytearray: (b"bytearray ", lambda value: memoryview(value).cast("B")),
    type(...): (b"...", lambda value: b""),
    type(NotImplemented): (b"NotImplemented", lambda value: b""),
}
_FAMILIES: tuple[tuple[Any, Callable[[_Walk, Any], bytes]], ...] = (
    (type, _Walk._named),
    (FunctionType, _Walk._function),
    (MethodType, _Walk._method),
    (BuiltinFunctionType, _Walk._builtin),
    (ModuleType, _Walk._module),
    (CodeType, _Walk._code),
    (pickle.PickleBuffer, _Walk._buffer),
)
