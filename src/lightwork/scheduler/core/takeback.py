"""Jobs handed out but not started come back when others are idle, or when more urgent ones wait.

The embedded node balances its own workers; this is between nodes: when the queue is empty and a node has idle slots,
the node with most jobs ahead is asked for the younger half of them, as far as an idle node would take them at once (or
they would go back and forth for ever). It gives back only what has not started.

An urgent job does not wait behind what was handed out ahead: where it may run, all that is less urgent and has not
started is asked back at once, and the next slot that becomes free is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from lightwork.model.states import JobState
from lightwork.scheduler.core.commands import Command, Revoke
from lightwork.scheduler.core.explain import cap_left, fullness, refusal
from lightwork.scheduler.core.jobs import Group
from lightwork.scheduler.core.keeping import closed_to
from lightwork.scheduler.core.needs import WHOLE
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shapes import Shape
from lightwork.scheduler.core.state import State

PATIENCE_NS = 1_000_000_000  # a node that had nothing to give back answers nothing: it may be asked again
LOOKED_AT = 64  # nodes


def take_back(state: State) -> list[Command]:
    """Ask the fullest node for half of what waits there, if another has nothing to do."""
    field = state.field
    if state.queue.size or len(state.nodes) < 2:
        return []
    crowded, spare = field.crowded, field.idle
    if not crowded or not spare:
        return []
    idle = [node for node in islice(field.each(spare), LOOKED_AT) if node.standing is Standing.JOINED]
    donors = (node for node in islice(field.each(crowded), LOOKED_AT) if node.standing is Standing.JOINED)
    donor = min(donors, key=lambda node: node.idle_slots, default=None)
    if not idle or donor is None or is_asked(donor, state.now_ns):
        return []
    wanted = max(1, -donor.idle_slots // 2)
    tokens = list(islice(_movable(donor, idle, state.sessions), wanted))
    if not tokens:
        return []
    donor.revoking_ns = state.now_ns
    return [Revoke(donor.name, tokens[::-1])]


def is_asked(donor: Node, now_ns: int) -> bool:
    """Whether its answer is still to come."""
    return donor.revoking_ns >= 0 and now_ns - donor.revoking_ns < PATIENCE_NS


def _movable(donor: Node, idle: list[Node], sessions: Mapping[str, Session]) -> Iterator[int]:
    """The donor's attempts that have not started and that one of the idle nodes would take, youngest first."""
    allowed: dict[Group, bool] = {}
    for token, job in reversed(donor.attempts.items()):
        group = job.group
        if group not in allowed:
            session = sessions[group.session]
            allowed[group] = any(
                node.name not in group.avoid
                and refusal(node, session, group) is None
                and fullness(node, session, group.shape) is None
                for node in idle
            )
        if allowed[group] and job.state is JobState.QUEUED and not job.cancelled:
            yield token


# --- for urgent ones ---


def make_way(state: State, blocked: list[tuple[Shape, int]]) -> list[Command]:
    """Shapes that found no room, and where they looked: what is less urgent there, and has not started, comes back."""
    least = min((priority for priority, out in state.field.out.items() if out), default=None)
    if least is None:
        return []
    commands: list[Command] = []
    for shape, reach in blocked:
        if reach and shape.stake.priority > least:
            commands += _make_way(state, shape, reach)
    return commands


def _make_way(state: State, shape: Shape, reach: int) -> list[Command]:
    """As many slots as its waiting jobs need, or the node that is kept for it."""
    field = state.field
    room = field.room(shape.need)
    group = state.queue.first(shape)
    if group is None or field.floating.lacking(room.floating):
        return []
    kept = field.kept.get(shape)
    missing = shape.need.cpus * (len(group.line) + len(shape.heap) - 1)
    commands: list[Command] = []
    _, others = closed_to(field, shape)
    where = kept.bit if kept is not None else reach & ~field.free(room, reach) & ~others
    for node in islice(field.each(where), LOOKED_AT):
        if missing <= 0:
            break
        if not is_asked(node, state.now_ns):
            tokens = _in_the_way(node, shape)
            if not tokens or cap_left(node, shape.stake.session, shape) <= 0:
                continue
            if node is not kept and not _helps(node, shape, tokens):
                continue
            node.revoking_ns = state.now_ns
            commands.append(Revoke(node.name, tokens[::-1]))
        missing -= node.slots * WHOLE
    return commands


def _in_the_way(node: Node, shape: Shape) -> list[int]:
    """Its attempts that have not started, are of a lower priority, and have some of what the shape lacks there."""
    priority, need = shape.stake.priority, shape.need
    if all(held.stake.priority >= priority for held in node.held):
        return []
    of_slots = node.slots * WHOLE - node.cpus < need.cpus
    lacking = {name for name, amount in need.amounts if node.total(name) - node.taken.get(name, 0) < amount}
    return [
        token
        for token, job in node.attempts.items()
        if job.group.shape.stake.priority < priority
        and job.stage(token)[0] is JobState.QUEUED
        and not job.cancelled
        and (of_slots or any(name in lacking for name, _ in job.group.shape.need.amounts))
    ]


def _helps(node: Node, shape: Shape, tokens: list[int]) -> bool:
    """Whether these would not just go there again: what was handed out ahead cannot, for a slot is waited for; else
    the shape must fit where they were."""
    if not node.unlike and shape.need.plain:
        return True
    needs = [node.attempts[token].group.shape.need for token in tokens]
    if node.slots * WHOLE - node.cpus + sum(need.cpus for need in needs) < shape.need.cpus:
        return False
    back: dict[str, int] = {}
    for name, amount in (pair for need in needs for pair in need.amounts):
        back[name] = back.get(name, 0) + amount
    local = node.field.room(shape.need).local
    return all(node.total(name) - node.taken.get(name, 0) + back.get(name, 0) >= amount for name, amount in local)
