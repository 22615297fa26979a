"""Computations in step: an update reaches every node, and nothing that was submitted after it runs on a node before it,
or the one that took its place meanwhile, is there.

Update --> the session's epoch grows --> Prepare(epoch) to every node in use --> Prepared(epoch): in step
                                              ^                          +--> failed: not used for this computation
                                              |
           a node joins, is back, or beats with an epoch that it should have left behind

A *barrier* is a client that waits for computations to be prepared on all its nodes; it makes them prepare, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.config import limits
from lightwork.kit.text import listed
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.facts import Defined, Updated
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.refusals import excluded
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.scheduler.core.shares import Use
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.tailoring import prepare
from lightwork.scheduler.core.updates import Barrier


def on_computation_updated(state: State, event: on.ComputationUpdated) -> Commands:
    """A new epoch of the session. (What was answered already is only said again.)"""
    session, digest = state.sessions[event.session], event.computation.digest
    if event.old not in session.computations:
        return [do.Answer(session.name, event.number, "the computation to be updated was never defined")]
    done = session.steps.done(event.old, digest)
    if done:
        return [do.Answer(session.name, event.number, after=state.recorded, total=done)]
    if digest not in session.computations:
        session.computations[digest] = ComputationRecord(event.computation)
        state.record(Defined(session.name, event.computation))
    epoch = session.steps.epoch + 1
    session.steps.take(event.old, digest, epoch)
    state.record(Updated(session.name, event.old, digest, epoch))
    record = session.computations[digest]
    record.epoch = epoch
    for known in (record.prepared, record.ready, record.failed):
        known.clear()
    state.queue.reconsider_for(session)
    commands = [one for node in state.nodes.values() for one in synchronise(state, session, node)]
    return [*commands, do.Answer(session.name, event.number, after=state.recorded, total=epoch)]


def synchronise(state: State, session: Session, node: Node) -> Commands:
    """What this node still lacks of the session's updates is sent there."""
    if not session.steps.latest or not _can_prepare(session, node):
        return []
    return _prepare(state, session, node, session.steps.latest)


def synchronise_all(state: State, node: Node) -> Commands:
    """Of all sessions."""
    return [command for session in state.sessions.values() for command in synchronise(state, session, node)]


def _prepare(state: State, session: Session, node: Node, digests: Iterable[str]) -> Commands:
    commands: Commands = []
    for digest in digests:
        record = session.computations[digest]
        if node.name not in record.prepared and node.name not in record.failed:
            command = prepare(session, record, node.name)
            command.after = state.recorded
            commands.append(command)
    return commands


def _can_prepare(session: Session, node: Node) -> bool:
    share = session.shares.get(node.name)
    return share is not None and share.use is Use.USED and not session.releasing and node.standing is Standing.JOINED


def heed(state: State, node: Node, epochs: dict[str, int]) -> Commands:
    """A heartbeat tells how far the node is: has it what we believe it has?"""
    commands: Commands = []
    for session in state.sessions.values():
        if not session.steps.latest:
            continue
        has = epochs.get(session.name)
        for digest, step in session.steps.latest.items() if has is not None else ():
            record = session.computations[digest]
            if has is not None and step.epoch > has and node.name in record.ready:
                record.forget_node(node.name)
                state.queue.reconsider(node)
        commands += synchronise(state, session, node)
    return commands


# --- barriers ---


def on_ready_awaited(state: State, event: on.ReadyAwaited) -> Commands:
    """Answered at the end of this turn, or of a later one."""
    session = state.sessions[event.session]
    if any(digest not in session.computations for digest in event.computations):
        return [do.Answer(session.name, event.number, "a computation that is waited for was never defined")]
    barrier = Barrier(session.name, event.number, tuple(dict.fromkeys(event.computations)), event.nodes)
    mine = [one for one in state.barriers if one.session == session.name]
    if barrier in mine:  # clients repeat their questions over a new link
        return []
    state.barriers.append(barrier)
    if len(mine) < limits.BARRIERS_MAX:
        return []
    state.barriers.remove(mine[0])  # nobody waits for it any more, most likely
    return [do.Answer(session.name, mine[0].number, f"{limits.BARRIERS_MAX} others wait that came later")]


def look(state: State) -> Commands:
    """At the end of each turn: which barriers are reached?"""
    commands: Commands = []
    for barrier in list(state.barriers):
        session = state.sessions.get(barrier.session)
        if session is None:
            state.barriers.remove(barrier)
            continue
        commands += _look_at(state, session, barrier)
    return commands


def _look_at(state: State, session: Session, barrier: Barrier) -> Commands:
    nodes = [node for node in state.nodes.values() if _can_prepare(session, node) and not excluded(node)]
    commands: Commands = []
    for node in nodes:
        commands += _prepare(state, session, node, barrier.computations)
    records = [session.computations[digest] for digest in barrier.computations]
    ready = [node.name for node in nodes if all(node.name in record.ready for record in records)]
    failed = [node.name for node in nodes if any(node.name in record.failed for record in records)]
    settled = bool(nodes) and len(ready) + len(set(failed).difference(ready)) == len(nodes)
    reached = len(ready) >= barrier.nodes if barrier.nodes else settled and not failed
    if reached:
        state.barriers.remove(barrier)
        return [*commands, do.Answer(session.name, barrier.number, nodes=ready)]
    if settled and failed:
        state.barriers.remove(barrier)
        return [*commands, _cannot(session, barrier, records, ready, failed)]
    return commands


def _cannot(
    session: Session, barrier: Barrier, records: list[ComputationRecord], ready: list[str], failed: list[str]
) -> do.Answer:
    names = listed(sorted({record.computation.name for record in records if record.failed}))
    where = f"node{'s' * (len(failed) > 1)} {listed(failed, 10)}"
    have = f"; {listed(ready, 10)} {'have' if len(ready) > 1 else 'has'} it" if ready else ""
    hint = "its traceback was printed above; the others are used, those are not"
    return do.Answer(session.name, barrier.number, f"{names} could not be prepared on {where}{have}", hint, nodes=ready)
