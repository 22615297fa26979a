"""One record per session: its computations, its jobs that have not ended, and what it is waiting for."""

from __future__ import annotations

from lightwork.config import limits
from lightwork.model.errors import ProtocolError
from lightwork.scheduler.core.durations import Durations
from lightwork.scheduler.core.jobs import NOWHERE, Group, Job
from lightwork.scheduler.core.shapes import Shape, Stake
from lightwork.scheduler.core.shares import Seeking, Share
from lightwork.scheduler.core.updates import Steps
from lightwork.wire.messages import Computation, JobOptions, Wanted

MEAN_WEIGHT = 0.3  # of the newest batch in the mean duration
SHAPES_MAX = 1000  # that are kept beyond their jobs


class ComputationRecord:
    """A computation of a session: where it is ready or failed, and how long its jobs take (0: not known yet)."""

    __slots__ = ("computation", "durations", "epoch", "failed", "lasts_ns", "mean_ns", "prepared", "ready", "windows")

    def __init__(self, computation: Computation) -> None:
        self.computation = computation
        self.epoch = 0  # of the session, when it took the place of another one; 0: it did not
        self.mean_ns = 0.0
        self.lasts_ns = 0  # so long one has run already, while none has ended
        self.durations = Durations()
        self.windows: dict[str, int] = {}  # jobs allowed ahead by node, for each of its slots
        self.prepared: set[str] = set()
        self.ready: set[str] = set()
        self.failed: dict[str, dict[str, bytes]] = {}

    def measured(self, node: str, durations_ns: list[int]) -> None:
        """Jobs ended there after so many nanoseconds each. A report came back: twice as much may go ahead."""
        self.windows[node] = min(2 * self.windows.get(node, 1), limits.WINDOW_JOBS_MAX)
        newest = sum(durations_ns) / len(durations_ns)
        self.mean_ns = newest if not self.mean_ns else self.mean_ns + MEAN_WEIGHT * (newest - self.mean_ns)
        self.durations.saw(durations_ns)

    def forget_node(self, node: str) -> None:
        """The node is gone, or has lost everything it had prepared."""
        self.prepared.discard(node)
        self.ready.discard(node)
        self.failed.pop(node, None)
        self.windows.pop(node, None)


class Session:
    """One client's life here."""

    def __init__(self, name: str, user: str = "", host: str = "", opened_ns: int = 0) -> None:
        self.name = name
        self.key = name  # what nodes call it; a durable scheduler never uses one twice
        self.user, self.host, self.opened_ns = user, host, opened_ns  # for people
        self.finished = 0  # jobs that have ended, since we were started
        self.jobs: dict[int, Job] = {}
        self.next_number = 0  # a client numbers its jobs without gaps; what is below came already
        self.computations: dict[str, ComputationRecord] = {}
        self.incarnation = 0  # which life of its client this is; counted for a durable scheduler only
        self.first = 0  # number of the first job of that life
        self.lasting = False  # it outlives its client
        self.attached = False  # a client is connected (durable only)
        self.away_ns = 0  # since when none is
        self.closing = False
        self.congested = False  # its client does not keep up: nothing of it is placed
        self.releasing: set[str] = set()  # nodes that have not yet said that they forgot us
        self.traces: set[str] = set()  # nodes that still have something of it from an earlier life of ours
        self.shares: dict[str, Share] = {}  # by node; a node without a share is not ours
        self.capped: set[str] = set()  # nodes of which it is to have a part, see `cap`
        self.wishes: list[Wanted] = []
        self.only = False  # it uses no other nodes
        self.seeking = Seeking()
        self.twins_started = self.twins_won = self.retried = 0
        self.steps = Steps()
        self.limited: dict[str, int] = {}  # slots that nodes used before it, exclusive as it was, changed that
        self.serial = 0  # in which order sessions were opened
        self.weight = 1.0  # of its share among others
        self.exclusive = False  # it wants all nodes for itself
        self.slot_ns = 0  # what its jobs have had, in this life of ours
        self.stakes: dict[int, Stake] = {}  # by priority
        self._spare: Group | None = None
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._groups: dict[tuple[str, JobOptions, frozenset[str], int], Group] = {}

    def group(
        self, computation: str, options: JobOptions, avoid: frozenset[str] = NOWHERE, epoch: int | None = None
    ) -> Group:
        """The group of these jobs, submitted now or in that epoch; ProtocolError if nobody defined the computation."""
        key = (computation, options, avoid, self.steps.epoch if epoch is None else epoch)
        found = self._groups.get(key)
        if found is None:
            if computation not in self.computations:
                raise ProtocolError(f"session {self.name} submitted jobs of computation {computation}, never defined")
            found = self._groups[key] = Group(self.name, *key)
            found.shape = self._shape(found)
        return found

    def cap(self, node: str, slots: int) -> None:
        """It is to have so many slots of a node that it shares, at once; 0: as many as there are."""
        self.shares[node].cap = slots
        if slots:
            self.capped.add(node)
        else:
            self.capped.discard(node)

    def _shape(self, group: Group) -> Shape:
        """Where and when its jobs may run."""
        given = group.options
        once = given.reentrant is False
        placed = (given.priority, given.node, given.where, given.resources, given.wait_for_nodes, once)
        key = (group.computation, group.avoid, group.epoch, placed)
        found = self._shapes.get(key)
        if found is None:
            if len(self._shapes) >= SHAPES_MAX:
                self._shapes.clear()
            stake = self.stakes.get(given.priority)
            if stake is None:
                stake = self.stakes[given.priority] = Stake(self, given.priority)
            record = self.computations[group.computation]
            found = self._shapes[key] = Shape(stake, record, group)
        return found

    def shapes(self) -> set[Shape]:
        """Of all its jobs that wait or run, and those that are kept beyond their jobs."""
        return {*self._shapes.values(), *(group.shape for group in self._groups.values())}

    def regroup(self, job: Job, avoid: frozenset[str]) -> None:
        """A job that stands in no line had better not go to these nodes again."""
        found = self.group(job.group.computation, job.group.options, avoid, job.group.epoch)
        found.live += 1
        self._one_less(job.group)
        job.group = found

    def ended(self, job: Job) -> None:
        """The job has its terminal state and leaves the table."""
        del self.jobs[job.number]
        self.finished += 1
        self._one_less(job.group)

    def all_ended(self, jobs: list[Job]) -> None:
        """The same for many, faster."""
        ours = self.jobs
        for job in jobs:
            del ours[job.number]
            group = job.group
            group.live -= 1
            if not group.live:
                self._empty(group)
        self.finished += len(jobs)

    def _one_less(self, group: Group) -> None:
        group.live -= 1
        if not group.live:
            self._empty(group)

    def _empty(self, group: Group) -> None:
        """None of its jobs is left. The next one may come at once: it is kept until another is empty."""
        before, self._spare = self._spare, group
        if before is not None and before is not group and not before.live:
            self._groups.pop(before.key, None)
