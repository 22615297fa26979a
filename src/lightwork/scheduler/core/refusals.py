"""Why a node gets no jobs of anybody, or must be synchronised first: predicates of `explain.refusal`."""

from __future__ import annotations

from lightwork.scheduler.core.jobs import Group
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.sessions import Session


def excluded(node: Node) -> str | None:
    """Why it gets no jobs of anybody; None: it may have some."""
    if node.removed_by:
        return f"node {node.name} is being removed by {node.removed_by}"
    if node.drained_by:
        return f"node {node.name} is drained by {node.drained_by}"
    return f"node {node.name} takes no new jobs: {node.unwilling}" if node.unwilling else None


def behind(node: Node, session: Session, group: Group) -> str | None:
    """Why this node must be synchronised before it runs jobs of this group; None if it is in step."""
    if not group.epoch:
        return None
    for digest, step in session.steps.latest.items():
        record = session.computations[digest]
        if step.first <= group.epoch and node.name not in record.ready and node.name not in record.failed:
            has = f"epoch {step.epoch - 1} of {session.steps.epoch} of {record.computation.name}"
            return f"node {node.name} is behind: it has {has}"
    return None
