"""Why a job waits. Placement asks the same predicates, so that what is said is what is done."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lightwork.scheduler.core.jobs import Group
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.sessions import ComputationRecord, Session
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
    if node.ailing or node.stuck_ns:
        return f"node {node.name} is set aside: {node.trouble}"
    if share.use is not Use.USED:
        return f"node {node.name} {share.use.value}"
    if not node.slots:
        return f"no slot of node {node.name} is to be used"
    record = session.computations[group.computation]
    if node.name in record.failed:
        return f"setup of {record.computation.name} failed on node {node.name}"
    if group.options.node and group.options.node != node.name:
        return f"the job may run on node {group.options.node} only"
    return unfit(node, record.computation)


def unfit(node: Node, computation: Computation) -> str | None:
    """Why no interpreter of this node can run the computation; None if one can, or none is known."""
    needed = computation.python
    if not node.pythons or not computation.untravellable or needed in node.pythons:
        return None
    have = ", ".join(f"{major}.{minor}" for major, minor in node.pythons)
    why = computation.untravellable
    return f"{computation.name} needs Python {needed[0]}.{needed[1]} ({why}); node {node.name} has {have}"


def fullness(node: Node, record: ComputationRecord) -> str | None:
    """Why this node, which may run it, has not started one yet; None if it would take one at once."""
    if node.name not in record.ready and node.name in record.prepared:
        return f"node {node.name} is preparing {record.computation.name}"
    if node.idle_slots <= 0:
        return f"all {node.slots} slots of node {node.name} are busy"
    return None


def failed_everywhere(nodes: Iterable[Node], session: Session, record: ComputationRecord) -> bool:
    """Whether the computation failed on every node that the session has (and there is one)."""
    known = [node.name for node in nodes if node.name in session.shares]
    return bool(known) and all(name in record.failed for name in known)


def preferred(allowed: list[Node], group: Group) -> list[Node]:
    """Of the nodes that may run it, those where it has not failed, if there are any."""
    return [node for node in allowed if node.name not in group.avoid] or allowed if group.avoid else allowed


def explain(nodes: Collection[Node], session: Session, group: Group) -> list[str]:
    """A sentence for each node about why a job of this group waits."""
    record = session.computations[group.computation]
    refusals = {node.name: refusal(node, session, group) for node in nodes}
    better = preferred([node for node in nodes if refusals[node.name] is None], group)
    reasons = []
    for node in nodes:
        reason = refusals[node.name]
        if reason is None and node not in better:
            reason = f"the job failed on node {node.name}, and another one may run it"
        reason = reason or fullness(node, record)
        reasons.append(reason or f"node {node.name} has a free slot; the job is on its way")
    return reasons or ["no node is connected"]
