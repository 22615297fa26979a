"""What clients asked for and what cannot be answered at once: each has a number of ours, until its answer."""

from __future__ import annotations

from typing import NamedTuple

from lightwork.scheduler.core.commands import Answer
from lightwork.wire.messages import Wanted


class Order(NamedTuple):
    """Who asked, and by which number of theirs; `due_ns`, `wanted`: of a search that is answered at its end."""

    session: str
    number: int
    node: str = ""
    due_ns: int = 0
    wanted: tuple[Wanted, ...] = ()


class Orders:
    """All that are open."""

    def __init__(self) -> None:
        self._open: dict[int, Order] = {}
        self._last = 0

    def add(self, order: Order) -> int:
        """Its number."""
        self._last += 1
        self._open[self._last] = order
        return self._last

    def take(self, number: int) -> Order | None:
        """It is about to be answered."""
        return self._open.pop(number, None)

    def open(self) -> list[Order]:
        """All."""
        return list(self._open.values())

    def due(self, now_ns: int) -> list[Order]:
        """Searches whose time is up."""
        over = [number for number, order in self._open.items() if order.due_ns and order.due_ns <= now_ns]
        return [self._open.pop(number) for number in over]

    def forget(self, session: str) -> None:
        """Nobody waits for its answers any more."""
        self._open = {number: order for number, order in self._open.items() if order.session != session}

    def session_over(self, session: str) -> list[Answer]:
        """Whoever waits there for an answer of this session's waits for nothing."""
        orders = [order for order in self._open.values() if order.session == session]
        self.forget(session)
        return [Answer(order.session, order.number, "its session is over") for order in orders]

    def node_gone(self, node: str) -> list[Answer]:
        """It cannot answer any more."""
        over = [number for number, order in self._open.items() if order.node == node]
        orders = [self._open.pop(number) for number in over]
        return [Answer(order.session, order.number, f"node {node} is gone") for order in orders]
