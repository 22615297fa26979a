"""How a node of its own is made for tests, and what they ask of it."""

from __future__ import annotations

import pickle
from pathlib import Path

from lightwork.node.service.own_arenas import OwnArenas
from lightwork.wire.segments import split

MB = 1 << 20


class Lone:
    """How a node of its own is made."""

    def __init__(self, directory: Path, capacity: int = 64 * MB, portable: bool = False) -> None:
        self.own = OwnArenas(directory, portable=portable, capacity=capacity)
        own = self.own
        self.options = {"arenas": own.places, "arguments": own.arguments, "results": own.results, "portable": portable}
        self.arguments, self.results = own.arguments, own.results


def unused(lone):
    """Whether nothing lies in its shared memory."""
    return lone.arguments.regions.used == lone.results.regions.used == 0


def value_of(payload):
    """What was pickled."""
    first, *rest = split(memoryview(payload))
    return pickle.loads(first, buffers=rest)


def size_of(data):
    """A job: how long its argument is, and how it begins and ends."""
    return len(data), data[:1], data[-1:]


class Stuck:
    """A source that gives its first half, and the rest when it is let."""

    def __init__(self, scheduler, message, data) -> None:
        self.scheduler, self.message, self.data = scheduler, message, data
        self.half = len(data) // 2
        self.free = self.closed = False
        scheduler.stuck.append(self)

    def read(self, size):
        if not self.free and len(self.data) <= self.half:
            return None
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    def let(self):
        self.free = True
        self.scheduler.link.ready(self.message.stream)

    def close(self):
        self.closed = True
