"""One record per job that has not ended, and the groups they belong to.

A *group* is what jobs have in common: session, computation, options, and nodes to avoid. Jobs of a group are alike for
placement, so the queue and the nodes deal with groups, and a batch to a node is a run of one group.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from lightwork.model.states import JobState
from lightwork.scheduler.core.commands import TellFile
from lightwork.scheduler.core.shapes import Shape
from lightwork.wire.messages import Attempt, JobOptions
from lightwork.wire.outcome import ARENA_REFERENCE

NOWHERE: frozenset[str] = frozenset()


class Group:
    """Jobs of one session, computation and options; `live` counts those that have not ended.

    `epoch`: the session's when they were submitted: they run on no node that is behind it.

    `avoid`: nodes where they failed: another one is better, if one may run them.
    """

    __slots__ = ("avoid", "computation", "ended", "epoch", "line", "live", "options", "session", "shape")

    shape: Shape  # what matters to placement; given by its session

    def __init__(
        self, session: str, computation: str, options: JobOptions, avoid: frozenset[str] = NOWHERE, epoch: int = 0
    ) -> None:
        self.session = session
        self.computation = computation
        self.options = options
        self.avoid = avoid
        self.epoch = epoch
        self.live = 0
        self.line: deque[Job] = deque()  # those that wait, and some that have ended meanwhile
        self.ended = 0  # so many did, at most, since those were thrown out

    @property
    def key(self) -> tuple[str, JobOptions, frozenset[str], int]:
        """What makes it different from the other groups of its session."""
        return self.computation, self.options, self.avoid, self.epoch


class Twin(Struct, gc=False):
    """A job's second attempt, beside its first one. Nothing is heard of it before it wins, or is the only one left:
    so `files` that it sent wait here."""

    node: str
    token: int
    state: JobState = JobState.QUEUED
    started_ns: int = 0
    files: list[TellFile] = []
    charged_ns: int = 0


class Extra(Struct, gc=False):
    """What only few jobs have: attempts behind them, or one beside the first."""

    history: list[Attempt] = []
    retried: int = 0  # how often it was tried again after a failure of its own
    due_ns: int = 0  # it waits until then, outside of the queue's lines; 0: it does not
    twin: Twin | None = None
    far: bool = False  # its user has heard that it runs far longer than others


class Job(Struct, gc=False):
    """A job that has not ended. Held a million times: no cycles, no dictionary.

    `token` is 0 while the job waits; otherwise its attempt is on `node`, the older one if there are two.
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
    in_arena: bool = False  # its arguments lie elsewhere: the payload is a reference
    fact: int = 0  # the number of the fact that it was submitted by
    charged_ns: int = 0  # slot time that its attempt counts for as long as it is out
    extra: Extra | None = None

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

    # --- what few jobs have ---

    def more(self) -> Extra:
        """The rare attributes, made when first needed."""
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    @property
    def twin(self) -> Twin | None:
        """Its second attempt, if it has one."""
        return self.extra.twin if self.extra is not None else None

    def live(self) -> list[tuple[str, int]]:
        """Its attempts that are out, the older one first: node and token."""
        twin = self.twin
        first = [(self.node, self.token)] if self.node else []
        return [*first, (twin.node, twin.token)] if twin is not None else first

    def charge(self, token: int, slot_ns: int) -> int:
        """This attempt counts for so much slot time from now on; what it counted for before."""
        twin = self.twin
        if twin is not None and twin.token == token:
            before, twin.charged_ns = twin.charged_ns, slot_ns
        else:
            before, self.charged_ns = self.charged_ns, slot_ns
        return before

    def stage(self, token: int) -> tuple[JobState, int]:
        """How far this attempt is: QUEUED, or RUNNING and since when."""
        twin = self.twin
        if twin is not None and twin.token == token:
            return twin.state, twin.started_ns
        return self.state, self.started_ns

    def start_twin(self, started_ns: int) -> None:
        """The started word of its second attempt was seen."""
        twin = self.twin
        if twin is not None:
            twin.state, twin.started_ns = JobState.RUNNING, started_ns

    def follow_twin(self) -> Twin:
        """The older attempt is no more: the twin takes its place."""
        twin = self.more().twin
        if twin is None:
            raise LookupError(f"job {self.number} has no second attempt")
        self.node, self.token, self.state, self.started_ns = twin.node, twin.token, twin.state, twin.started_ns
        self.charged_ns = twin.charged_ns
        self.more().twin = None
        return twin
