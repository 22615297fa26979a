"""Messages of a claim arrive once, in order, however often the link breaks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lightwork.transport.outbox import ACK_BYTES, ACK_EVERY, Outbox, Received
from lightwork.wire.messages import Ack, Heartbeat, Load, Ping, Stop


class Wire:
    """A link that may break: what is under way then is lost."""

    def __init__(self) -> None:
        self.under_way: list[tuple[Any, Any]] = []

    def send(self, message: Any, body: Any = b"") -> None:
        self.under_way.append((message, body))


@pytest.mark.parametrize("seed", range(20))
def test_each_message_arrives_once_in_order(seed: int) -> None:
    chance = random.Random(seed)
    outbox, received, came = Outbox(), Received(), []
    wire: Wire | None = Wire()
    sent = 0
    for _ in range(3000):
        step = chance.random()
        if step < 0.5:
            outbox.send(wire, Stop([sent]))  # type: ignore[arg-type]
            sent += 1
        elif step < 0.95 and wire is not None and wire.under_way:
            message, body = wire.under_way.pop(0)
            received.note(message, body)
            came.append(message.tokens[0])
            if received.due() and (ack := received.ack()) is not None:
                outbox.acknowledged(ack.count)
        elif step < 0.97:
            wire = None
        elif wire is None:
            wire = Wire()
            outbox.resume(wire, received.count)  # type: ignore[arg-type]
    wire = Wire()
    outbox.resume(wire, received.count)  # type: ignore[arg-type]
    came += [message.tokens[0] for message, _ in wire.under_way]
    assert came == list(range(sent))


def test_what_is_only_true_at_its_moment_is_not_kept() -> None:
    outbox = Outbox()
    for message in (Heartbeat(1, [], [], Load()), Ping(1), Ack(3)):
        outbox.send(None, message)
    assert len(outbox) == 0


def test_an_ack_is_due_by_number_or_by_bytes() -> None:
    received = Received()
    for _ in range(ACK_EVERY - 1):
        received.note(Stop([1]), b"")
    assert not received.due()
    received.note(Stop([1]), b"")
    assert received.due()
    assert received.ack() == Ack(ACK_EVERY)
    assert received.ack() is None
    received.note(Stop([1]), bytes(ACK_BYTES))
    assert received.due()


def test_acknowledged_bytes_are_forgotten() -> None:
    outbox = Outbox()
    for _ in range(4):
        outbox.send(None, Stop([1]), bytes(100))
    outbox.acknowledged(3)
    assert (len(outbox), outbox.kept_bytes) == (1, 100)
