"""States of a job, and which may follow which.

            +-----------------------------+
            v                             | attempt lost
    --> QUEUED --> RUNNING ---------------+
          |           |
          +-----------+--> FINISHED | FAILED | CANCELLED | TIMED_OUT | LOST | POISONED

A job that was handed to a node but has not started is QUEUED to its user. A terminal state never changes.
"""

from __future__ import annotations

import enum


class JobState(enum.IntEnum):
    """Where a job stands; the numbers are part of the wire protocol."""

    QUEUED = 0
    RUNNING = 1
    FINISHED = 2
    FAILED = 3
    CANCELLED = 4
    TIMED_OUT = 5
    LOST = 6
    POISONED = 7

    @property
    def terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self >= JobState.FINISHED


TERMINAL = frozenset(state for state in JobState if state.terminal)

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING}) | TERMINAL,
    JobState.RUNNING: frozenset({JobState.QUEUED}) | TERMINAL,
    **{state: frozenset() for state in TERMINAL},
}


class ClusterEvent(enum.IntEnum):
    """What a `cluster_status` callback is told: `(event, node, job or None)`."""

    JOB_CREATED = 0
    JOB_RUNNING = 1
    JOB_PROVISIONAL = 2
    JOB_ENDED = 3
    NODE_READY = 4
    NODE_CLOSED = 5
    NODE_LOAD = 6
