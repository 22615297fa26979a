"""Unpickling what may bring classes by value.

A class of the user's that went to a worker comes back with its instances, by value, under the number that cloudpickle
gave it. It is our own class then, and must stay as it is: cloudpickle itself would set all its attributes anew, and
replace its methods by copies that look at copies of the program's globals.
"""

from __future__ import annotations

import mmap
import pickle
import sys
from collections.abc import Sequence
from typing import Any

from cloudpickle import cloudpickle as cloud

_NEWLINE = 10
_HUGE_PAGE = 2 << 20
_HUGE = 4 << 20  # bytes objects from here on


class _Source:
    """A file over memory, which copies nothing but what is asked for; large bytes straight to where they shall be."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else self._at + size
        piece = self._data[self._at : end].tobytes()
        self._at += len(piece)
        return piece

    def readline(self) -> bytes:
        end = self._at
        while end < len(self._data) and self._data[end] != _NEWLINE:
            end += 1
        return self.read(end + 1 - self._at)

    def readinto(self, target: memoryview) -> int:
        piece = self._data[self._at : self._at + len(target)]
        if len(target) >= _HUGE:
            _ask_for_huge_pages(target)
        target[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _ask_for_huge_pages(target: memoryview) -> None:
    """Fresh memory comes page by page, which costs more than the copy: 2 MiB at a time it takes a third of the time."""
    if sys.platform != "linux":
        return
    import ctypes

    try:
        advise = ctypes.CDLL(None).madvise
        begin = ctypes.addressof(ctypes.c_char.from_buffer(target))
    except (OSError, AttributeError, TypeError):  # no such C library, or memory of another kind: then without
        return
    low, high = -(-begin // _HUGE_PAGE) * _HUGE_PAGE, (begin + len(target)) // _HUGE_PAGE * _HUGE_PAGE
    if low < high:
        advise(ctypes.c_void_p(low), ctypes.c_size_t(high - low), mmap.MADV_HUGEPAGE)


class Unpickler(pickle.Unpickler):
    """The standard one, over memory; but classes that this process knows are left alone."""

    def __init__(self, data: memoryview, buffers: Sequence[Any] = ()) -> None:
        super().__init__(_Source(data), buffers=buffers)
        self._ours: set[int] = set()

    def find_class(self, module: str, name: str) -> Any:
        """Functions of cloudpickle that make classes, by ours."""
        if module == cloud.__name__:
            if name in ("_make_skeleton_class", "_make_skeleton_enum"):
                return self._making(getattr(cloud, name), 4 if name == "_make_skeleton_class" else 5)
            if name == "_class_setstate":
                return self._set_state
        return super().find_class(module, name)

    def _making(self, make: Any, at: int) -> Any:
        def make_or_find(*parts: Any) -> type:
            known = cloud._DYNAMIC_CLASS_TRACKER_BY_ID.get(parts[at])
            if known is None:
                made: type = make(*parts)
                return made
            self._ours.add(id(known))
            found: type = known
            return found

        return make_or_find

    def _set_state(self, kind: type, state: Any) -> type:
        if id(kind) in self._ours:
            return kind
        made: type = cloud._class_setstate(kind, state)
        return made
