"""One record per job that has not ended, and the groups they belong to.

A *group* is what jobs have in common: session, computation, options. Jobs of a group are alike for placement, so the
queue and the nodes deal with groups, and a batch to a node is a run of one group.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.model.states import JobState
from lightwork.wire.messages import JobOptions
from lightwork.wire.outcome import ARENA_REFERENCE


class Group:
    """Jobs of one session, computation and options; `live` counts those that have not ended."""

    __slots__ = ("computation", "live", "options", "session")

    def __init__(self, session: str, computation: str, options: JobOptions) -> None:
        self.session = session
        self.computation = computation
        self.options = options
        self.live = 0


class Job(Struct, gc=False):
    """A job that has not ended. Held a million times: no cycles, no dictionary.

    `token` is 0 while the job waits in the queue; otherwise its attempt is on `node`.
    """

    number: int
    group: Group
    payload: bytes
    ordinal: int
    token: int = 0
    node: str = ""
    state: JobState = JobState.QUEUED
    started_ns: int = 0
    attempts: int = 0
    deaths: int = 0
    cancelled: bool = False
    in_arena: bool = False

    @property
    def size(self) -> int:
        """Bytes of its arguments, wherever they are."""
        return ARENA_REFERENCE.unpack(self.payload)[1] if self.in_arena else len(self.payload)

    def hand_out(self, node: str, token: int) -> None:
        """An attempt goes to a node; to its user the job still waits."""
        self.node = node
        self.token = token
        self.attempts += 1

    def start(self, started_ns: int) -> None:
        """The started word was seen."""
        self.state = JobState.RUNNING
        self.started_ns = started_ns

    def take_back(self, *, unstarted: bool) -> None:
        """The attempt is no more; an attempt that never started does not count."""
        self.state = JobState.QUEUED
        self.token = self.started_ns = 0
        self.node = ""
        if unstarted:
            self.attempts -= 1
