"""What becomes of nodes: they join, beat, fall silent, leave, come back."""

from __future__ import annotations

from lightwork.config import timers
from lightwork.kit.text import count, span
from lightwork.model.states import ClusterEvent
from lightwork.scheduler.core import commands as do, events as on, hosts, step
from lightwork.scheduler.core.attaching import overdue
from lightwork.scheduler.core.clients import on_client_lost
from lightwork.scheduler.core.control import may_have_forgotten
from lightwork.scheduler.core.facts import NodeKnown
from lightwork.scheduler.core.host_policy import UNSAID
from lightwork.scheduler.core.losses import give_up, lose, lose_waiting
from lightwork.scheduler.core.nodes import HERE, SECOND_NS, Node, Standing
from lightwork.scheduler.core.recovery import end_hold, hold_is_over
from lightwork.scheduler.core.seeking import all_tried, meet, seek, unwanted
from lightwork.scheduler.core.slot_time import keep_up
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.stuck import heed, look


def on_node_joined(state: State, event: on.NodeJoined) -> Commands:
    """A node offers its slots. One whose claim went on has all that it had; another one's heartbeat will tell."""
    node = known = state.nodes.get(event.node)
    limited = node is not None and node.slots < node.offered
    if node is None:
        node = Node(event.node, event.slots, event.address, event.hardware, state.now_ns)
        state.add_node(node)
    else:
        used = node.slots if limited else event.slots
        node.offered, node.address, node.hardware = event.slots, event.address, event.hardware
        node.limit(used)
        node.draining = node.draining and event.resumed  # it has said so, and does not say it again
        node.standing, node.heard_ns = Standing.DRAINING if node.draining else Standing.JOINED, state.now_ns
        node.revoking_ns = -1
        node.unsettled = set() if event.resumed else set(node.attempts)
        if event.adopting:
            node.unsettled = set()  # its Truth tells that, and more
    node.via, node.shares_memory = event.via, event.shares_memory
    node.identity, node.era = event.identity, event.era
    node.untold = event.adopting or (event.resumed and node.untold)  # a Truth that its last link lost is still to come
    node.pythons, node.labels = event.pythons, event.labels
    node.own_groups, node.weight, node.relay = tuple(event.groups), event.weight, event.relay
    node.lease_ns = event.lease_ns
    node.resources, node.unwilling = event.resources, event.unwilling
    hosts.settle(state, node)
    if node.allowed is not None and not limited:
        node.limit(node.allowed)
    state.queue.reconsider(node)
    if known is None and node.removed_by:
        return hosts.turn_away(state, node)
    _know(state, node, event)
    prospect = state.prospects.get(event.via)
    if prospect is not None:
        prospect.joined(node.name)
    commands: Commands = []
    if not event.resumed:
        node.begin_anew(state.now_ns)
        forget_computations(state, node)
        commands += _not_awaited(state, node) + _forgets_sessions(state, node)
    commands += [command for session in state.sessions.values() for command in meet(state, session, node)]
    useless = unwanted(state, node)
    if useless:
        return commands + useless
    if node.policy != UNSAID:  # whatever it was told, it may have been restarted since
        node.told = UNSAID
    commands += hosts.instruct(state, node)
    commands += step.synchronise_all(state, node)
    if node.slots < node.offered or event.resized:
        commands = [*(one for one in commands if type(one) is not do.SetSlots), do.SetSlots(node.name, node.slots)]
    return commands + state.tell_all(ClusterEvent.NODE_READY, node) + (all_tried(state) if prospect is not None else [])


def _know(state: State, node: Node, event: on.NodeJoined) -> None:
    """It works for us: a restart must wait for it."""
    if state.ledger is not None:
        known = NodeKnown(node.name, event.identity, event.era, event.via, event.lease_ns)
        if state.ledger.nodes.get(node.name) != known:
            state.record(known)
            node.known = state.recorded


def _not_awaited(state: State, node: Node) -> Commands:
    """Nothing is being prepared there any more: what waits for that is as good as done."""
    commands: Commands = list(state.orders.node_gone(node.name))
    for session in state.sessions.values():
        share = session.shares.get(node.name)
        if share is not None and share.awaited:
            share.awaited.clear()
            commands.append(do.Answer(session.name, share.order))
    return commands


def on_node_lost(state: State, event: on.NodeLost) -> Commands:
    """Its link broke: nothing new goes there; it may come back within its lease. After a goodbye it will not."""
    node = state.nodes.get(event.node)
    if node is None or (node.standing is Standing.AWAY and not event.left):
        return []
    was_here = node.standing in HERE
    node.standing = Standing.AWAY
    state.prospects.node_lost(node.name, state.now_ns)
    commands = state.tell_all(ClusterEvent.NODE_CLOSED, node) if was_here else []
    if was_here and not (event.left or node.shares_memory):
        commands += _warn_of_loss(state, node)
    if event.left:
        why = f"node {node.name} has left"
        commands += lose(state, node, set(node.attempts), why) + forget(state, node, why)
    else:
        for session in list(state.sessions.values()):  # the end of a session does not wait for it
            commands += state.forgotten_by(session, node.name)
    return commands + seek(state)


def on_node_draining(state: State, event: on.NodeDraining) -> Commands:
    """Its owner wants it back: what runs goes on, nothing more comes."""
    node = state.nodes.get(event.node)
    if node is None:
        return []
    node.standing, node.draining = Standing.DRAINING, True
    text = f"node {node.name} is leaving{event.reason and ': '}{event.reason}; its running jobs end first"
    return [do.Warn(session, "info", text) for session, record in state.sessions.items() if node.name in record.shares]


def on_node_beat(state: State, event: on.NodeBeat) -> Commands:
    """A node is alive; what it had before it went away and no longer has, is lost."""
    node = state.nodes[event.node]
    node.heard_ns = state.now_ns
    node.load, node.workers = event.load, event.workers
    if node.standing in (Standing.SILENT, Standing.DEAD):
        node.standing = Standing.JOINED
        state.queue.reconsider(node)
    commands = state.tell_all(ClusterEvent.NODE_LOAD, node) + heed(state, node)
    if event.unwilling != node.unwilling:
        commands += hosts.heed(state, node, event.unwilling)
    commands += step.heed(state, node, event.epochs)
    if node.unsettled:
        missing = node.unsettled.intersection(node.attempts).difference(event.held, event.running)
        node.unsettled = set()
        commands += lose(state, node, missing, f"node {node.name} let go of it, or was restarted")
    return commands


def on_nodes_spoke(state: State, event: on.NodesSpoke) -> Commands:
    """Something came from them, though perhaps not yet to its end: on a slow line a heartbeat stands in line, too."""
    for name in event.nodes:
        node = state.nodes.get(name)
        if node is not None and node.standing in HERE:
            node.heard_ns = state.now_ns
    return []


def on_we_slept(state: State, event: on.WeSlept) -> Commands:
    """What the nodes said meanwhile is still to be read: nobody was silent for that."""
    for node in state.nodes.values():
        node.heard_ns = min(node.heard_ns + event.slept_ns, state.now_ns)
        node.quiet_ns = min(node.quiet_ns + event.slept_ns, state.now_ns)
    for session in state.sessions.values():
        session.away_ns = min(session.away_ns + event.slept_ns, state.now_ns)
    return []


def on_time_passed(state: State, event: on.TimePassed) -> Commands:
    """Who has been silent too long?"""
    commands: Commands = []
    for node in list(state.nodes.values()):
        silent_ns = state.now_ns - node.heard_ns
        if silent_ns > state.lease_of(node):
            commands += _presume_dead(state, node, silent_ns)
        elif silent_ns > state.silent_ns and node.standing is Standing.JOINED:
            node.standing = Standing.SILENT
            for session, record in state.sessions.items():
                if node.name in record.shares:
                    text = f"node {node.name} ({node.address}) has not been heard for {silent_ns / SECOND_NS:.0f} s"
                    commands.append(do.Warn(session, "warning", text))
    for name in overdue(state):
        commands += on_client_lost(state, on.ClientLost(name))
    if state.restoring and hold_is_over(state):
        commands += end_hold(state)
    if state.killing:
        alive = {token for node in state.nodes.values() for token in node.attempts}
        state.killing = {token: why for token, why in state.killing.items() if token in alive}
    keep_up(state)
    return commands + look(state) + seek(state)


def on_session_released(state: State, event: on.SessionReleased) -> Commands:
    """A node forgot the session; the last one ends it."""
    session = state.sessions.get(event.session)
    if session is None:
        return []
    problems = [f"on node {event.node}: {problem}" for problem in event.problems]
    commands: Commands = [do.Warn(session.name, "warning", problem) for problem in problems]
    if session.releasing:
        return commands + state.forgotten_by(session, event.node)
    state.released.append((session.name, event.node))
    return commands


def _presume_dead(state: State, node: Node, silent_ns: int) -> Commands:
    """The lease is over: jobs move, but those that must not start twice wait a while for the node's word."""
    commands: Commands = []
    if node.standing is not Standing.DEAD:
        commands.append(do.Drop(node.name))
        if node.standing in HERE:
            commands += state.tell_all(ClusterEvent.NODE_CLOSED, node)
        node.standing = Standing.DEAD
        state.prospects.node_lost(node.name, state.now_ns)
        commands += give_up(state, node) + _forgets_sessions(state, node)
        forget_computations(state, node)
        commands += _warn_of_waiting(state, node, silent_ns)
    over = silent_ns > state.lease_of(node) + state.lost_ns
    if over:
        why = f"node {node.name} has not been heard for {silent_ns / SECOND_NS:.0f} s"
        commands += lose(state, node, set(node.attempts), why)
        commands += _lose_pinned(state, node, why)
    if over or not (node.attempts or _pinned(state, node)):
        commands += _remove(state, node)
    return commands


def _warn_of_loss(state: State, node: Node) -> Commands:
    commands: Commands = []
    for session, record in state.sessions.items():
        if node.name in record.shares:
            text = f"the connection with node {node.name} ({node.address}) is lost"
            moving = sum(job.group.options.reentrant is not False for job in node.of_session(session))
            if moving:
                text += f"; unless it is back within {span(state.lease_of(node) / SECOND_NS)}, "
                text += f"{count(moving, 'job')} from there will be queued again"
            commands.append(do.Warn(session, "warning", text))
    return commands


def _warn_of_waiting(state: State, node: Node, silent_ns: int) -> Commands:
    commands: Commands = []
    for session in state.sessions:
        waiting = len(node.of_session(session))
        if waiting:
            text = (
                f"waiting for node {node.name}, unreachable for {silent_ns / SECOND_NS:.0f} s: "
                f"{count(waiting, 'job')} with reentrant=False may still run there; LOST in {timers.LOST_S:.0f} s"
            )
            commands.append(do.Warn(session, "warning", text))
    return commands


def _pinned(state: State, node: Node) -> list[tuple[str, int]]:
    """Waiting jobs that may run nowhere else."""
    return [
        (job.group.session, job.number)
        for group, line in state.queue.lines()
        if group.options.node == node.name
        for job in line
    ] + [(job.group.session, job.number) for job in state.delays if job.group.options.node == node.name]


def _lose_pinned(state: State, node: Node, why: str) -> Commands:
    in_line = [job for group, line in state.queue.lines() if group.options.node == node.name for job in line]
    return lose_waiting(state, node, [*in_line, *state.delays], why)


def forget(state: State, node: Node, why: str) -> Commands:
    """It is none of ours any more; it has no attempts."""
    return _lose_pinned(state, node, why) + _remove(state, node)


def _remove(state: State, node: Node) -> Commands:
    """Nothing is known of it any more."""
    state.forget_node(node.name)
    forget_computations(state, node)
    commands: Commands = list(state.orders.node_gone(node.name))
    for session in state.sessions.values():
        share = session.shares.get(node.name)
        if share is None:
            continue
        if share.busy:
            commands.append(do.Answer(session.name, share.order, f"node {node.name} is gone"))
        if share.busy or not share.lasting:
            del session.shares[node.name]
    return commands + _forgets_sessions(state, node)


def forget_computations(state: State, node: Node) -> None:
    """Nothing is prepared there."""
    for session in state.sessions.values():
        for record in session.computations.values():
            record.forget_node(node.name)
    state.queue.reconsider(node)


def _forgets_sessions(state: State, node: Node) -> Commands:
    commands: Commands = []
    for session in list(state.sessions.values()):
        commands += state.forgotten_by(session, node.name)
    may_have_forgotten(state, node)
    return commands
