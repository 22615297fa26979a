"""Attempts that wait on this node, in the order in which they shall start.

They stay in the columns in which they came: taking the next 500 is four slices, whatever they hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from lightwork.node.core.computations import Definition
from lightwork.node.core.needs import cpus_of
from lightwork.wire.channel import IN_ARENA_BIT
from lightwork.wire.messages import JobOptions

LENGTH_MASK = IN_ARENA_BIT - 1
JOIN_JOBS_MAX = 64
JOIN_BYTES_MAX = 64 << 10


class Batch(Struct, eq=False):
    """Consecutive attempts of one computation with one set of options; those before `at` have gone on."""

    definition: Definition
    options: JobOptions
    tokens: list[int]
    lengths: list[int]
    body: bytes | memoryview
    at: int = 0
    position: int = 0  # of the first remaining payload in body
    number: int = 0  # under which it waited, or waits, for what had to be fetched
    apart: int = 0  # size of its argument, which is still to be fetched; then this is a single attempt

    def __len__(self) -> int:
        return len(self.tokens) - self.at

    def take(self, count: int) -> Batch:
        """The next `count` attempts, as a batch of their own."""
        if count == len(self.tokens):
            self.at = count
            return Batch(self.definition, self.options, self.tokens, self.lengths, self.body)
        start, stop = self.at, self.at + count
        lengths = self.lengths[start:stop]
        end = self.position + size_of(lengths)
        body = self.body[self.position : end]
        self.at, self.position = stop, end
        return Batch(self.definition, self.options, self.tokens[start : start + count], lengths, body)

    def fitting(self, count: int, size_max: int) -> int:
        """How many of the next `count` payloads are within `size_max` together; at least one."""
        size = 0
        for number, length in enumerate(self.lengths[self.at : self.at + count]):
            size += length & LENGTH_MASK
            if size > size_max:
                return max(number, 1)
        return count

    def split(self, apart: dict[int, int]) -> list[Batch]:
        """Each attempt whose argument is still elsewhere (`apart`: their sizes) as a batch of its own; in order."""
        parts: list[Batch] = []
        for at, token in enumerate(self.waiting(), self.at):
            if token in apart:
                if at > self.at:
                    parts.append(self.take(at - self.at))
                parts.append(self.take(1))
                parts[-1].apart = apart[token]
        return [*parts, self.take(len(self))] if len(self) else parts

    def arrived(self, payload: bytes, in_arena: bool) -> None:
        """Its argument is here: `payload`, or what that refers to."""
        self.body, self.apart = payload, 0
        self.lengths = [len(payload) | (IN_ARENA_BIT if in_arena else 0)]

    def without(self, tokens: set[int]) -> tuple[Batch, Batch]:
        """Two batches of what remains: those not in `tokens`, and those in it."""
        return self._picked(tokens, False), self._picked(tokens, True)

    def waiting(self) -> list[int]:
        """The tokens that remain."""
        return self.tokens[self.at :] if self.at else self.tokens

    def _picked(self, tokens: set[int], inside: bool) -> Batch:
        picked, lengths, parts, at = [], [], [], self.position
        for token, length in zip(self.tokens[self.at :], self.lengths[self.at :], strict=True):
            end = at + (length & LENGTH_MASK)
            if (token in tokens) == inside:
                picked.append(token)
                lengths.append(length)
                parts.append(self.body[at:end])
            at = end
        body = b"".join(parts)
        return Batch(self.definition, self.options, picked, lengths, body, number=self.number, apart=self.apart)


def size_of(lengths: list[int]) -> int:
    """Bytes of payloads with these lengths (which may carry IN_ARENA_BIT)."""
    total = sum(lengths)
    return total if total < IN_ARENA_BIT else sum(length & LENGTH_MASK for length in lengths)


class Held:
    """Batches whose computation is ready, in order; and those that wait for a computation, for files or an argument."""

    def __init__(self) -> None:
        self.ready: deque[Batch] = deque()
        self.count = 0  # attempts in `ready`
        self._waiting: list[Batch] = []
        self._fetching: dict[int, Batch] = {}
        self._numbers = 0

    def add(self, batch: Batch) -> None:
        """At the end of those that are ready; small neighbours become one."""
        self.count += len(batch)
        if self.ready and self._join(self.ready[-1], batch):
            return
        self.ready.append(batch)

    def put_back(self, batches: Iterable[Batch]) -> None:
        """Attempts that had gone on stand first again, in this order."""
        for batch in reversed(list(batches)):
            if len(batch):
                self.ready.appendleft(batch)
                self.count += len(batch)

    def wait(self, batch: Batch) -> None:
        """Its computation is not ready."""
        self._waiting.append(batch)

    def suspend(self, definition: Definition) -> None:
        """It is no longer ready: those in line wait again."""
        self._waiting += [batch for batch in self.ready if batch.definition is definition]
        self.ready = deque(batch for batch in self.ready if batch.definition is not definition)
        self.count = sum(map(len, self.ready))

    def fetch(self, batch: Batch) -> int:
        """Its files, or its argument, are not here; the number under which it waits."""
        self._numbers += 1
        batch.number = self._numbers
        self._fetching[batch.number] = batch
        return batch.number

    def fetched(self, number: int) -> Batch | None:
        """The batch that waited for this, if it still does."""
        return self._fetching.pop(number, None)

    def release(self, definition: Definition) -> list[Batch]:
        """Those that waited for this computation."""
        freed = [batch for batch in self._waiting if batch.definition is definition]
        self._waiting = [batch for batch in self._waiting if batch.definition is not definition]
        return freed

    def remove(self, tokens: set[int]) -> list[int]:
        """Take these out, wherever they wait; those that were here."""
        found: list[int] = []
        self.ready = deque(self._sift(self.ready, tokens, found))
        self._waiting = list(self._sift(self._waiting, tokens, found))
        self._fetching = {batch.number: batch for batch in self._sift(self._fetching.values(), tokens, found)}
        self.count = sum(map(len, self.ready))
        return found

    def remove_of(self, definitions: list[Definition]) -> list[int]:
        """Take out all of these computations."""
        ids = {id(definition) for definition in definitions}
        return self.remove({token for batch in self._all() if id(batch.definition) in ids for token in batch.waiting()})

    def larger_than(self, capacity: int) -> list[int]:
        """Those that need more than so much room."""
        return [token for one in self._all() if cpus_of(one.options) > capacity for token in one.waiting()]

    def tokens(self) -> list[int]:
        """All that wait here."""
        return [token for batch in self._all() for token in batch.waiting()]

    def _all(self) -> list[Batch]:
        return [*self.ready, *self._waiting, *self._fetching.values()]

    @staticmethod
    def _sift(batches: Iterable[Batch], tokens: set[int], found: list[int]) -> Iterable[Batch]:
        for batch in batches:
            if tokens.isdisjoint(batch.waiting()):
                yield batch
                continue
            kept, taken = batch.without(tokens)
            found += taken.tokens
            if kept.tokens:
                yield kept

    @staticmethod
    def _join(last: Batch, batch: Batch) -> bool:
        if last.definition is not batch.definition or len(last.tokens) + len(batch) > JOIN_JOBS_MAX:
            return False
        if len(last.body) + len(batch.body) > JOIN_BYTES_MAX or last.options != batch.options or last.options.files:
            return False
        last.tokens = last.tokens + batch.waiting()
        last.lengths = last.lengths + batch.lengths[batch.at :]
        last.body = b"".join((last.body, batch.body[batch.position :]))
        return True
