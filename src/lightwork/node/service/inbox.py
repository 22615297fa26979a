"""What the scheduler says, as events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightwork.node.core import events as on
from lightwork.node.service.place_file import place_file
from lightwork.node.service.written import tell_written
from lightwork.transport.link import Link
from lightwork.wire.channel import IN_ARENA_BIT
from lightwork.wire.messages import (
    Ack,
    AskHeld,
    AskOutput,
    Assign,
    Fetch,
    Free,
    Goodbye,
    Message,
    PlaceFile,
    Prepare,
    Release,
    Returned,
    Revoke,
    SetPolicy,
    SetSlots,
    Settled,
    Stop,
    Welcome,
)
from lightwork.wire.streams import Refusal, SourceFailed

if TYPE_CHECKING:
    from lightwork.node.service.agent import Agent


FULL_S = 1.0  # so long attempts stay that there is no room to write down
UNTOLD = frozenset((Ack, Goodbye, Welcome))  # of the link, whose end is told, and of claims (claims_link.py)


class Inbox:
    """Cuts messages into events; what needs no decision is done at once."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._handlers: dict[type, Callable[[Any, bytes], None]] = {
            Assign: self._assign,
            Prepare: lambda message, body: agent.post(
                on.ComputationGiven(message.session, message.computation, message.epoch)
            ),
            Revoke: lambda message, body: agent.post(on.ReturnAsked(message.tokens)),
            Stop: lambda message, body: agent.post(on.StopAsked(message.tokens, message.now)),
            Release: lambda message, body: agent.post(on.SessionEnded(message.session)),
            Free: self._free,
            SetSlots: lambda message, body: agent.post(on.SlotsSet(message.slots)),
            AskHeld: lambda message, body: agent.post(on.HeldAsked(message.number, agent.hands.words())),
            SetPolicy: lambda message, body: agent.on_policy(message),
            Settled: self._settled,
            PlaceFile: lambda message, body: place_file(agent, message),
            AskOutput: lambda message, body: tell_written(agent, message),
        }

    def take(self, link: Link, message: Message, body: bytes) -> None:
        """One message."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, body)
        elif type(message) is Fetch:
            self._fetch(link, message)
        elif type(message) not in UNTOLD:
            self._agent.notice("warning", f"the node cannot do anything with {type(message).__name__}")

    def _assign(self, message: Assign, body: bytes) -> None:
        if self._agent.custody is not None and not self._agent.custody.assigned(message):
            asyncio.get_running_loop().call_later(FULL_S, self._give_back, message.tokens)
            return
        self._agent.hands.identities.note(message)
        lengths = message.lengths
        if message.places:
            lengths = list(lengths)
            for place in message.places:
                lengths[place.index] |= IN_ARENA_BIT
        session, computation, tokens = message.session, message.computation, message.tokens
        apart = {tokens[place.index]: place.size for place in message.apart}
        self._agent.post(on.AttemptsAssigned(session, computation, tokens, lengths, message.options, body, apart))

    def _give_back(self, tokens: list[int]) -> None:
        """Not at once, for they would be back at once."""
        self._agent.tell(Returned(tokens, "the disk of its node is full"), b"")

    def _settled(self, message: Settled, body: bytes) -> None:
        if self._agent.custody is not None:
            hands = self._agent.hands
            hands.free_spooled(hands.spool.told_of(self._agent.custody.settled(message.tokens)))

    def _free(self, message: Free, body: bytes) -> None:
        hands = self._agent.hands
        for offset in message.regions:
            hands.free_region(offset)
        hands.free_spooled(message.spooled)

    def _fetch(self, link: Link, message: Fetch) -> None:
        try:
            if message.kind != "spool":
                raise SourceFailed(f"this node has no files of kind {message.kind!r}")
            link.serve(message.stream, self._agent.hands.results.source(message.name, message.offset))
        except SourceFailed as error:
            link.serve(message.stream, Refusal(str(error)))
