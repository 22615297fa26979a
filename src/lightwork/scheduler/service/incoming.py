"""Messages to events: what clients and nodes say, as the core hears it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightwork.model.errors import ProtocolError
from lightwork.scheduler.core import events as on
from lightwork.wire import messages as say

Translate = Callable[[str, Any, bytes], on.Event]


def cut(body: bytes, lengths: list[int]) -> list[bytes]:
    """A body in pieces of these lengths; ProtocolError if they do not add up to it."""
    pieces = []
    at = 0
    for length in lengths:
        pieces.append(body[at : at + length])
        at += length
    if at != len(body):
        raise ProtocolError(f"a body of {len(body)} bytes was announced as {at}")
    return pieces


def _submitted(session: str, message: say.Submit, body: bytes) -> on.Event:
    payloads = cut(body, message.lengths)
    return on.JobsSubmitted(session, message.computation, message.first, payloads, message.options, message.places)


def _ended(node: str, message: say.Ended, body: bytes) -> on.Event:
    return on.AttemptsEnded(
        node,
        message.tokens,
        message.statuses,
        message.ages_ns,
        message.durations_ns,
        message.lengths,
        body,
        message.files,
    )


FROM_CLIENT: dict[type, Translate] = {
    say.Define: lambda session, m, body: on.ComputationDefined(session, m.computation),
    say.Submit: _submitted,
    say.Cancel: lambda session, m, body: on.JobsCancelled(session, m.jobs),
    say.Close: lambda session, m, body: on.CloseAsked(session, m.cancel),
}

FROM_NODE: dict[type, Translate] = {
    say.NodeReady: lambda node, m, body: on.NodeJoined(node, m.slots, m.address, m.hardware),
    say.Heartbeat: lambda node, m, body: on.NodeBeat(node, m.held, m.running, m.load, m.workers),
    say.Prepared: lambda node, m, body: (
        on.ComputationReady(node, m.session, m.computation)
        if m.ready
        else on.ComputationFailed(node, m.session, m.computation, m.failure)
    ),
    say.Started: lambda node, m, body: on.AttemptsStarted(node, m.tokens, m.ages_ns),
    say.Ended: _ended,
    say.Returned: lambda node, m, body: on.AttemptsReturned(node, m.tokens, m.reason),
    say.Died: lambda node, m, body: on.AttemptsDied(node, m.tokens, m.blame, m.ages_ns, m.lengths, body),
    say.AttemptProvisional: lambda node, m, body: on.AttemptSpoke(node, m.token, body, m.in_arena),
    say.AttemptFile: lambda node, m, body: on.AttemptSentFile(node, m.token, m.name, m.file),
    say.Released: lambda node, m, body: on.SessionReleased(node, m.session, m.problems),
}
