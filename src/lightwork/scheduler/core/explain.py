"""Why a job waits. Placement asks the same predicates, so that what is said is what is done."""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.kit.text import count
from lightwork.model.resources import shown
from lightwork.scheduler.core.jobs import Group
from lightwork.scheduler.core.needs import PLENTY, WHOLE
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.refusals import behind, excluded
from lightwork.scheduler.core.sessions import ComputationRecord, Session
from lightwork.scheduler.core.shapes import Shape
from lightwork.scheduler.core.shares import Use
from lightwork.wire.messages import Computation


def refusal(node: Node, session: Session, group: Group) -> str | None:
    """Why this node may not be given jobs of this group at all; None if it may."""
    share = session.shares.get(node.name)
    if share is None:
        return f"node {node.name} is not among the nodes of this cluster"
    if node.untold:
        return f"node {node.name} has not told yet what still runs there"
    if node.standing is not Standing.JOINED:
        return f"node {node.name} is {node.standing.value}"
    if (why := excluded(node)) is not None:
        return why
    if node.ailing or node.stuck_ns:
        return f"node {node.name} is set aside: {node.trouble}"
    if share.use is not Use.USED:
        return f"node {node.name} {share.use.value}"
    if share.releasing:
        return f"node {node.name} still clears away what this cluster had there"
    if not node.slots:
        return f"no slot of node {node.name} is to be used"
    record = session.computations[group.computation]
    if node.name in record.failed:
        return f"setup of {record.computation.name} failed on node {node.name}"
    if (why := behind(node, session, group)) is not None:
        return why
    if group.options.node and group.options.node != node.name:
        return f"the job may run on node {group.options.node} only"
    return unfit(node, record.computation) or misfit(node, group.shape, node.slots)


def unfit(node: Node, computation: Computation) -> str | None:
    """Why no interpreter of this node can run the computation; None if one can, or none is known."""
    needed = computation.python
    if not node.pythons or not computation.untravellable or needed in node.pythons:
        return None
    have = ", ".join(f"{major}.{minor}" for major, minor in node.pythons)
    why = computation.untravellable
    return f"{computation.name} needs Python {needed[0]}.{needed[1]} ({why}); node {node.name} has {have}"


def misfit(node: Node, shape: Shape, slots: int) -> str | None:
    """Why this node, with so many slots, is not what the job asks for; None if it is, once there is room."""
    if shape.problem:
        return shape.problem
    if shape.where is not None and not shape.where.holds(node.facts()):
        return f"node {node.name} is not what where= asks for: {shape.where.why(node.facts())}"
    need = shape.need
    if need.cpus > slots * WHOLE:
        return f"node {node.name} has {count(slots, 'slot')}; the job needs {shown('cpus', need.cpus)}"
    floating = node.field.floating.totals
    for name, amount in need.amounts:
        if name in floating:
            if amount > floating[name]:
                return f"the scheduler has {shown(name, floating[name])} for all jobs; this one needs {amount:,}"
        elif amount > node.total(name):
            return f"node {node.name} has {shown(name, node.total(name))}; the job needs {shown(name, amount)}"
    return None


def fullness(node: Node, session: Session, shape: Shape) -> str | None:
    """Why this node, which may run it, has no room for one more; None if it would take one at once."""
    record, need = shape.record, shape.need
    room = node.field.room(need)
    if node.count(need.cpus, room.local):
        if cap_left(node, session, shape) <= 0:
            cap = session.shares[node.name].cap
            return f"node {node.name} is to have {count(cap, 'job')} of this cluster at once, and has"
        lacking = node.field.floating.lacking(room.floating)
        return f"there is not enough {' and '.join(lacking)} left; the scheduler lends it" if lacking else None
    if node.name not in record.ready and node.name in record.prepared:
        return f"node {node.name} is preparing {record.computation.name}"
    if node.idle_slots <= 0:
        return f"all {node.slots} slots of node {node.name} are busy"
    lacks = [name for name, amount in room.local if node.total(name) - node.taken.get(name, 0) < amount]
    if node.slots * WHOLE - node.cpus < need.cpus:
        lacks.append("cpus")
    needs = dict(room.local) | {"cpus": need.cpus}
    return f"node {node.name} has not {' and '.join(shown(name, needs[name]) for name in lacks)} left"


def cap_left(node: Node, session: Session, shape: Shape) -> int:
    """How many more jobs of this shape its session may have on the node, if that was limited."""
    share = session.shares.get(node.name)
    if share is None or not share.cap:
        return PLENTY
    taken = sum(held.need.cpus * number for held, number in node.held.items() if held.stake.session is session)
    return max(0, share.cap * WHOLE - taken) // max(1, shape.need.cpus)


def failed_everywhere(nodes: Iterable[Node], session: Session, record: ComputationRecord) -> bool:
    """Whether the computation failed on every node that the session has (and there is one)."""
    known = [node.name for node in nodes if node.name in session.shares]
    return bool(known) and all(name in record.failed for name in known)


def preferred(allowed: list[Node], group: Group) -> list[Node]:
    """Of the nodes that may run it, those where it has not failed, if there are any."""
    return [node for node in allowed if node.name not in group.avoid] or allowed if group.avoid else allowed
