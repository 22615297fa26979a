"""A durable core and its disk, for tests: what was recorded, as bytes, and lives that begin with it."""

from __future__ import annotations

from typing import Any

import msgspec

from lightwork.scheduler.core import commands as do, facts as fact
from lightwork.scheduler.core.check import check
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.ledger import Ledger

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(fact.Fact).decode


class DurableCore:
    """Feeds a core, keeps its facts, restarts it."""

    def __init__(self) -> None:
        self.disk: list[bytes] = []
        self.core = self._live(0)

    def _live(self, now_ns: int) -> Core:
        ledger = replayed(self.disk)
        ledger.identity = ledger.identity or "lab"
        return Core(ledger=ledger, now_ns=now_ns)

    def feed(self, events: list[Any], now_ns: int) -> list[Any]:
        """What the core wants done."""
        commands = self.core.feed(events, now_ns)
        self.disk += [_encode(one.fact) for one in commands if isinstance(one, do.Record)]
        return commands

    def crash(self, lost: int, now_ns: int) -> None:
        """The process dies; of its facts the last ones never came to the disk."""
        if lost:
            del self.disk[-lost:]
        self.core = self._live(now_ns)

    def wrong(self) -> list[str]:
        """What is wrong with the state."""
        ledger = self.core.state.ledger
        assert ledger is not None
        wrong = check(self.core.state)
        if said(ledger) != said(replayed(self.disk)):
            wrong.append("a replay of the disk does not give the state that lives")
        copy = Ledger()
        for one in ledger.facts():
            copy.apply(_decode(_encode(one)))
        if said(copy) != said(ledger):
            wrong.append("the compacted facts do not give the state that lives")
        return wrong


def replayed(disk: list[bytes]) -> Ledger:
    """The ledger that these facts make."""
    ledger = Ledger()
    for row in disk:
        ledger.apply(_decode(row))
    return ledger


def said(ledger: Ledger) -> list[bytes]:
    """A ledger in a form that can be compared."""
    return [_encode(one) for one in ledger.facts()]
