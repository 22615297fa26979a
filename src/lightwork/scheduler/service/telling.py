"""What clients are told, and what becomes of it if one does not keep up: no further jobs, and of provisional results
the latest only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightwork.scheduler.core import commands as do
from lightwork.scheduler.service.outgoing import TO_CLIENT, Packed
from lightwork.transport.link import Link
from lightwork.wire import messages as say


class Telling:
    """To all clients."""

    def __init__(self, clients: Mapping[str, Link], epoch_ns: int) -> None:
        self._clients = clients
        self._epoch_ns = epoch_ns
        self._sequences: dict[str, int] = {}  # results sent, by session
        self._congested: set[str] = set()  # sessions whose link has too much waiting
        self._late: dict[str, dict[int, Packed]] = {}  # their latest provisional results, by job

    def tell(self, command: Any) -> bool:
        """Say it; True if this is what the client cannot take any more."""
        session = command.session
        packed = TO_CLIENT[type(command)](command, self._epoch_ns)
        if type(command) is do.Deliver:
            self._number(session, packed[0])
            for job in command.jobs if session in self._late else ():
                self._late[session].pop(job, None)
        link = self._clients.get(session)
        if link is None:
            return False
        message = packed[0]
        if session in self._congested and isinstance(message, say.Provisional) and not message.in_arena:
            self._late.setdefault(session, {})[message.job] = packed
            return False
        link.send(*packed)
        if not link.congested or session in self._congested:
            return False
        self._congested.add(session)
        return True

    def _number(self, session: str, message: Any) -> None:
        """Results of a session are counted from 1."""
        message.sequence = self._sequences[session] = self._sequences.get(session, 0) + 1

    def drained(self, session: str, link: Link) -> bool:
        """A client has taken what waited for it; False if it had not been told to wait."""
        if session not in self._congested:
            return False
        self._congested.discard(session)
        for message, body in self._late.pop(session, {}).values():
            link.send(message, body)
        return True

    def forget(self, session: str) -> None:
        """Its link is gone, or the session is over."""
        self._sequences.pop(session, None)
        self._late.pop(session, None)
        self._congested.discard(session)
