"""Nodes keep their names, their claims and what was said to them while their link was broken."""

from __future__ import annotations

from typing import Any

import pytest

from lightwork.model.errors import ProtocolError
from lightwork.scheduler.service.claims import Claims
from lightwork.scheduler.service.incoming import FROM_NODE
from lightwork.wire.messages import Died, Ended, Hardware, NodeReady, Started, Stop, Welcome


class Line:
    """A link that only notes what is sent."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def send(self, message: Any, body: Any = b"") -> None:
        self.said.append(message)


def ready(name: str, identity: str = "", claim: str = "", received: int = 0) -> NodeReady:
    return NodeReady(name, "", 1, Hardware(), identity=identity, claim=claim, received=received)


def join(claims: Claims, line: Line, message: NodeReady) -> tuple[str, bool]:
    claim, resumed, _ = claims.join(line, message)  # type: ignore[arg-type]
    return claim.name, resumed


def test_two_machines_of_one_name_are_told_apart() -> None:
    claims = Claims()
    assert join(claims, Line(), ready("lab", "one", "c1")) == ("lab", False)
    assert join(claims, Line(), ready("lab", "two", "c2")) == ("lab-2", False)
    assert join(claims, Line(), ready("lab", "one", "c1")) == ("lab", True)


def test_the_embedded_node_is_known_by_its_name() -> None:
    claims = Claims()
    assert join(claims, Line(), ready("here")) == ("here", False)
    assert join(claims, Line(), ready("here")) == ("here", False)
    assert [claim.name for claim in claims] == ["here"]


def test_what_was_said_while_the_link_was_broken_is_said_again() -> None:
    claims, first, second = Claims(), Line(), Line()
    join(claims, first, ready("a", "i", "c1"))
    claim = claims.named("a")
    assert claim is not None
    claim.send(Stop([1]))
    claims.lost(first)  # type: ignore[arg-type]
    claim.send(Stop([2]))
    claim.note(Ended([], [], [], [], []), b"")
    assert join(claims, second, ready("a", "i", "c1", received=1)) == ("a", True)
    assert second.said == [Welcome(True, 1), Stop([2])]


def test_a_new_claim_begins_anew() -> None:
    claims, second = Claims(), Line()
    join(claims, Line(), ready("a", "i", "c1"))
    claim = claims.named("a")
    assert claim is not None
    claim.send(Stop([1]))
    assert join(claims, second, ready("a", "i", "c2")) == ("a", False)
    assert second.said == [Welcome(False, 0)]
    assert len(claim.outbox) == 0


def test_a_name_stays_with_its_machine_after_it_was_given_up() -> None:
    claims = Claims()
    join(claims, Line(), ready("lab", "one", "c1"))
    claims.forget("lab")
    assert join(claims, Line(), ready("lab", "two", "c2")) == ("lab-2", False)
    assert join(claims, Line(), ready("lab", "one", "c3")) == ("lab", False)


@pytest.mark.parametrize(
    "message",
    [
        Ended([1, 2], [0], [1], [1], [0]),
        Ended([1], [31], [1], [1], [0]),
        Started([1, 2], [1]),
        Died([1], True, [], [0]),
    ],
)
def test_a_message_that_makes_no_sense_is_its_senders_fault(message: Any) -> None:
    with pytest.raises(ProtocolError):
        FROM_NODE[type(message)]("a", message, b"")
