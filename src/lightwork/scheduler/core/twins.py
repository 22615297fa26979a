"""Speculation: a job that runs far longer than its like gets a second attempt elsewhere; the first result wins (P10).

    idle slots, nothing to place --> the slowest reentrant=True jobs that run longer than max(1 s, 2 x p75) --> Assign

    first result --> the other attempt is let go, and killed --> Deliver
    one dies, is lost, or fails with retries left --> the other goes on

To its user a job with two attempts is the older one: what the younger one sends waits until it has won, or is alone.
"""

from __future__ import annotations

from lightwork.config import timers
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do
from lightwork.scheduler.core.exclusive import Charge, in_charge
from lightwork.scheduler.core.explain import cap_left, refusal
from lightwork.scheduler.core.handing_out import assign_twin
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.keeping import closed_to, may_borrow
from lightwork.scheduler.core.nodes import SECOND_NS, Node, Standing
from lightwork.scheduler.core.retries import spend
from lightwork.scheduler.core.sessions import ComputationRecord
from lightwork.scheduler.core.shapes import NEVER
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.takeback import PATIENCE_NS, is_asked
from lightwork.wire import outcome
from lightwork.wire.messages import Attempt

BLIND_NS = int(timers.TWIN_BLIND_S * SECOND_NS)
LEAST_NS = int(timers.TWIN_MIN_S * SECOND_NS)
LOOK_NS = int(timers.TWIN_LOOK_S * SECOND_NS)
FACTOR = 2  # times the third quartile

# --- who gets one ---


def speculate(state: State) -> Commands:
    """At the end of a turn: what has been placed is placed, and slots are idle still."""
    state.look_ns = 0
    idle = _idle(state)
    if not idle or not state.running:
        return []
    if state.looked_ns and state.now_ns < state.looked_ns + LOOK_NS:
        state.look_ns = state.looked_ns + LOOK_NS
        return []
    state.looked_ns = state.now_ns
    commands: Commands = []
    for job in _overdue(state):
        node = _host(state, job, idle)
        if node is not None:
            session = state.sessions[job.group.session]
            commands += assign_twin(node, session, job, state.tokens)
            state.twins_started += 1
            session.twins_started += 1
    return commands


def _idle(state: State) -> list[Node]:
    """Nodes with idle slots; none while a node is asked for what it has not started, for that comes first."""
    if not state.speculative or len(state.nodes) < 2:
        return []
    asked = [node.revoking_ns for node in state.nodes.values() if is_asked(node, state.now_ns)]
    if asked:
        state.look_ns = max(asked) + PATIENCE_NS
        return []
    return [node for node in state.field.each(state.field.idle) if node.standing is Standing.JOINED]


def _overdue(state: State) -> list[Job]:
    """Jobs that are worth a twin, the slowest first. Notes when the next one will be."""
    found: list[Job] = []
    charge = in_charge(state)
    for token, job in list(state.running.items()):
        if not runs(job, token):
            del state.running[token]
        elif _may_have_twin(state, job, charge):
            record = state.sessions[job.group.session].computations[job.group.computation]
            due_ns = job.started_ns + patience_ns(record)
            if due_ns <= state.now_ns:
                found.append(job)
            elif not state.look_ns or due_ns < state.look_ns:
                state.look_ns = due_ns
    return sorted(found, key=lambda job: (job.started_ns, job.ordinal))


def _may_have_twin(state: State, job: Job, charge: Charge | None) -> bool:
    options = job.group.options
    if charge is not None and job.ordinal >= charge.limit(job.group.session):
        return False  # the nodes are somebody else's now; what runs may end
    if options.reentrant is not True or options.node or job.cancelled or job.deaths or job.twin is not None:
        return False
    return not state.sessions[job.group.session].congested


def patience_ns(record: ComputationRecord) -> int:
    """A job of this computation that runs longer gets a twin."""
    usual_ns = record.durations.p75_ns()
    return max(LEAST_NS, FACTOR * usual_ns) if usual_ns else BLIND_NS


def _host(state: State, job: Job, idle: list[Node]) -> Node | None:
    """Where the twin goes: of the nodes that may run it, one that is fast, and has most idle slots."""
    session, group = state.sessions[job.group.session], job.group
    need = group.shape.need
    room = state.field.room(need)
    if state.field.floating.lacking(room.floating) or not may_borrow(state.field, group.shape, room.floating):
        return None
    kept, _ = closed_to(state.field, group.shape)
    lone = state.queue.lone()
    if lone is not None and lone.since is not NEVER and lone.stake.priority >= group.shape.stake.priority:
        kept |= lone.fit  # for who waits alone nothing need be kept, but from us
    fit = [
        node
        for node in idle
        if not node.bit & kept
        and node.count(need.cpus, room.local)
        and cap_left(node, session, group.shape) > 0
        and node.name != job.node
        and node.name not in group.avoid
        and refusal(node, session, group) is None
    ]
    return min(fit, key=lambda node: (_pace(node), -node.idle_slots), default=None)


def _pace(node: Node) -> int:
    """How long its jobs take, roughly: powers of two. They may have been of all kinds."""
    return (node.job_time_ns // node.jobs_done).bit_length() if node.jobs_done else 0


# --- started ---


def note_started(state: State, job: Job, token: int) -> None:
    """This attempt runs: it may turn out to be slow."""
    state.running[token] = job
    if job.group.options.reentrant is True:
        state.speculative = True


def runs(job: Job, token: int) -> bool:
    """Whether this attempt lives and has started."""
    if job.state >= JobState.FINISHED or not job.node:
        return False
    twin = job.twin
    if job.token == token:
        return job.state is JobState.RUNNING
    return twin is not None and twin.token == token and twin.state is JobState.RUNNING


# --- over ---


def leave_to_other(job: Job, token: int, reason: str) -> Commands | None:
    """One of two attempts is no more; its node has let it go. None: it was the only one."""
    twin = job.twin
    if twin is None:
        return None
    if token == twin.token:
        job.more().twin = None
        return _free(twin.node, twin.token) if twin.files else []
    return _promote(job, reason)


def _promote(job: Job, reason: str) -> Commands:
    """The younger attempt is the job's now. What the older one sent is void."""
    session = job.group.session
    commands: Commands = []
    if job.state is JobState.RUNNING:
        commands.append(do.TellRequeued(session, [job.number], reason))
    twin = job.follow_twin()
    if twin.state is JobState.RUNNING:
        commands.append(do.TellRunning(session, twin.node, [job.number], [twin.started_ns]))
    return [*commands, *twin.files]


def conclude(state: State, job: Job, token: int, *, won: bool = False) -> Commands:
    """A job ends with this attempt: its other one, if it has one, is stopped. `won`: by a result of its own."""
    twin = job.twin
    if twin is None:
        return []
    if token == twin.token:
        node, other, stage = job.node, job.token, job.stage(job.token)
        text = f"stopped: its twin on node {twin.node} was faster"
        commands = _promote(job, "its twin was faster")
        commands += _free(node, other)
        if won:
            state.twins_won += 1
            state.sessions[job.group.session].twins_won += 1
    else:
        node, other, stage = twin.node, twin.token, job.stage(twin.token)
        text = f"a twin, stopped: the attempt on node {job.node} was faster"
        commands = _free(node, other) if twin.files else []
        job.more().twin = None
    state.nodes[node].let_go(other)
    started_ns = stage[1] if stage[0] is JobState.RUNNING else 0
    lasted_ns = state.now_ns - started_ns if stage[0] is JobState.RUNNING else 0
    spend(state, job, Attempt(node, started_ns and started_ns + state.wall_ns, lasted_ns, outcome.CANCELLED, text))
    return [*commands, do.Stop(node, [other], now=True)]


def _free(node: str, token: int) -> Commands:
    """Files that an attempt sent: nobody will fetch them."""
    return [do.Free(node, spooled=[token])]
