"""Results on their way out: pickled without needless copies, and if they cannot be, what exactly is in the way.

One pickler lives as long as the worker. Its file is the `append` of a list: a small result comes as one piece, and
large bytes come as themselves, uncopied (protocol 5 writes them past its frames); arrays come as buffers. What is large
is put together only in shared memory.
"""

from __future__ import annotations

import _pickle
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from lightwork.wire.segments import plan
from lightwork.wire.shared_file import INLINE_MAX

OUT_OF_BAND_MIN = 64 * 1024  # smaller buffers are cheaper inside the pickle
_WALK_MAX = 2_000  # objects looked at to find what cannot travel
_DEPTH_MAX = 12

home = ""  # the version of Python of the program that wants the results, if it is not ours: then no code can be sent


class Parts(NamedTuple):
    """A payload too large for the ring: `pieces` go to these offsets, `size` bytes in all."""

    pieces: List[Any]
    offsets: List[int]
    size: int

    def join(self) -> bytes:
        """The payload in one piece."""
        whole = bytearray(self.size)
        self.write(memoryview(whole))
        return bytes(whole)

    def write(self, target: memoryview) -> None:
        """Copy the payload to where it shall be."""
        for offset, piece in zip(self.offsets, self.pieces):
            with memoryview(piece) as view, view.cast("B") as flat:
                target[offset : offset + flat.nbytes] = flat

    def save(self, file: BinaryIO) -> None:
        """Write the payload to an empty file. Raises OSError."""
        for offset, piece in zip(self.offsets, self.pieces):
            file.seek(offset)
            with memoryview(piece) as view, view.cast("B") as flat:
                file.write(flat)
        file.truncate(self.size)


Payload = Union[bytes, Parts]


class _File:
    """What the pickler takes for a file."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


class Packer:
    """Pickles results, again and again."""

    def __init__(self) -> None:
        self._fresh()

    def _fresh(self) -> None:
        self._pieces: List[Any] = []
        self._buffers: List[memoryview] = []
        file = _File(self._pieces.append)
        self._pickler = _pickle.Pickler(file, 5, buffer_callback=self._out_of_band)
        self._dump, self._forget = self._pickler.dump, self._pickler.clear_memo

    def _out_of_band(self, buffer: Any) -> bool:
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND_MIN:
            return True
        self._buffers.append(view)
        return False

    def pack(self, value: Any) -> Payload:
        """The payload of a value: bytes, or Parts above INLINE_MAX. Raises whatever pickling raises."""
        pieces = self._pieces
        try:
            self._dump(value)
            if len(pieces) == 1 and not self._buffers and len(pieces[0]) <= INLINE_MAX:
                only: bytes = pieces.pop()
                self._forget()
                return only
        except Exception:
            self._fresh()
            self._dump_by_value(value)
        except BaseException:
            self._fresh()
            raise
        payload = self._assemble()
        self._fresh()
        return payload

    def _dump_by_value(self, value: Any) -> None:
        """Functions and classes of `__main__`, lambdas and the like: by value, which the plain pickler cannot."""
        file = _File(self._pieces.append)
        try:
            _by_value()(file, protocol=5, buffer_callback=self._out_of_band).dump(value)
        except BaseException:
            self._fresh()
            raise

    def _assemble(self) -> Payload:
        pieces, buffers = self._pieces, self._buffers
        lengths = [len(piece) if isinstance(piece, bytes) else memoryview(piece).nbytes for piece in pieces]
        if not buffers:
            offsets, size = _running(lengths, 0)
        else:
            header, places, size = plan([sum(lengths)] + [view.nbytes for view in buffers])
            offsets = [0] + _running(lengths, places[0])[0] + places[1:]
            pieces = [header, *pieces, *buffers]
        parts = Parts(pieces, offsets, size)
        return parts if size > INLINE_MAX else parts.join()


def _running(lengths: List[int], at: int) -> Tuple[List[int], int]:
    offsets = []
    for length in lengths:
        offsets.append(at)
        at += length
    return offsets, at


def dumps(value: Any) -> bytes:
    """Pickle something of ours or the user's in one piece: plainly, else by value."""
    try:
        return _pickle.dumps(value, 5)
    except Exception:
        pieces: List[bytes] = []
        _by_value()(_File(pieces.append), protocol=5).dump(value)
        return b"".join(pieces)


def _by_value() -> Any:
    """The pickler for what the plain one cannot."""
    if home:
        from lightwork.worker.crossing import Pickler

        return Pickler
    import cloudpickle

    return cloudpickle.Pickler


def what_cannot_travel(value: Any, name: str = "result") -> Tuple[str, Any]:
    """The innermost part of `value` that cannot be pickled: where it is (`result['a'][3]`), and itself."""
    seen: Dict[int, None] = {}
    path, culprit = name, value
    for _ in range(_DEPTH_MAX):
        part = _first_bad_part(culprit, seen)
        if part is None:
            break
        path, culprit = path + part[0], part[1]
    return path, culprit


def _first_bad_part(value: Any, seen: Dict[int, None]) -> Optional[Tuple[str, Any]]:
    for label, part in _parts_of(value):
        if len(seen) > _WALK_MAX:
            return None
        if id(part) in seen:
            continue
        seen[id(part)] = None
        if not _travels(part):
            return label, part
    return None


def _travels(value: Any) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True


def _parts_of(value: Any) -> List[Tuple[str, Any]]:
    """What a value is made of, each with how one would write it."""
    if isinstance(value, dict):
        return [("[%.60r]" % (key,), part) for key, part in value.items()] + [(" key", key) for key in value]
    if isinstance(value, (list, tuple)):
        return [("[%d]" % index, part) for index, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [(" element", part) for part in value]
    parts: List[Tuple[str, Any]] = []
    code = getattr(value, "__code__", None)
    cells = getattr(value, "__closure__", None)
    if code is not None and cells:
        parts += [(" closure variable %r" % name, _content(cell)) for name, cell in zip(code.co_freevars, cells)]
    if code is not None:
        scope = getattr(value, "__globals__", {})
        parts += [(" global %r" % name, scope[name]) for name in code.co_names if name in scope]
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, type(_pickle)):
        parts.append((".__self__", owner))
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        parts += [(".%s" % key, part) for key, part in attributes.items()]
    return parts


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell
        return None


def type_name(value: Any) -> str:
    """`socket.socket`, or `set` for a builtin."""
    kind = value if isinstance(value, type) else type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)
