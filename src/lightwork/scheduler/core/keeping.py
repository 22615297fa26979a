"""What is kept for shapes that found no room when it was their turn, so that others cannot starve them.

    a node            where it will fit first, and its session may have more: what it needs there adds up, and others
                      get only what is left beside that. No more than KEPT_MAX nodes are kept in all
    what it borrows   of the scheduler's own (licences): nobody else gets any; and while that is what it lacks, no node
                      is kept for it

Both are `Field.kept` and `Field.claimed`, and end when one of its jobs is placed, or none waits any more. Who has a
higher priority takes what there is as if nothing were kept. Where everything is kept, who has waited longer
(`Shape.since`, when it was first blocked) takes it over: so there is always one whom nobody can pass.
"""

from __future__ import annotations

from itertools import islice

from lightwork.scheduler.core.exclusive import Charge
from lightwork.scheduler.core.field import Field, Room
from lightwork.scheduler.core.needs import WHOLE, Amounts
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.queue import LAST, Queue
from lightwork.scheduler.core.shapes import UNKNOWN_NS, Shape

LOOKED_AT = 16  # nodes, and attempts on one, to find where there is room first
KEPT_MAX = 64  # nodes that are kept at once, for those who have waited longest


def holder_of(field: Field, node: Node, shape: Shape) -> Shape | None:
    """For whom the node is kept, if that concerns this shape."""
    for holder, kept in field.kept.items():
        if kept is node and holder is not shape and holder.stake.priority >= shape.stake.priority:
            return holder
    return None


def closed_to(field: Field, shape: Shape) -> tuple[int, int]:
    """Nodes that are kept for others: where nothing is left beside that, and all of them."""
    closed = kept = 0
    room = field.room(shape.need)
    for holder, node in field.kept.items():
        if holder is not shape and holder.stake.priority >= shape.stake.priority:
            kept |= node.bit
            if not node.count(shape.need.cpus, room.local, holder.need):
                closed |= node.bit
    return closed, kept


def may_borrow(field: Field, shape: Shape, amounts: Amounts) -> bool:
    """Whether no other shape waits for the same."""
    for name, _ in amounts:
        holder = field.claimed.get(name)
        if holder is not None and holder is not shape and holder.stake.priority >= shape.stake.priority:
            return False
    return True


def claim(field: Field, shape: Shape) -> None:
    """It was blocked: what it would borrow is its own, unless it is for somebody who has waited longer."""
    for name, _ in field.room(shape.need).floating:
        holder = field.claimed.get(name)
        if holder is None or (holder is not shape and _is_before(shape, holder)):
            field.claim(name, shape)


def keep(field: Field, shape: Shape, fit: int, now_ns: int) -> None:
    """And one of these nodes is kept for it, of those that are not kept for somebody who has waited longer."""
    room = field.room(shape.need)
    if room.floating and (field.floating.lacking(room.floating) or not may_borrow(field, shape, room.floating)):
        field.release(shape, node_only=True)
        return
    kept = field.kept.get(shape)
    if kept is not None and kept.bit & fit:
        return
    field.release(shape, node_only=True)
    if len(field.kept) >= KEPT_MAX:
        last = max(field.kept, key=lambda one: one.since)
        if not _is_before(shape, last):
            return
        field.release(last, node_only=True)
    _, others = closed_to(field, shape)
    found = islice(field.each(fit & ~others), LOOKED_AT)
    node = min(found, key=lambda one: ready_ns(one, room, now_ns), default=None)
    if node is None:
        holders = [one for one, its in field.kept.items() if its.bit & fit & others and _is_before(shape, one)]
        if not holders:
            return
        node = field.kept[max(holders, key=lambda one: one.since)]
    for other in [one for one, its in field.kept.items() if its is node]:
        field.release(other, node_only=True)
    field.kept[shape] = node


def _is_before(shape: Shape, other: Shape) -> bool:
    """Whether it has waited longer."""
    return shape.since < other.since


def tidy(queue: Queue, field: Field, charge: Charge | None) -> None:
    """Nothing is kept for whom it is of no use now."""
    for shape in {*field.kept, *field.claimed.values()}:
        stake, kept = shape.stake, field.kept.get(shape)
        limit = LAST if charge is None else charge.limit(stake.session.name)
        group = None if stake.session.congested or not shape.fit else queue.first(shape)
        if group is None or group.line[0].ordinal >= limit:
            field.release(shape)
        elif kept is not None:
            floating = field.room(shape.need).floating
            if not kept.bit & shape.fit or field.floating.lacking(floating) or not may_borrow(field, shape, floating):
                field.release(shape, node_only=True)


def ready_ns(node: Node, room: Room, now_ns: int) -> float:
    """How long until there is room on a node for this, if nothing more goes there, by what its attempts mostly take."""
    if len(node.attempts) > LOOKED_AT:
        work = sum(count * (shape.record.mean_ns or UNKNOWN_NS) for shape, count in node.held.items())
        return work / max(1, node.slots)
    cpus = node.slots * WHOLE - node.cpus - room.need.cpus
    free = {name: node.total(name) - node.taken.get(name, 0) - amount for name, amount in room.local}
    ends: list[tuple[float, int]] = []
    for token, job in node.attempts.items():
        started_ns = job.stage(token)[1]
        mean_ns = job.group.shape.record.mean_ns or UNKNOWN_NS
        ends.append((max(0.0, started_ns + mean_ns - now_ns) if started_ns else mean_ns, token))
    waited = 0.0
    for end, token in sorted(ends):
        if cpus >= 0 and all(amount >= 0 for amount in free.values()):
            return waited
        waited = end
        need = node.attempts[token].group.shape.need
        cpus += need.cpus
        for name, amount in need.amounts:
            if name in free:
                free[name] += amount
    return waited if cpus >= 0 and all(amount >= 0 for amount in free.values()) else float(LAST)
