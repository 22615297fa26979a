"""What must be on disk before it is said. Told the commands of each event, it records the facts behind them.

    Deliver  --> Ended     a result that a client has seen must never be followed by another one
    Assign   --> (Granted) a job on a node is known to the next life of ours; so is the node; and what must not start
                           twice is written down before it may start
    Stop     <-- Ended, CancelAsked: what is stopped for a reason that is forgotten would count as cancelled by its user
    Settle   <-- Ended     a node may forget an end only when we cannot
    EndSession, Open, Accept: promises to a client

The number that each command waits for is that of the last fact that it follows from.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lightwork.scheduler.core import commands as do, events as on, facts as fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.state import Commands, State
from lightwork.wire.messages import File


def bind(state: State, ledger: Ledger, commands: Commands) -> Commands:
    """The commands that followed from an event, in order, each with what it waits for."""
    bound: Commands = []
    for command in commands:
        kind = type(command)
        if kind is do.Deliver:
            _bind_deliver(state, ledger, command)
            if command.session not in state.attached:  # type: ignore[attr-defined]  # it waits in the ledger
                continue
        elif kind is do.Assign:
            _bind_assign(state, command)
        elif kind is do.TellFile:
            _keep_sent(state, ledger, command)
            if command.session not in state.attached:  # type: ignore[attr-defined]  # it comes with the job's end
                continue
        elif kind is do.TellRequeued:
            for job in command.jobs:  # type: ignore[attr-defined]
                ledger.unneed(state.sent.pop((command.session, job), ()))  # type: ignore[attr-defined]
        elif kind is do.EndSession:
            if command.session in ledger.sessions:  # type: ignore[attr-defined]
                state.record(fact.SessionEnded(command.session))  # type: ignore[attr-defined]
            state.attached.pop(command.session, None)  # type: ignore[attr-defined]
            for key in [key for key in state.sent if key[0] == command.session]:  # type: ignore[attr-defined]
                ledger.unneed(state.sent.pop(key))
            command.after = state.recorded  # type: ignore[attr-defined]
        bound.append(command)
    for command in bound:
        if type(command) is do.Stop:  # of what has ended, or is no longer wanted: another life of ours must know that
            command.after = state.recorded
    return bound


def settle(state: State, event: on.Event) -> Commands:
    """A node may forget the ends that it has told, once all that followed from them is on disk."""
    if isinstance(event, on.AttemptsEnded | on.AttemptsDied) and not state.nodes[event.node].untold:  # else told again
        return [do.Settle(event.node, event.tokens, state.recorded)]
    return []


def _bind_deliver(state: State, ledger: Ledger, command: Any) -> None:
    if command.session not in ledger.sessions or command.after:  # it comes out of the ledger
        return
    sent = _add_sent(state, command) if state.sent else []
    life = state.attached.get(command.session, 0)
    offset = state.wall_ns
    state.record(
        fact.Ended(
            command.session,
            command.node,
            command.jobs,
            [int(one) for one in command.states],
            command.statuses,
            [start and start + offset for start in command.starts_ns],
            command.durations_ns,
            command.attempts,
            command.lengths,
            command.body,
            [life] * len(command.jobs),
            command.files,
        )
    )
    ledger.unneed(sent)  # the end speaks of them now
    command.after = state.recorded
    if command.files:
        command.tokens = [0] * len(command.files)


def _keep_sent(state: State, ledger: Ledger, command: Any) -> None:
    """A client that is told of a file may die before it has it: its next life is told with the job's end."""
    file = replace(command.file, sent=True)
    sent = state.sent.setdefault((command.session, command.job), [])
    if file not in sent:  # nodes that are adopted tell it again
        ledger.need([file])
        sent.append(file)


def _add_sent(state: State, command: Any) -> list[File]:
    """Files that jobs sent while they ran come with their end, once more."""
    files = dict(command.files)
    added: list[File] = []
    for index, job in enumerate(command.jobs):
        if sent := state.sent.pop((command.session, job), None):
            files[index] = [*files.get(index, []), *sent]
            added += sent
    command.files = list(files.items())
    return added


def _bind_assign(state: State, command: Any) -> None:
    node = state.nodes[command.node]
    if command.options.reentrant is False:
        state.record(fact.Granted(command.session, node.name, node.era, command.numbers, command.tokens))
        command.after = state.recorded
        return
    jobs = state.sessions[command.session].jobs
    command.after = max(node.known, *(jobs[number].fact for number in command.numbers))
