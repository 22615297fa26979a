"""Before a job that goes to one minor version of Python only is submitted: does any node have that?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightwork.model.errors import CannotTravel

if TYPE_CHECKING:
    from lightwork.client.plan import Plan
    from lightwork.client.session import Session

_COMING = ("trying", "busy")  # a node may be there soon, and have it


def check(session: Session, plan: Plan) -> None:
    """Raises CannotTravel, with both versions, if none of the nodes has it and no further ones are on their way."""
    nodes = session.nodes
    if plan.checked == nodes.changes:
        return
    from lightwork.payload.source import check_interpreters  # only where it was packed

    changes, only = nodes.changes, plan.options.node
    there = [node for node in nodes.present() if not only or node.name == only]
    if all(node.pythons for node in there):  # else one may have it
        try:
            check_interpreters(plan.packed, {_version(text) for node in there for text in node.pythons})
        except CannotTravel:
            status = session.waits.ask_status()
            if only or status is None or not any(one.state in _COMING for one in status.attempted):
                raise
            return
    plan.checked = changes


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)
