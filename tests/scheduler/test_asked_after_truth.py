"""A node tells a new life of its scheduler what it has, and asks on for what an attempt of it lacks, in one breath."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.durable import DurableScheduler
from lightwork.wire import messages as say
from lightwork.wire.messages import PROTOCOL, Hello
from tests.scheduler.test_rejoining import Line, Recording, again

HELD, STARTED = 0, 1


class NodeLine(Line):
    """A link to a node."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Hello(PROTOCOL, "node", "a", "i")
        self.lease_ms, self.relay = 0, ""
        self.served: list[bytes] = []
        self.refused: list[str] = []

    def serve(self, stream: int, source: Any) -> None:
        self.served.append(bytes(source.read(100)))

    def refuse(self, stream: int, reason: str) -> None:
        self.refused.append(reason)


@pytest.mark.parametrize("stage", [HELD, STARTED])
def test_the_argument_of_an_attempt_that_is_adopted(stage: int) -> None:
    ledger = Ledger()
    for one in (
        fact.Began(1, "lab"),
        fact.SessionOpened("s", 0, lasting=True),
        fact.Defined("s", say.Computation("d" * 32, "function", "f")),
        fact.Submitted("s", "d" * 32, say.JobOptions(), [5], [b"it"]),
        fact.NodeKnown("a", "i", "e", ""),
    ):
        ledger.apply(one)
    nothing: Any = None
    journal = Recording()
    scheduler = DurableScheduler(ledger, journal, nothing, lambda: 10**9, on_fault=again, later=lambda *_: None)
    link: Any = NodeLine()
    ready = say.NodeReady("a", "", 2, say.Hardware(), identity="i", claim="c", era="e")
    scheduler.received(link, [(ready, b"")])
    token = (1 << 40) + 7
    truth = say.Truth(["s"], [token], [0], [5], [stage], [0])
    scheduler.received(link, [(truth, b""), (say.Fetch(3, "argument", str(token)), b"")])
    assert link.refused == []
    assert link.served == [b"it"]
    scheduler.received(link, [(say.Fetch(4, "argument", str(token + 1)), b"")])
    assert link.refused == [f"there is no argument of attempt {token + 1} any more"]
