"""Jobs to nodes: the next in the queue goes where there is room, idle slots first.

A node gets one job per slot of a computation that nobody has measured, and then as many ahead as it will have done in
about 50 ms (`Node.room`): tiny jobs travel in batches, long ones go one at a time, and nothing waits for a timer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightwork.config.limits import INLINE_MAX
from lightwork.scheduler.core.commands import Assign, Command
from lightwork.scheduler.core.explain import preferred, refusal
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.queue import Queue
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.scheduler.core.tailoring import prepare
from lightwork.wire.messages import Place
from lightwork.wire.outcome import ARENA_REFERENCE


class Tokens:
    """Numbers attempts."""

    def __init__(self, first: int) -> None:
        self.next = first

    def reserve(self, count: int) -> int:
        """The first of so many fresh tokens."""
        first = self.next
        self.next += count
        return first


def place(queue: Queue, nodes: Mapping[str, Node], sessions: Mapping[str, Session], tokens: Tokens) -> list[Command]:
    """Hand out what can be handed out now."""
    commands: list[Command] = []
    crowded: list[Group] = []  # may run only on some nodes, and these are full: others may pass them
    joined = sum(node.standing is Standing.JOINED for node in nodes.values()) if queue.size else 0
    while (turn := queue.first()) is not None:
        group, before = turn
        session = sessions[group.session]
        record = session.computations[group.computation]
        allowed = [node for node in nodes.values() if refusal(node, session, group) is None and not session.congested]
        if group.avoid:
            allowed = preferred(allowed, group)
        node, room = _roomiest(allowed, group, record, session)
        if node is None:
            queue.set_aside(group)
        elif room:
            jobs = queue.take(group, room, before)
            commands += _assign(node, session, group, jobs, tokens)
        elif len(allowed) == joined:  # all are full: nobody behind it would find room either
            break
        else:
            queue.set_aside(group)
            crowded.append(group)
    for group in crowded:
        queue.bring_back(group)
    return commands


def _roomiest(
    nodes: Sequence[Node], group: Group, record: ComputationRecord, session: Session
) -> tuple[Node | None, int]:
    """The node to fill next and how many it may take: while slots are idle only so many, the idlest node first."""
    best: Node | None = None
    best_room = best_idle = 0
    for node in nodes:
        idle = max(0, node.idle_slots)
        once = group.options.reentrant is False  # none ahead: if the agent dies, nobody may know what had started
        room = idle if once else node.room(group.computation, record.mean_ns, _held_ns(node, session))
        if best is None or (idle, room) > (best_idle, best_room):
            best, best_room, best_idle = node, room, idle
    return best, best_room if len(nodes) == 1 or not best_idle else min(best_room, best_idle)


def _held_ns(node: Node, session: Session) -> float:
    """The work that a node has of this session, by measured means."""
    computations = session.computations
    held = 0.0
    for computation, count in node.held.items():
        record = computations.get(computation)
        if record is not None:
            held += count * record.mean_ns
    return held


def _assign(node: Node, session: Session, group: Group, jobs: list[Job], tokens: Tokens) -> list[Command]:
    first = tokens.reserve(len(jobs))
    node.take_on(jobs, first)
    return _hand_out(node, session, group, jobs, first)


def assign_twin(node: Node, session: Session, job: Job, tokens: Tokens) -> list[Command]:
    """A second attempt of a job that runs elsewhere."""
    first = tokens.reserve(1)
    node.take_twin(job, first)
    return _hand_out(node, session, job.group, [job], first)


def _hand_out(node: Node, session: Session, group: Group, jobs: list[Job], first: int) -> list[Command]:
    """What the node is told; for it, a second attempt is like any other."""
    commands: list[Command] = []
    record = session.computations[group.computation]
    if node.name not in record.prepared:
        commands.append(prepare(session, record, node.name))
    payloads = [job.payload for job in jobs]
    node.bytes_in += sum(map(len, payloads))
    places, apart = _far(node, jobs, payloads)
    fresh = list(range(first, first + len(jobs)))
    numbers, attempts = [job.number for job in jobs], [job.attempts for job in jobs]
    if max(attempts) == 1:
        attempts = []
    commands.append(
        Assign(
            node.name,
            group.session,
            group.computation,
            fresh,
            payloads,
            group.options,
            places,
            numbers,
            attempts,
            apart,
        )
    )
    return commands


def _far(node: Node, jobs: list[Job], payloads: list[bytes]) -> tuple[list[Place], list[Place]]:
    """Which arguments lie in shared memory, and which the node is to fetch (their payloads are left out)."""
    if node.shares_memory:
        found = [(index, job) for index, job in enumerate(jobs) if job.in_arena]
        return [Place(index, *ARENA_REFERENCE.unpack(job.payload)) for index, job in found], []
    apart = [Place(index, 0, job.size) for index, job in enumerate(jobs) if job.in_arena or job.size > INLINE_MAX]
    for place in apart:
        payloads[place.index] = b""
    return [], apart
