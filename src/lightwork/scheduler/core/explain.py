"""Why a job waits. Placement asks the same predicates, so that what is said is what is done."""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.sessions import ComputationRecord


def refusal(node: Node, record: ComputationRecord) -> str | None:
    """Why this node may not be given jobs of this computation at all; None if it may."""
    if node.standing is not Standing.JOINED:
        return f"node {node.name} is {node.standing.value}"
    if node.name in record.failed:
        return f"setup of {record.computation.name} failed on node {node.name}"
    return None


def fullness(node: Node, record: ComputationRecord) -> str | None:
    """Why this node, which may run it, has not started one yet; None if it would take one at once."""
    if node.name not in record.ready and node.name in record.prepared:
        return f"node {node.name} is preparing {record.computation.name}"
    if node.idle_slots <= 0:
        return f"all {node.slots} slots of node {node.name} are busy"
    return None


def failed_everywhere(nodes: Iterable[Node], record: ComputationRecord) -> bool:
    """Whether the computation failed on every node there is (and there is one)."""
    known = [node.name for node in nodes]
    return bool(known) and all(name in record.failed for name in known)


def explain(nodes: Iterable[Node], record: ComputationRecord) -> list[str]:
    """A sentence for each node about why a job of this computation waits."""
    reasons = []
    for node in nodes:
        reason = refusal(node, record) or fullness(node, record)
        reasons.append(reason or f"node {node.name} has a free slot; the job is on its way")
    return reasons or ["no node is connected"]
