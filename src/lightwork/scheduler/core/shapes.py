"""What the queue is made of: a *stake* for each session and priority, and in it a *shape* for each kind of job.

    priority 5     session s: 0.2 s of slot time passed    shape "gpu 1 in @render":  groups of waiting jobs
                   session t: 1.4 s                        shape "plain":             groups of waiting jobs
    priority 0     session s: 8.1 s                        shape "plain":             groups of waiting jobs

Jobs of one shape may run on the same nodes, and need the same there. They may differ in the rest of their options, such
as standard input: each set of options is a group (`jobs.Group`), and a batch to a node is of one group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightwork.model.errors import UserError
from lightwork.model.where import Where, parse
from lightwork.scheduler.core.needs import WHOLE, need_of

if TYPE_CHECKING:
    from lightwork.scheduler.core.jobs import Group
    from lightwork.scheduler.core.sessions import ComputationRecord, Session

UNKNOWN_NS = 50_000_000  # at least so much slot time for a job that nobody has measured, until it ends
CREDIT_NS = 5_000_000_000  # so much less than others a session may have had that has jobs out, but none that wait
LONGER = 2  # times what one has run already: so long jobs are thought to take, until one ends
USUAL_WEIGHT = 0.05  # of the newest batch in what jobs of a level take


NEVER = (1 << 62, 0)  # after all others


class Level:
    """Stakes of one priority that have waiting jobs. `reached`: what the last one that had its turn had had."""

    __slots__ = ("priority", "reached", "stakes", "usual_ns")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.stakes: dict[Stake, None] = {}
        self.reached = 0.0
        self.usual_ns = float(UNKNOWN_NS)  # what its jobs took lately

    def enter(self, stake: Stake) -> None:
        """It has waiting jobs again. Whoever was idle has saved nothing."""
        least = min(other.passed for other in self.stakes) if self.stakes else self.reached
        stake.passed = max(stake.passed, least - (CREDIT_NS / stake.session.weight if stake.out else 0.0))
        stake.level = self
        self.stakes[stake] = None


class Stake:
    """What a session has had of the nodes for its jobs of one priority, in slot time by weight (ns): `passed`."""

    __slots__ = ("level", "number", "out", "passed", "priority", "session", "shapes")

    def __init__(self, session: Session, priority: int) -> None:
        self.session = session
        self.priority = priority
        self.level: Level | None = None
        self.number = 0  # in which order stakes came to the queue
        self.passed = 0.0
        self.out = 0  # attempts on nodes
        self.shapes: dict[Shape, None] = {}  # those with waiting jobs

    def charge(self, slot_ns: float) -> None:
        """So much more slot time; negative: less."""
        self.passed += slot_ns / self.session.weight


class Shape:
    """Jobs that are alike for placement. Bits are those of `field`."""

    __slots__ = (
        "avoid",
        "computation",
        "fit",
        "fresh",
        "heap",
        "judged",
        "need",
        "news",
        "node",
        "once",
        "passed",
        "problem",
        "record",
        "sample",
        "seen",
        "since",
        "stake",
        "waits",
        "waits_for_nodes",
        "where",
    )

    def __init__(self, stake: Stake, record: ComputationRecord, sample: Group) -> None:
        options = sample.options
        self.sample = sample  # any of its groups: what is the same in all of them
        self.stake = stake
        self.record = record
        self.computation = record.computation.digest
        self.need = need_of(options.resources)
        self.node = options.node  # "": any
        self.once = options.reentrant is False  # none ahead: if the agent dies, nobody may know what had started
        self.waits_for_nodes = options.wait_for_nodes
        self.avoid = sample.avoid
        self.where: Where | None = None
        self.problem = ""  # why `where` cannot be read
        try:
            self.where = parse(options.where) if options.where else None
        except UserError as error:
            self.problem = f"where={options.where!r}: {error}"
        self.fit = 0  # which nodes may run it, whether there is room or not
        self.seen = -1  # how far the log of doubts had come when `fit` was found
        self.fresh = True  # it has not been held against all nodes
        self.news = 0  # nodes that became fit since its last turn
        self.heap: list[tuple[int, int, Group]] = []  # its groups by their first jobs, some entries stale
        self.since = NEVER  # when it was first blocked since one of its jobs was placed; the most urgent are the first
        self.passed = 0  # in how many turns it was blocked since then
        self.waits = 0  # where it waits for a slot, and nobody later may go ahead
        may_be_impossible = bool(self.where or self.problem or options.resources)
        self.judged = not may_be_impossible or self.waits_for_nodes  # nobody need look whether any node can run it

    def cost_ns(self) -> int:
        """Slot time of one of its jobs, as far as is known."""
        mean_ns = self.record.mean_ns
        if not mean_ns:
            level = self.stake.level
            usual_ns = level.usual_ns if level is not None else 0
            mean_ns = max(UNKNOWN_NS, usual_ns, LONGER * self.record.lasts_ns)
        return int(mean_ns * self.need.cpus) // WHOLE

    def is_served(self) -> None:
        """One of its jobs was placed, or none waits any more: it is not blocked."""
        self.since, self.waits = NEVER, 0

    def preferred(self, bits_of_avoided: int) -> int:
        """Of the nodes that may run it, those where it has not failed, if there are any."""
        return self.fit & ~bits_of_avoided or self.fit
