"""Node control: what a client wants done with a node. Each request has one answer, when it is done.

close, resetup:   no new jobs --> those there end (or are cancelled) --> Release --SessionReleased--> answered
                  (what a node that has just come has from before is known with its Truth: until then it is waited for)
"""

from __future__ import annotations

from collections.abc import Callable

from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.allotting import note, word_on
from lightwork.scheduler.core.clients import cancel
from lightwork.scheduler.core.exclusive import is_alone
from lightwork.scheduler.core.losses import lose_waiting, shed
from lightwork.scheduler.core.nodes import HERE, Node, Standing
from lightwork.scheduler.core.orders import Order
from lightwork.scheduler.core.prospects import Stage
from lightwork.scheduler.core.seeking import limit
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shares import Share, Use
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.step import synchronise
from lightwork.scheduler.core.tailoring import prepare

OTHERS = "the slots of node {} are not for one of its users to change: others use it as well"
OTHERS_HINT = "`lightwork scheduler --cooperative` lets you, so does exclusive=True; NodeAllocate limits your own part"
UNKNOWN = "the nodes of this cluster are in cluster.nodes"


def on_node_controlled(state: State, event: on.NodeControlled) -> Commands:
    """One of the actions below."""
    session = state.sessions[event.session]
    share, node = session.shares.get(event.node), state.nodes.get(event.node)
    action = _ACTIONS.get(event.action)
    if action is None or share is None or node is None:
        error = f"node {event.node} is not connected" if action else f"there is no action {event.action!r}"
        return [do.Answer(session.name, event.number, error, UNKNOWN)]
    if share.busy and share.order == event.number:
        return []  # the same once more, over another link: its answer is still to come
    if share.busy:
        return [do.Answer(session.name, event.number, f"node {node.name} {Use.RESETTING.value}, or is being closed")]
    commands = action(state, session, share, node, event)
    state.queue.reconsider(node)
    return commands


def _allocate(state: State, session: Session, share: Share, node: Node, event: on.NodeControlled) -> Commands:
    share.use = Use.USED
    return [*synchronise(state, session, node), do.Answer(session.name, event.number, nodes=[node.name])]


def _deallocate(state: State, session: Session, share: Share, node: Node, event: on.NodeControlled) -> Commands:
    share.use = Use.IDLE
    return [do.Answer(session.name, event.number)]


def _slots(state: State, session: Session, share: Share, node: Node, event: on.NodeControlled) -> Commands:
    if state.shared and not state.cooperative and not is_alone(state, session):
        return [do.Answer(session.name, event.number, OTHERS.format(node.name), OTHERS_HINT)]
    if state.shared and not state.cooperative:
        session.limited.setdefault(node.name, node.slots)
    commands = limit(node, event.value)
    return [*commands, do.Answer(session.name, event.number, jobs=[node.slots])]


def _leave(state: State, session: Session, share: Share, node: Node, event: on.NodeControlled) -> Commands:
    share.use = Use.LEAVING if event.action == "close" else Use.RESETTING
    share.order, share.cancels = event.number, event.cancel
    state.leaving.append((session.name, node.name))
    return _empty(state, session, share, node)


def _empty(state: State, session: Session, share: Share, node: Node) -> Commands:
    """Its jobs there are to end."""
    shedded = shed(state, node, session.name)
    here = [job.number for job in node.of_session(session.name)]
    return shedded + (cancel(state, session, here) if share.cancels else _take_back_unstarted(session, node))


def leave_what_was_told(state: State, node: Node, told: list[str], clearing: list[str]) -> Commands:
    """A node has told of which sessions it has anything from before: the same for that. One that it was to forget, and
    of which it may have lost the word with its link, it is told to forget again. One that it is `clearing`, by the word
    of an earlier life of ours perhaps, is not used there until that is done."""
    commands: Commands = []
    for name, session in list(state.sessions.items()):
        share = session.shares.get(node.name)
        if share is None:
            continue
        if (name, node.name) in state.leaving:
            commands += _empty(state, session, share, node)
        if name in clearing:
            share.releasing = True
        elif share.releasing and name in told:
            commands.append(do.Release(node.name, name))
        elif share.releasing:
            state.released.append((name, node.name))
    return commands


def may_have_forgotten(state: State, node: Node) -> None:
    """It was lost. What it was to forget counts as forgotten; not what is to begin anew, with which it may be back."""
    for session in state.sessions.values():
        share = session.shares.get(node.name)
        if share is not None and share.releasing and (state.ledger is None or share.use is not Use.RESETTING):
            state.released.append((session.name, node.name))


def _take_back_unstarted(session: Session, node: Node) -> Commands:
    """What has not started there need not: others may have it, unless it is for this node alone."""
    tokens = [
        token
        for token, job in node.attempts.items()
        if job.group.session == session.name and job.state is JobState.QUEUED and not job.group.options.node
    ]
    return [do.Revoke(node.name, tokens)] if tokens else []


_Action = Callable[[State, Session, Share, Node, on.NodeControlled], Commands]
_ACTIONS: dict[str, _Action] = {
    "allocate": _allocate,
    "deallocate": _deallocate,
    "slots": _slots,
    "close": _leave,
    "resetup": _leave,
}


def let_go(state: State) -> Commands:
    """At the end of each turn: nodes whose jobs have ended are released, released ones are done with."""
    commands: Commands = []
    for entry in list(state.leaving):
        session, node = state.sessions.get(entry[0]), state.nodes.get(entry[1])
        if session is None or node is None or entry[1] not in session.shares:
            state.leaving.remove(entry)
        elif node.untold and node.standing in HERE:
            continue
        elif not node.of_session(session.name) and session.name not in node.kept.values():
            state.leaving.remove(entry)
            parting = session.shares[node.name]
            commands += [] if parting.releasing else [do.Release(node.name, session.name)]
            parting.releasing = True
            if node.standing is Standing.DEAD:
                may_have_forgotten(state, node)
    released, state.released = state.released, []
    for name, host in released:
        session = state.sessions.get(name)
        share = session.shares.get(host) if session is not None else None
        if session is not None and share is not None and share.releasing:
            share.releasing = False
            commands += _released(state, session, share, host)
    return commands


def _released(state: State, session: Session, share: Share, name: str) -> Commands:
    """The node has forgotten the session: give it back, or begin anew there."""
    node = state.nodes.get(name)
    again = [record for record in session.computations.values() if name in record.prepared]
    for record in session.computations.values():
        record.forget_node(name)
    state.queue.reconsider_for(session)
    if not share.busy:  # an earlier life of ours had asked for it
        return synchronise(state, session, node) if node is not None else []
    if share.use is Use.RESETTING and node is not None:
        share.use = Use.USED
        share.awaited = {record.computation.digest for record in again}
        commands: Commands = [prepare(session, record, name) for record in again]
        return commands or [do.Answer(session.name, share.order)]
    share.use, share.closed = Use.CLOSED, node
    answer = do.Answer(session.name, share.order)
    if node is None:
        return [answer]
    waiting = [job for job in session.jobs.values() if not job.node]
    lost = lose_waiting(state, node, waiting, "it was closed")
    return [*lost, answer, *_hang_up(state, node)]


def _hang_up(state: State, node: Node) -> Commands:
    """Unless another session uses it, the node is free for others. (The embedded one stays: it is nobody else's.)"""
    users = [
        one for one in state.sessions.values() if (share := one.shares.get(node.name)) and share.use is not Use.CLOSED
    ]
    if users or node.shares_memory or (state.shared and (not node.via or state.hosts.is_added(node))):
        return []
    if node.attempts:  # of sessions that no longer wish for it: it goes when they have ended
        state.may_free = True
        return []
    prospect = state.prospects.get(node.via)
    if prospect is not None:
        prospect.stage = Stage.CLOSED
    state.forget_node(node.name)
    return [*state.orders.node_gone(node.name), do.HangUp(node.name, "it is closed")]


def on_files_taken(state: State, event: on.FilesTaken) -> Commands:
    """A client has what these attempts had left on their nodes."""
    for node in state.nodes.values():
        if node.kept:
            for token in event.tokens:
                node.kept.pop(token, None)
    return []


def on_node_tailored(state: State, event: on.NodeTailored) -> Commands:
    """From its next preparation on."""
    session = state.sessions[event.session]
    share, word = session.shares.get(event.node), word_on(state, session, event.node)
    if share is not None:
        share.tailoring = event.tailoring
        if word is not None:
            note(state, session, event.node, word.slots, event.tailoring)
    return []


# --- questions and files ---


def on_node_jobs_asked(state: State, event: on.NodeJobsAsked) -> Commands:
    """By our own tables, or by the node's word."""
    node = state.nodes.get(event.node)
    if node is None:
        return [do.Answer(event.session, event.number, f"node {event.node} is not connected", UNKNOWN)]
    if not event.from_node:
        return [do.Answer(event.session, event.number, jobs=[job.number for job in node.of_session(event.session)])]
    return [do.AskHeld(node.name, state.orders.add(Order(event.session, event.number, node.name)))]


def on_held_told(state: State, event: on.HeldTold) -> Commands:
    """The node's word."""
    order, node = state.orders.take(event.number), state.nodes[event.node]
    if order is None:
        return []
    found = (node.attempts.get(token) for token in [*event.running, *event.held])
    jobs = [job.number for job in found if job is not None and job.group.session == order.session]
    return [do.Answer(order.session, order.number, jobs=jobs)]


def on_file_given(state: State, event: on.FileGiven) -> Commands:
    """The node gets the computation ready, if it has not, and then the file."""
    session, node = state.sessions[event.session], state.nodes.get(event.node)
    record = session.computations.get(event.computation)
    if node is None or record is None:
        what = f"node {event.node} is not connected" if node is None else "there is no such computation"
        return [do.Answer(event.session, event.number, what, UNKNOWN)]
    commands: Commands = [] if node.name in record.prepared else [prepare(session, record, node.name)]
    order = state.orders.add(Order(event.session, event.number, node.name))
    return [*commands, do.PlaceFile(node.name, order, event.session, event.computation, event.file)]


def on_file_placed(state: State, event: on.FilePlaced) -> Commands:
    """It lies there, or cannot."""
    order = state.orders.take(event.number)
    return [do.Answer(order.session, order.number, event.error)] if order is not None else []
