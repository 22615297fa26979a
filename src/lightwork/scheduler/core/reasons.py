"""Why a job waits, for people: what placement asked, in the order in which it asks, as sentences.

Nothing is decided here, and nothing asked that placement does not ask; a property test holds the two together.
"""

from __future__ import annotations

from lightwork.kit.text import listed
from lightwork.model.states import JobState
from lightwork.scheduler.core.exclusive import why_it_waits as why_exclusive
from lightwork.scheduler.core.explain import fullness, preferred, refusal
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.keeping import closed_to, may_borrow
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.retries import why_it_waits
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State

ON_ITS_WAY = "has a free slot; the job is on its way"


def explain(state: State, session: Session, group: Group) -> list[str]:
    """A sentence for each node about why a job of this group waits; or one about why no node matters."""
    if state.restoring:
        where = f" on {listed(sorted(state.awaited))}" if state.awaited else ""
        return [f"the scheduler was restarted, and first hears what still runs{where}"]
    if session.congested:
        return ["the client does not take results as fast as they come"]
    ordinal = next((job.ordinal for job in group.line if job.state < JobState.FINISHED), state.ordinal)
    held_back = why_exclusive(state, session, ordinal) if state.exclusive else None
    if held_back is not None:
        return [held_back]
    nodes = list(state.nodes.values())
    refusals = {node.name: refusal(node, session, group) for node in nodes}
    better = preferred([node for node in nodes if refusals[node.name] is None], group)
    reasons = [refusals[node.name] or _passed_over(state, node, session, group, better) for node in nodes]
    return reasons or ["no node is connected"]


def _passed_over(state: State, node: Node, session: Session, group: Group, better: list[Node]) -> str:
    """Why a node that may run it does not."""
    if node not in better:
        return f"the job failed on node {node.name}, and another one may run it"
    why = fullness(node, session, group.shape)
    if why is not None:
        return why
    room = state.field.room(group.shape.need)
    if not may_borrow(state.field, group.shape, room.floating):
        return f"others wait longer for what the scheduler lends: {listed([name for name, _ in room.floating])}"
    if closed_to(state.field, group.shape)[0] & node.bit:
        return f"node {node.name} is kept for a job that needs more of it and came first"
    return f"node {node.name} {ON_ITS_WAY}"


def why(state: State, session_name: str, number: int) -> list[str]:
    """All that there is to say about why this job is where it is."""
    session = state.sessions.get(session_name)
    if session is None:
        return [f"there is no session {session_name!r}"]
    job = session.jobs.get(number)
    if job is None:
        known = 0 <= number < session.next_number
        return [f"job {session_name}/{number} has ended" if known else f"session {session_name} has no job {number}"]
    return _why(state, session, job)


def _why(state: State, session: Session, job: Job) -> list[str]:
    name = f"job {session.name}/{job.number} ({job.group.shape.record.computation.name})"
    if job.state is JobState.RUNNING:
        return [f"{name} runs on node {job.node}"]
    if job.node:
        return [f"{name} was handed to node {job.node} and has not started", *_on_node(state, job)]
    later = why_it_waits(state, job)
    if later:
        return [f"{name} {later}"]
    lines = [f"{name} waits, with priority {job.group.options.priority}; {_before(state, job)}"]
    return lines + [f"  {reason}" for reason in dict.fromkeys(explain(state, session, job.group))]


def _on_node(state: State, job: Job) -> list[str]:
    node = state.nodes[job.node]
    record = job.group.shape.record
    if node.name in record.prepared and node.name not in record.ready:
        return [f"  node {node.name} is preparing {record.computation.name}"]
    return [f"  node {node.name} has {len(node.attempts):,} attempts for {node.slots:,} slots"]


def _before(state: State, job: Job) -> str:
    """Who goes first."""
    stake = job.group.shape.stake
    above = sum(
        len(stake.shapes) > 0
        for level in state.queue.levels()
        for stake in level.stakes
        if level.priority > job.group.options.priority
    )
    if above:
        return "jobs of a higher priority wait, too, and go first"
    others = [one for level in state.queue.levels() if level.priority == stake.priority for one in level.stakes]
    less = sum(one.passed < stake.passed for one in others if one is not stake)
    if len(others) < 2:
        return "no other session has jobs waiting"
    return f"{len(others) - 1} more sessions have jobs waiting, {less} of them had less of the nodes so far"
