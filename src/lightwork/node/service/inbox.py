"""What the scheduler says, as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightwork.node.core import events as on
from lightwork.transport.link import Link, Refusal
from lightwork.wire.channel import IN_ARENA_BIT
from lightwork.wire.messages import Assign, Fetch, Free, Goodbye, Message, Prepare, Release, Revoke, Stop
from lightwork.wire.streams import SourceFailed

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent


class Inbox:
    """Cuts messages into events; what needs no decision is done at once."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._handlers: dict[type, Callable[[Any, bytes], None]] = {
            Assign: self._assign,
            Prepare: lambda message, body: agent.post(on.ComputationGiven(message.session, message.computation)),
            Revoke: lambda message, body: agent.post(on.ReturnAsked(message.tokens)),
            Stop: lambda message, body: agent.post(on.StopAsked(message.tokens, message.now)),
            Release: lambda message, body: agent.post(on.SessionEnded(message.session)),
            Free: self._free,
        }

    def take(self, link: Link, message: Message, body: bytes) -> None:
        """One message."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, body)
        elif type(message) is Fetch:
            self._fetch(link, message)
        elif type(message) is not Goodbye:  # after that the link ends, and that is told
            self._agent.notice("warning", f"the node cannot do anything with {type(message).__name__}")

    def _assign(self, message: Assign, body: bytes) -> None:
        self._agent.hands.identities.note(message)
        lengths = message.lengths
        if message.places:
            lengths = list(lengths)
            for place in message.places:
                lengths[place.index] |= IN_ARENA_BIT
        self._agent.post(
            on.AttemptsAssigned(message.session, message.computation, message.tokens, lengths, message.options, body)
        )

    def _free(self, message: Free, body: bytes) -> None:
        hands = self._agent.hands
        for offset in message.regions:
            hands.free_region(offset)
        hands.free_spooled(message.spooled)

    def _fetch(self, link: Link, message: Fetch) -> None:
        try:
            if message.kind != "spool":
                raise SourceFailed(f"this node has no files of kind {message.kind!r}")
            link.serve(message.stream, self._agent.hands.spool.source(message.name, message.offset))
        except SourceFailed as error:
            link.serve(message.stream, Refusal(str(error)))
