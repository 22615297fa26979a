"""Holds commands back until the facts that they follow from are on disk.

    core --commands--> admit --> done now, unless it, or what goes to the same client or node before it, must wait
    journal --number--> durable --> those that waited for no more than that

Order within a client or node is kept; between them there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from lightwork.scheduler.core import commands as do


class Gate:
    """Everything that waits. With no journal, nothing ever does."""

    def __init__(self, least: int = 0) -> None:
        """`least`: nothing leaves before this fact is on disk, whatever it follows from."""
        self.reached = 0
        self._least = least
        self._lines: dict[str, deque[Any]] = {}

    def admit(self, commands: Iterable[do.Command]) -> list[Any]:
        """Those that may be done now, in order."""
        free: list[Any] = []
        for command in commands:
            after = max(getattr(command, "after", 0), self._least)
            where = destination(command)
            line = self._lines.get(where) if where else None
            if type(command) is do.Drop:  # later it would cut off a node that is back; what waits is for nobody
                self._lines.pop(where, None)
                free.append(command)
            elif line:
                line.append(command)
            elif after > self.reached:
                self._lines.setdefault(where, deque()).append(command)
            else:
                free.append(command)
        return free

    def durable(self, number: int) -> list[Any]:
        """All facts up to this number are on disk: what may be done now."""
        self.reached = max(self.reached, number)
        free: list[Any] = []
        for where, line in list(self._lines.items()):
            while line and max(getattr(line[0], "after", 0), self._least) <= self.reached:
                free.append(line.popleft())
            if not line:
                del self._lines[where]
        return free

    def forget(self, where: str) -> None:
        """What waits for this destination is for nobody any more. (But all must know that a session is over.)"""
        kept = deque(one for one in self._lines.pop(where, ()) if type(one) is do.EndSession)
        if kept:
            self._lines[where] = kept

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))


def destination(command: do.Command) -> str:
    """To whom it goes; "": to nobody whose order matters."""
    session = getattr(command, "session", "")
    if type(command) in _TO_NODES:
        return of_node(command.node)  # type: ignore[attr-defined]
    return of_session(session) if session else ""


def of_node(name: str) -> str:
    """The line of a node."""
    return f"node {name}"


def of_session(name: str) -> str:
    """The line of a client."""
    return f"session {name}"


_TO_NODES = frozenset(
    (
        do.Prepare,
        do.Assign,
        do.Revoke,
        do.Stop,
        do.Free,
        do.Settle,
        do.Release,
        do.Drop,
        do.HangUp,
        do.SetSlots,
        do.SetPolicy,
        do.PlaceFile,
        do.AskHeld,
    )
)
