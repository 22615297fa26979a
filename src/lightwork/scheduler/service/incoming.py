"""Messages to events: what clients and nodes say, as the core hears it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightwork.model.errors import ProtocolError
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.endings import STATE_AFTER as KINDS
from lightwork.transport.address import host_of
from lightwork.transport.link import Link
from lightwork.wire import messages as say, outcome

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
    for column in (message.keys, message.ids, message.prints):
        if column and len(column) != len(payloads):
            raise ProtocolError("columns of different lengths")
    return on.JobsSubmitted(
        session,
        message.computation,
        message.first,
        payloads,
        message.options,
        message.places,
        message.keys,
        message.ids,
        message.prints,
    )


def _same_length(*columns: list[int]) -> None:
    """ProtocolError if columns of one message speak of different numbers of attempts."""
    if len(set(map(len, columns))) > 1:
        raise ProtocolError("columns of different lengths")


def joined(name: str, link: Link, ready: say.NodeReady, via: str, *, resumed: bool, adopting: bool) -> on.NodeJoined:
    """A node is ours, over this link."""
    return on.NodeJoined(
        name,
        ready.slots,
        host_of(link.address) or ready.address,
        ready.hardware,
        via,
        resumed,
        ready.shares_memory,
        ready.pythons,
        ready.labels,
        ready.identity,
        ready.era,
        adopting,
        ready.resources,
        ready.groups,
        ready.weight,
        ready.unwilling,
        link.relay or ready.relay,
        link.lease_ms * 1_000_000,
        ready.resized,
    )


def _started(node: str, message: say.Started, body: bytes) -> on.Event:
    _same_length(message.tokens, message.ages_ns)
    return on.AttemptsStarted(node, message.tokens, message.ages_ns)


def _died(node: str, message: say.Died, body: bytes) -> on.Event:
    _same_length(message.tokens, message.ages_ns, message.lengths)
    return on.AttemptsDied(node, message.tokens, message.blame, message.ages_ns, message.lengths, body)


def _truth(node: str, message: say.Truth, body: bytes) -> on.Event:
    _same_length(message.tokens, message.session, message.jobs, message.stages, message.ages_ns)
    if any(not 0 <= index < len(message.sessions) for index in set(message.session)):
        raise ProtocolError("an attempt of a session that is not named")
    columns = (message.tokens, message.session, message.jobs, message.stages, message.ages_ns)
    return on.NodeTruth(node, message.sessions, *columns, message.clearing)


def _ended(node: str, message: say.Ended, body: bytes) -> on.Event:
    _same_length(message.tokens, message.statuses, message.ages_ns, message.durations_ns, message.lengths)
    if any(status & outcome.KIND_MASK not in KINDS for status in set(message.statuses)):
        raise ProtocolError("an attempt ended in a way that does not exist")
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
    say.Terms: lambda session, m, body: on.TermsTold(session, m.weight, m.exclusive),
    say.Detach: lambda session, m, body: on.ClientDetached(session),
    say.Named: lambda session, m, body: on.JobsNamed(session, m.jobs, m.ids),
    say.Recall: lambda session, m, body: on.ResultsRecalled(session, m.jobs),
    say.Close: lambda session, m, body: on.CloseAsked(session, m.cancel),
    say.Seek: lambda session, m, body: on.NodesWanted(session, m.number, m.wanted, m.now, m.only),
    say.Allot: lambda session, m, body: on.NodeAllotted(session, m.node, m.slots),
    say.Tailor: lambda session, m, body: on.NodeTailored(session, m.node, m.tailoring),
    say.ControlNode: lambda session, m, body: on.NodeControlled(session, m.number, m.node, m.action, m.value, m.cancel),
    say.AskNodeJobs: lambda session, m, body: on.NodeJobsAsked(session, m.number, m.node, m.from_node),
    say.Update: lambda session, m, body: on.ComputationUpdated(session, m.number, m.old, m.computation),
    say.AwaitReady: lambda session, m, body: on.ReadyAwaited(session, m.number, m.computations, m.nodes),
    say.SendFile: lambda session, m, body: on.FileGiven(session, m.number, m.node, m.computation, m.file),
}

FROM_NODE: dict[type, Translate] = {
    say.Heartbeat: lambda node, m, body: on.NodeBeat(node, m.held, m.running, m.load, m.workers, m.epochs, m.unwilling),
    say.Prepared: lambda node, m, body: (
        on.ComputationReady(node, m.session, m.computation, m.epoch)
        if m.ready
        else on.ComputationFailed(node, m.session, m.computation, m.failure, m.epoch)
    ),
    say.Started: _started,
    say.Ended: _ended,
    say.Truth: _truth,
    say.Returned: lambda node, m, body: on.AttemptsReturned(node, m.tokens, m.reason),
    say.Died: _died,
    say.AttemptProvisional: lambda node, m, body: on.AttemptSpoke(node, m.token, body, m.in_arena),
    say.AttemptFile: lambda node, m, body: on.AttemptSentFile(node, m.token, m.name, m.file),
    say.Leaving: lambda node, m, body: on.NodeDraining(node, m.reason),
    say.FilePlaced: lambda node, m, body: on.FilePlaced(node, m.number, m.error),
    say.HeldNow: lambda node, m, body: on.HeldTold(node, m.number, m.held, m.running),
    say.Released: lambda node, m, body: on.SessionReleased(node, m.session, m.problems),
}
