"""What becomes of nodes: they join, beat, fall silent, leave, come back."""

from __future__ import annotations

from lightwork.model.states import ClusterEvent
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.attempts import lose
from lightwork.scheduler.core.nodes import LEASE_NS, SILENT_NS, Node, Standing
from lightwork.scheduler.core.state import Commands, State


def on_node_joined(state: State, event: on.NodeJoined) -> Commands:
    """A node offers its slots. One that comes back has nothing prepared; what it still has, its heartbeat says."""
    node = state.nodes.get(event.node)
    if node is None:
        node = Node(event.node, event.slots, event.address, event.hardware, state.now_ns)
        state.nodes[event.node] = node
    else:
        node.slots, node.address, node.hardware = event.slots, event.address, event.hardware
        node.standing, node.heard_ns = Standing.JOINED, state.now_ns
        node.revoking = False
        node.unsettled = set(node.attempts)
    _forget_computations(state, node)
    return state.tell_all(ClusterEvent.NODE_READY, node)


def on_node_lost(state: State, event: on.NodeLost) -> Commands:
    """Its link broke: nothing new goes there; it may come back within its lease."""
    node = state.nodes.get(event.node)
    if node is None or node.standing is Standing.AWAY:
        return []
    node.standing = Standing.AWAY
    return state.tell_all(ClusterEvent.NODE_CLOSED, node) + _forgets_sessions(state, node)


def on_node_beat(state: State, event: on.NodeBeat) -> Commands:
    """A node is alive; what it had before it went away and no longer has, is lost."""
    node = state.nodes[event.node]
    node.heard_ns = state.now_ns
    node.load, node.workers = event.load, event.workers
    if node.standing is Standing.SILENT:
        node.standing = Standing.JOINED
        state.queue.reconsider()
    commands = state.tell_all(ClusterEvent.NODE_LOAD, node)
    if node.unsettled:
        missing = node.unsettled.intersection(node.attempts).difference(event.held, event.running)
        node.unsettled = set()
        commands += lose(state, node, missing, f"node {node.name} was restarted and no longer has it")
    return commands


def on_time_passed(state: State, event: on.TimePassed) -> Commands:
    """Who has been silent too long?"""
    commands: Commands = []
    for node in list(state.nodes.values()):
        silent_ns = state.now_ns - node.heard_ns
        if silent_ns > LEASE_NS:
            commands += _give_up(state, node)
        elif silent_ns > SILENT_NS and node.standing is Standing.JOINED:
            node.standing = Standing.SILENT
    return commands


def on_session_released(state: State, event: on.SessionReleased) -> Commands:
    """A node forgot the session; the last one ends it."""
    session = state.sessions.get(event.session)
    if session is None:
        return []
    problems = [f"on node {event.node}: {problem}" for problem in event.problems]
    commands: Commands = [do.Warn(session.name, "warning", problem) for problem in problems]
    return commands + state.forgotten_by(session, event.node)


def _give_up(state: State, node: Node) -> Commands:
    """The lease is over: the node is presumed dead."""
    commands: Commands = [do.Drop(node.name)]
    if node.standing is not Standing.AWAY:
        commands += state.tell_all(ClusterEvent.NODE_CLOSED, node)
    node.standing = Standing.AWAY
    commands += lose(state, node, set(node.attempts), f"node {node.name} is lost")
    del state.nodes[node.name]
    _forget_computations(state, node)
    return commands + _forgets_sessions(state, node)


def _forget_computations(state: State, node: Node) -> None:
    for session in state.sessions.values():
        for record in session.computations.values():
            record.forget_node(node.name)
    state.queue.reconsider()


def _forgets_sessions(state: State, node: Node) -> Commands:
    commands: Commands = []
    for session in list(state.sessions.values()):
        commands += state.forgotten_by(session, node.name)
    return commands
