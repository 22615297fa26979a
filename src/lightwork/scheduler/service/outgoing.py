"""Commands to messages: what the core wants done, as nodes and clients hear it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightwork.scheduler.core import commands as do
from lightwork.wire import messages as say
from lightwork.wire.messages import Message

Packed = tuple[Message, bytes]


def _assign(command: do.Assign, epoch_ns: int) -> Packed:
    lengths = list(map(len, command.payloads))
    numbers = command.numbers
    if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        numbers = numbers[:1]
    message = say.Assign(
        command.session,
        command.computation,
        command.tokens,
        lengths,
        command.options,
        command.places,
        numbers,
        command.attempts,
        command.apart,
    )
    return message, b"".join(command.payloads)


def _deliver(command: do.Deliver, epoch_ns: int) -> Packed:
    message = say.Results(
        0,
        command.node,
        command.jobs,
        command.states,
        command.statuses,
        [start and start + epoch_ns for start in command.starts_ns],
        command.durations_ns,
        command.attempts,
        command.lengths,
        command.files,
        command.tokens,
        command.again,
        command.histories,
    )
    return message, command.body


def _earlier(command: do.TellEarlier, epoch_ns: int) -> Packed:
    message = say.Earlier(
        command.computations,
        command.jobs,
        command.computation,
        command.states,
        command.keys,
        command.ids,
        command.prints,
        command.again,
        list(map(len, command.payloads)),
    )
    return message, b"".join(command.payloads)


def _running(command: do.TellRunning, epoch_ns: int) -> Packed:
    return say.Running(command.node, command.jobs, [start + epoch_ns for start in command.starts_ns]), b""


TO_NODE: dict[type, Callable[[Any, int], Packed]] = {
    do.Prepare: lambda c, _: (say.Prepare(c.session, c.computation, c.epoch), b""),
    do.Assign: _assign,
    do.Revoke: lambda c, _: (say.Revoke(c.tokens), b""),
    do.Stop: lambda c, _: (say.Stop(c.tokens, c.now), b""),
    do.Free: lambda c, _: (say.Free(c.regions, c.spooled), b""),
    do.Release: lambda c, _: (say.Release(c.session), b""),
    do.SetSlots: lambda c, _: (say.SetSlots(c.slots), b""),
    do.SetPolicy: lambda c, _: (c.policy, b""),
    do.PlaceFile: lambda c, _: (say.PlaceFile(c.number, c.session, c.computation, c.file), b""),
    do.Settle: lambda c, _: (say.Settled(c.tokens), b""),
    do.AskHeld: lambda c, _: (say.AskHeld(c.number), b""),
}

TO_CLIENT: dict[type, Callable[[Any, int], Packed]] = {
    do.Deliver: _deliver,
    do.Open: lambda c, _: (say.Opened(c.incarnation, c.next_number, c.earlier), b""),
    do.TellEarlier: _earlier,
    do.Accept: lambda c, _: (say.Accepted(c.upto), b""),
    do.RefuseJobs: lambda c, _: (say.RefusedJobs(c.jobs, c.error, c.hint), b""),
    do.TellRunning: _running,
    do.TellRequeued: lambda c, _: (say.Requeued(c.jobs, c.reason), b""),
    do.TellProvisional: lambda c, _: (say.Provisional(c.job, c.in_arena), c.body),
    do.TellFile: lambda c, _: (say.SentFile(c.job, c.name, c.file), b""),
    do.TellComputation: lambda c, _: (say.ComputationState(c.computation, c.node, c.ready, c.failure), b""),
    do.TellNode: lambda c, _: (say.NodeNews(c.event, c.node), b""),
    do.OfferNode: lambda c, _: (say.OfferNode(c.spec, c.node), b""),
    do.Answer: lambda c, _: (say.Answer(c.number, c.error, c.hint, c.jobs, c.nodes, c.total), b""),
    do.Warn: lambda c, _: (say.Notice(c.level, c.text, c.hint), b""),
}
