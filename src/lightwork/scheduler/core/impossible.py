"""Jobs that no node could ever run, by what they ask for: they end at once, and say who comes nearest.

Whether a node could is asked once for each shape, when its session has found the nodes that it will find: what fits
then and leaves may come back. Jobs with wait_for_nodes=True are never judged.
"""

from __future__ import annotations

from lightwork.kit.text import listed
from lightwork.model.resources import shown
from lightwork.model.states import JobState
from lightwork.scheduler.core.endings import Delivery, failure_outcome
from lightwork.scheduler.core.explain import misfit
from lightwork.scheduler.core.needs import WHOLE
from lightwork.scheduler.core.nodes import SECOND_NS, Node
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shapes import Shape
from lightwork.scheduler.core.shares import Use
from lightwork.scheduler.core.state import Commands, State
from lightwork.scheduler.core.wishes import is_pattern
from lightwork.wire import outcome

SETTLED_NS = 3 * SECOND_NS  # so long after it was opened a session has found its nodes
HINT = "ask for less, or for another node; wait_for_nodes=True lets it wait for one that may come"
SHOWN = 3  # nodes, in the reason


def judge(state: State) -> Commands:
    """Of the shapes that nobody has judged: who can be, is."""
    commands: Commands = []
    for session in list(state.queue.unjudged):
        nodes = [node for node in state.nodes.values() if _is_ours(session, node)]
        if not nodes or not _settled(state, session):
            continue
        if any(not node.offered and node.untold for node in nodes):  # nothing is known of it yet
            continue
        for shape in state.queue.unjudged.pop(session):
            whys = _whys(shape, nodes)
            shape.judged = not whys
            if whys:
                commands += _fail(state, session, shape, _text(shape, nodes, whys))
    return commands


def _whys(shape: Shape, nodes: list[Node]) -> list[str]:
    """Why each of them could never run it; none, if one could."""
    whys: list[str] = []
    for node in nodes:
        why = misfit(node, shape, node.offered)
        if why is None:
            return []
        whys.append(why)
    return whys


def _is_ours(session: Session, node: Node) -> bool:
    share = session.shares.get(node.name)
    return share is not None and share.use not in (Use.CLOSED, Use.DECLINED)


def _settled(state: State, session: Session) -> bool:
    """Whether the session has found its nodes: all that it listed have answered, or it has had its time."""
    if state.now_ns - session.opened_ns >= SETTLED_NS:
        return True
    if session.wishes:
        return not any(is_pattern(wanted.host) for wanted in session.wishes) and not state.prospects.unanswered()
    return not state.listening and not state.shared


def _text(shape: Shape, nodes: list[Node], whys: list[str]) -> str:
    if shape.problem:
        return shape.problem
    fit = [node for node in nodes if shape.where is None or shape.where.holds(node.facts())]
    if not fit:
        more = f"; and {len(whys) - SHOWN:,} more nodes are not, either" if len(whys) > SHOWN else ""
        return "no node could ever run it: " + "; ".join(whys[:SHOWN]) + more
    need = shape.need
    asked = [("cpus", need.cpus), *need.amounts]
    lines = []
    for name, amount in asked:
        most, node = max(((_has(one, name), one) for one in fit), key=lambda pair: pair[0])
        if most < amount:
            floats = name in node.field.floating.totals
            who = "the scheduler lends" if floats else f"the largest that there is, node {node.name}, has"
            lines.append(f"it asks for {shown(name, amount)}; {who} {shown(name, most)}")
    if not lines:
        wanted = listed([shown(name, amount) for name, amount in asked])
        lines.append(f"it asks for {wanted}, and no node has all of that; {'; '.join(whys[:SHOWN])}")
    return "no node could ever run it: " + "; ".join(lines)


def _has(node: Node, name: str) -> int:
    if name == "cpus":
        return node.offered * WHOLE
    return node.field.floating.totals.get(name, node.total(name))


def _fail(state: State, session: Session, shape: Shape, text: str) -> Commands:
    """All that waits of it ends."""
    delivery = Delivery(session.name, "")
    status, body = failure_outcome(outcome.NOT_RUN, "CannotBePlaced", text, HINT)
    waiting = {job.number: job for _, _, group in shape.heap for job in group.line if job.state < JobState.FINISHED}
    for _, job in sorted(waiting.items()):
        delivery.add(job, JobState.FAILED, status, body)
        state.end(session, job, JobState.FAILED)
    return [*delivery.finish(), *state.release_if_done(session)]
