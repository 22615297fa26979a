"""The disk of a scheduler's host, and the journal that writes there, with everything that may go wrong in between.

    write(number, fact) --> pending --group commit, fsync--> rows --> durable(number)

Rows are bytes, as they are on a disk: what is changed after it was written does not change there. A journal is a
process of its own: when its scheduler is killed, it still writes an unknown part of what it was sent; when the machine
loses its power, what was not committed is gone, torn or not.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.ledger import Ledger
from tests.simulation.clock import MS, Clock, Killed, Process

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(fact.Fact).decode
COMPACT_AT = 200  # rows


class Disk:
    """What survives a scheduler."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.full = False
        self.owner: Journal | None = None  # whose writes count: a journal that was replaced writes nowhere
        self.seen: Callable[[fact.Fact], None] = lambda one: None  # told of each fact once it is on disk
        self.most = 0  # rows there ever were at once
        self.identity = "scheduler"
        self.compact_at = COMPACT_AT

    def replay(self) -> Ledger:
        """All that is known."""
        ledger = Ledger()
        for row in self.rows:
            ledger.apply(_decode(row))
        return ledger

    def compact(self, ledger: Ledger) -> None:
        """As few rows as it takes."""
        self.rows = [_encode(one) for one in ledger.facts()]

    def append(self, rows: list[tuple[bytes, fact.Fact]]) -> None:
        """They are safe now."""
        for row, one in rows:
            self.rows.append(row)
            self.seen(one)
        self.most = max(self.most, len(self.rows))
        if len(self.rows) > self.compact_at:
            self.compact(self.replay())
            self.compact_at = 2 * len(self.rows) + COMPACT_AT


def said(ledger: Ledger) -> list[bytes]:
    """A ledger in a form that can be compared."""
    return [_encode(one) for one in ledger.facts()]


class Journal:
    """Of one life of a scheduler."""

    def __init__(
        self, disk: Disk, clock: Clock, random: Random, process: Process, durable: Callable[[int], None]
    ) -> None:
        self._disk = disk
        self._clock = clock
        self._random = random
        self._process = process
        self._durable = durable
        self._pending: list[tuple[bytes, fact.Fact]] = []
        self._committing = 0  # how many of the pending ones
        self._reached = 0
        self.slow_ns = MS
        self.die_at_commit = ""  # "before" or "after" the next one
        self.on_full: Callable[[bool], None] = lambda full: None
        self._was_full = False
        disk.owner = self

    def write(self, one: fact.Fact) -> None:
        """It will be on disk."""
        self._pending.append((_encode(one), one))
        if not self._committing:
            self._begin()

    def _begin(self) -> None:
        self._committing = len(self._pending)
        delay = self.slow_ns + int(self._random.random() * self.slow_ns)
        self._clock.later(delay, self._process, self._commit)

    def _commit(self) -> None:
        if self._disk.owner is not self:
            raise Killed(self._process)  # somebody else has the state directory
        if self._disk.full:
            self._say_full(True)
            self._clock.later(200 * MS, self._process, self._commit)
            return
        self._say_full(False)
        if self.die_at_commit == "before":
            raise Killed(self._process)
        count, self._committing = self._committing, 0
        done, self._pending = self._pending[:count], self._pending[count:]
        self._disk.append(done)
        self._reached += count
        if self.die_at_commit == "after":
            raise Killed(self._process)
        if self._pending:
            self._begin()
        self._durable(self._reached)

    def _say_full(self, full: bool) -> None:
        if full != self._was_full:
            self._was_full = full
            self.on_full(full)

    def ends(self, *, power: bool) -> None:
        """Its scheduler is dead: a part of what it was sent is written all the same, unless the power is gone."""
        if self._disk.owner is self and not self._disk.full and self._pending:
            most = self._committing if power else len(self._pending)
            count = self._random.choice((0, most)) if power else self._random.randint(0, most)
            self._disk.append(self._pending[:count])
        if self._disk.owner is self:
            self._disk.owner = None
        self._pending = []

    @property
    def behind(self) -> int:
        """Facts that are not safe yet."""
        return len(self._pending)
