"""Jobs handed out but not started come back when others are idle.

The embedded node balances its own workers; this is between nodes: when the queue is empty and a node has idle slots,
the node with most jobs ahead is asked for the younger half of them, as far as an idle node may run them (or they would
go back and forth for ever). It gives back only what has not started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from lightwork.model.states import JobState
from lightwork.scheduler.core.commands import Command, Revoke
from lightwork.scheduler.core.explain import refusal
from lightwork.scheduler.core.jobs import Group
from lightwork.scheduler.core.nodes import Node, Standing
from lightwork.scheduler.core.queue import Queue
from lightwork.scheduler.core.sessions import Session

PATIENCE_NS = 1_000_000_000  # a node that had nothing to give back answers nothing: it may be asked again


def take_back(queue: Queue, nodes: Mapping[str, Node], sessions: Mapping[str, Session], now_ns: int) -> list[Command]:
    """Ask the fullest node for half of what waits there, if another has nothing to do."""
    if queue.size or len(nodes) < 2:
        return []
    joined = [node for node in nodes.values() if node.standing is Standing.JOINED]
    idle = [node for node in joined if node.idle_slots > 0]
    donor = min(joined, key=lambda node: node.idle_slots, default=None)
    if not idle or donor is None or donor.idle_slots >= 0 or is_asked(donor, now_ns):
        return []
    wanted = max(1, -donor.idle_slots // 2)
    tokens = list(islice(_movable(donor, idle, sessions), wanted))
    if not tokens:
        return []
    donor.revoking_ns = now_ns
    return [Revoke(donor.name, tokens[::-1])]


def is_asked(donor: Node, now_ns: int) -> bool:
    """Whether its answer is still to come."""
    return donor.revoking_ns >= 0 and now_ns - donor.revoking_ns < PATIENCE_NS


def _movable(donor: Node, idle: list[Node], sessions: Mapping[str, Session]) -> Iterator[int]:
    """The donor's attempts that have not started and that one of the idle nodes may run, youngest first."""
    allowed: dict[Group, bool] = {}
    for token, job in reversed(donor.attempts.items()):
        group = job.group
        if group not in allowed:
            session = sessions[group.session]
            allowed[group] = any(
                node.name not in group.avoid and refusal(node, session, group) is None for node in idle
            )
        if allowed[group] and job.state is JobState.QUEUED and not job.cancelled:
            yield token
