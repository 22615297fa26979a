"""Jobs whose node is chosen: their attempts get numbers, and the node is told."""

from __future__ import annotations

from lightwork.config.limits import INLINE_MAX
from lightwork.scheduler.core.commands import Assign, Command
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.tailoring import prepare
from lightwork.scheduler.core.tokens import Tokens
from lightwork.wire.messages import Place
from lightwork.wire.outcome import ARENA_REFERENCE


def assign(node: Node, session: Session, jobs: list[Job], tokens: Tokens) -> list[Command]:
    """These jobs, which are of one group, go to the node."""
    first = tokens.reserve(len(jobs))
    node.take_on(jobs, first)
    return _hand_out(node, session, jobs, first)


def assign_twin(node: Node, session: Session, job: Job, tokens: Tokens) -> list[Command]:
    """A second attempt of a job that runs elsewhere."""
    first = tokens.reserve(1)
    node.take_twin(job, first)
    return _hand_out(node, session, [job], first)


def _hand_out(node: Node, session: Session, jobs: list[Job], first: int) -> list[Command]:
    """What the node is told; for it, a second attempt is like any other."""
    commands: list[Command] = []
    group = jobs[0].group
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
