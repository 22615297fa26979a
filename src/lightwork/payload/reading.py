"""Values from payloads: in the pickle itself, or in a region of an arena.

    no large buffers in it     -> read from the arena's own mapping; all is copied, the region is free at once
    large arrays               -> the region is mapped once more, privately: the arrays are views of it, writable (copy
                                  on write); the region is free when the last of them is gone

A view holds its region, and a descriptor. So there are limits, and past them arrays are copied as well.
"""

from __future__ import annotations

import itertools
import mmap
import pickle
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lightwork.wire import segments

VIEWS_MAX = 128
_PICKLE = b"\x80"  # how every pickle begins
_CLASS_BY_VALUE = b"_class_setstate"  # what cloudpickle writes when a class comes by value
_LOOKED_AT = 64 << 10
_TINY = 64  # no class by value is so short


class Mapped(Protocol):
    """What we need of an arena (lightwork.store.arena.Arena)."""

    capacity: int

    def view(self, offset: int, size: int) -> memoryview:
        """The arena's own memory."""

    def private(self, offset: int, size: int) -> mmap.mmap:
        """A mapping of this region alone, copy on write."""


def unpack_value(payload: bytes) -> Any:
    """The value of a payload that lies in memory of its own; raises whatever unpickling raises."""
    if len(payload) < _TINY or _CLASS_BY_VALUE not in payload:
        if payload[:1] == _PICKLE:
            return pickle.loads(payload)
    data, *buffers = segments.split(memoryview(payload))
    return _load(data, [bytearray(buffer) for buffer in buffers])


def unpack_memory(payload: memoryview) -> Any:
    """The value of a payload whose memory nobody else uses: arrays are views of it, and writable if it is."""
    data, *buffers = segments.split(payload)
    return _load(data, buffers)


def _load(data: memoryview, buffers: Sequence[object]) -> Any:
    if _CLASS_BY_VALUE in data[:_LOOKED_AT].tobytes() or len(data) > _LOOKED_AT:
        from lightwork.payload import unpickling  # cloudpickle takes its time to import

        return unpickling.Unpickler(data, buffers).load()
    return pickle.loads(data, buffers=buffers)


class ArenaReader:
    """Reads results from the node's arena. `released(offset)` is called once for each read, from any thread."""

    def __init__(self, arena: Mapped, released: Callable[[int], object]) -> None:
        self._arena = arena
        self._released = released
        self._mapped: dict[int, int] = {}  # number of the mapping -> size
        self._numbers = itertools.count()

    def read(self, offset: int, size: int) -> Any:
        """The value in a region; raises whatever unpickling raises, and releases the region then as well."""
        parts = segments.split(self._arena.view(offset, size))
        private = self._map(offset, size) if len(parts) > 1 else None
        if private is not None:
            data, *buffers = segments.split(memoryview(private))
            return _load(data, buffers)
        try:
            return _load(parts[0], [bytearray(part) for part in parts[1:]])
        finally:
            self._released(offset)

    def _map(self, offset: int, size: int) -> mmap.mmap | None:
        """A private mapping that releases the region when it dies; None past the limits."""
        held = sum(list(self._mapped.values()))
        if len(self._mapped) >= VIEWS_MAX or held + size > self._arena.capacity // 2:
            return None
        try:
            private = self._arena.private(offset, size)
        except OSError:  # no descriptor or address space left: then it is copied
            return None
        number = next(self._numbers)
        self._mapped[number] = size
        weakref.finalize(private, self._dropped, number, offset).atexit = False
        return private

    def _dropped(self, number: int, offset: int) -> None:
        del self._mapped[number]
        self._released(offset)
