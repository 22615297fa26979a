"""Nodes that are alive but of no use, and jobs that run far longer than their like.

A node is set aside, which its user is told once, and is used again when it is better, or was restarted:

    ailing   its heartbeats tell of a full disk, or of no memory and no swap    until it has twice as much
    stuck    it has jobs, idle slots, and has started or ended nothing for so long        until it does, or for a while;
             what it has not started goes elsewhere                                      then it is tried once more
"""

from __future__ import annotations

from lightwork.config import limits, timers
from lightwork.kit.text import count, size, span
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do
from lightwork.scheduler.core.explain import refusal
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.losses import return_unstarted
from lightwork.scheduler.core.nodes import SECOND_NS, Node, Standing
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.twins import runs
from lightwork.wire.messages import Load

UNKNOWN = Load()
STUCK_NS = int(timers.STUCK_S * SECOND_NS)
STUCK_MAX_NS = int(timers.STUCK_MAX_S * SECOND_NS)
FAR_NS = int(timers.FAR_S * SECOND_NS)
FAR_FACTOR = 10  # times the third quartile
BETTER = 2  # times what a node must have is what one that was set aside must have

# --- ailing ---


def heed(state: State, node: Node) -> Commands:
    """A heartbeat came: has the machine what jobs need?"""
    ailing = _ailing(node)
    was, node.ailing = node.ailing, ailing and (node.ailing or ailing)
    if bool(was) == bool(ailing):
        return []
    if not ailing:
        state.queue.reconsider(node)
        return _tell(state, node, "info", f"node {node.name} has recovered (it was set aside: {was})")
    told = _tell(state, node, "warning", f"node {node.name} ({node.address}) is set aside: {ailing}")
    return [*told, *_ask_back(state, node)]


def _ailing(node: Node) -> str:
    """What it lacks; empty if it lacks nothing that is known."""
    load, factor = node.load, BETTER if node.ailing else 1
    if load == UNKNOWN:
        return ""
    if load.disk_free_bytes < factor * limits.DISK_FREE_MIN:
        return f"its disk is full, {size(load.disk_free_bytes)} are free"
    memory = node.hardware.memory_bytes
    if load.memory_free_bytes < factor * limits.MEMORY_FREE_MIN * memory:
        if load.swap_free_percent < factor * limits.SWAP_FREE_MIN:
            return (
                f"its memory is full, {size(load.memory_free_bytes)} of {size(memory)} are free, and its swap as well"
            )
    return ""


# --- stuck ---


def look(state: State) -> Commands:
    """Every second or so."""
    commands: Commands = []
    for node in state.nodes.values():
        commands += _look_at(state, node)
    return commands + _point_out(state)


def _look_at(state: State, node: Node) -> Commands:
    moved, node.moved = node.moved, False
    if node.stuck_ns:
        if not moved and state.now_ns < node.stuck_ns:
            return []
        node.quiet_ns, node.stuck_ns = state.now_ns, 0
        node.stuck_times = 0 if moved else node.stuck_times
        state.queue.reconsider(node)
        what = "is at work again" if moved else "is tried once more"
        return _tell(state, node, "info", f"node {node.name}, which started nothing, {what}")
    waiting = [] if moved or node.standing is not Standing.JOINED else _should_start(state, node)
    if not waiting:
        node.quiet_ns = state.now_ns
        node.stuck_times = 0 if moved else node.stuck_times
        return []
    return _set_aside(state, node, waiting) if state.now_ns - node.quiet_ns >= STUCK_NS else []


def _should_start(state: State, node: Node) -> list[tuple[int, Job]]:
    """Attempts that a node in good health would have started long ago: there is all that they need, and a slot."""
    if node.idle_slots >= node.slots:
        return []
    started = sum(job.stage(token)[0] is JobState.RUNNING for token, job in node.attempts.items())
    if started >= node.slots:
        return []
    found = []
    for token, job in node.attempts.items():
        record = state.sessions[job.group.session].computations[job.group.computation]
        here = node.shares_memory or not (job.in_arena or job.size > limits.INLINE_MAX)
        if node.name in record.ready and here and not job.group.options.files:
            if job.stage(token)[0] is JobState.QUEUED and not job.cancelled:
                found.append((token, job))
    return found


def _set_aside(state: State, node: Node, waiting: list[tuple[int, Job]]) -> Commands:
    """It gets nothing for a while. Its jobs move: at once where they may be started twice, else when it says so."""
    lasts_ns = min(STUCK_NS << min(node.stuck_times, 20), STUCK_MAX_NS)
    node.stuck_ns = state.now_ns + lasts_ns
    node.stuck_times += 1
    quiet = span((state.now_ns - node.quiet_ns) / SECOND_NS)
    text = f"node {node.name} ({node.address}) answers, but has started nothing for {quiet}, though it has "
    text += f"{count(len(waiting), 'job')} to start: it is set aside for {span(lasts_ns / SECOND_NS)}"
    commands = _tell(state, node, "warning", text)
    movable = _movable(state, node, waiting)
    decreed = [token for token, job in movable if job.group.options.reentrant is True]
    asked = [token for token, job in movable if job.group.options.reentrant is not True]
    if decreed:
        commands.append(do.Stop(node.name, decreed, now=True))
        commands += return_unstarted(state, node, decreed, f"node {node.name} does not start it")
    if asked:
        node.revoking_ns = state.now_ns
        commands.append(do.Revoke(node.name, asked))
    return commands


def _ask_back(state: State, node: Node) -> Commands:
    unstarted = [(token, job) for token, job in node.attempts.items() if job.stage(token)[0] is JobState.QUEUED]
    asked = [token for token, _ in _movable(state, node, unstarted)]
    if not asked:
        return []
    node.revoking_ns = state.now_ns
    return [do.Revoke(node.name, asked)]


def _movable(state: State, node: Node, waiting: list[tuple[int, Job]]) -> list[tuple[int, Job]]:
    """Those that another node may run (or that run elsewhere already)."""
    allowed: dict[Group, bool] = {}
    for _, job in waiting:
        group = job.group
        if group not in allowed:
            session = state.sessions[group.session]
            others = (one for one in state.nodes.values() if one is not node)
            allowed[group] = any(refusal(one, session, group) is None for one in others)
    return [(token, job) for token, job in waiting if allowed[job.group] or job.twin is not None]


# --- far longer than others ---


def _point_out(state: State) -> Commands:
    """Jobs that run far longer than their like: each is told of once."""
    far: dict[str, list[str]] = {}
    for token, job in list(state.running.items()):
        if not runs(job, token):
            del state.running[token]
        elif token == job.token and not (job.extra is not None and job.extra.far) and is_far(state, job):
            job.more().far = True
            far.setdefault(job.group.session, []).append(f"job {job.number} {_how_far(state, job)}")
    return [
        do.Warn(session, "info", told[0] + (f"; {count(len(told) - 1, 'more job')} like that" if len(told) > 1 else ""))
        for session, told in far.items()
    ]


def is_far(state: State, job: Job) -> bool:
    """Whether a running job takes far longer than others of its computation did."""
    record = state.sessions[job.group.session].computations[job.group.computation]
    usual_ns = record.durations.p75_ns()
    return bool(usual_ns) and state.now_ns - job.started_ns > max(FAR_NS, FAR_FACTOR * usual_ns)


def _how_far(state: State, job: Job) -> str:
    record = state.sessions[job.group.session].computations[job.group.computation]
    ran, usual = (span(ns / SECOND_NS) for ns in (state.now_ns - job.started_ns, record.durations.p75_ns()))
    return f"on {job.node} has run for {ran}; others of {record.computation.name} take {usual}"


def far_ones(state: State, session: str, most: int) -> list[str]:
    """A sentence for each of the session's jobs that were pointed out and still run; session "": of all of them."""
    found: list[str] = []
    for token, job in state.running.items():
        ours = not session or job.group.session == session
        if len(found) < most and ours and job.extra is not None and job.extra.far:
            if runs(job, token) and token == job.token:
                name = job.number if session else f"{job.group.session}/{job.number}"
                found.append(f"job {name} {_how_far(state, job)}")
    return found


def _tell(state: State, node: Node, level: str, text: str) -> Commands:
    return [do.Warn(name, level, text) for name, session in state.sessions.items() if node.name in session.shares]
