"""One record per node: its slots, its attempts, and how much work it holds ahead.

JOINED --beats missing--> SILENT ---+
   |                                +--lease over--> DEAD (kept while jobs that must not run twice wait for its word)
   +--link broke--> AWAY -----------+
   +--owner wants it back--> DRAINING --goodbye--> gone          SILENT, AWAY, DEAD --it is heard again--> JOINED
"""

from __future__ import annotations

import enum

from lightwork.config import limits, timers
from lightwork.scheduler.core.jobs import Group, Job, Twin
from lightwork.wire.messages import Hardware, Load, NodeStatus

SECOND_NS = 1_000_000_000
WINDOW_NS = int(timers.WINDOW_S * SECOND_NS)


class Standing(enum.Enum):
    """How a node stands with us."""

    JOINED = "ready"
    SILENT = "unreachable"  # heartbeats are missing: no new work
    AWAY = "away"  # its link broke
    DRAINING = "draining"
    DEAD = "presumed dead"


HERE = (Standing.JOINED, Standing.SILENT, Standing.DRAINING)  # its link is up


class Node:
    """A node and the attempts on it, oldest first."""

    def __init__(self, name: str, slots: int, address: str, hardware: Hardware, now_ns: int) -> None:
        self.name = name
        self.address = address
        self.hardware = hardware
        self.slots = self.offered = slots
        self.standing = Standing.JOINED
        self.heard_ns = now_ns
        self.via = ""  # the address that was dialled
        self.shares_memory = True
        self.draining = False
        self.identity = self.era = ""  # of its directory; and since when it knows what it has started
        self.known = 0  # the number of the fact that it works for us
        self.untold = False  # what it has from before is still to be told
        self.kept: dict[int, str] = {}  # attempts whose files (or large values) a session has not fetched yet
        self.pythons: list[tuple[int, int]] = []
        self.labels: dict[str, str] = {}
        self.attempts: dict[int, Job] = {}
        self.held: dict[str, int] = {}  # attempts by computation
        self.held_bytes = 0  # of their arguments
        self.window: dict[str, int] = {}  # jobs allowed ahead by computation; doubles with each report
        self.revoking_ns = -1  # since when it is asked to give some back; -1: it is not
        self.ailing = ""  # what it lacks, in words: it gets no work
        self.stuck_ns = 0  # it is alive but does nothing: until then it gets no work
        self.stuck_times = 0  # in a row
        self.quiet_ns = now_ns  # since when nothing has moved there though it should; see `stuck`
        self.moved = False  # an attempt has started or ended since the last look
        self.unsettled: set[int] = set()  # attempts from before it went away, until its first heartbeat tells
        self.load = Load()
        self.workers: list[int] = []
        self.jobs_done = self.job_time_ns = self.bytes_in = self.bytes_out = 0

    @property
    def trouble(self) -> str:
        """Why it is set aside, in words; empty if it is not."""
        return self.ailing or ("it starts nothing that it is given" if self.stuck_ns else "")

    @property
    def idle_slots(self) -> int:
        """Slots without an attempt."""
        return self.slots - len(self.attempts)

    def limit(self, slots: int) -> None:
        """Use so many of the slots that it offers; negative: leave so many free."""
        self.slots = max(0, min(self.offered, slots if slots >= 0 else self.offered + slots))

    def room(self, computation: str, mean_ns: float, held_ns: float) -> int:
        """How many more jobs of this computation it may have: one per slot, and ahead as much as is done in a moment.

        `mean_ns`: a job's duration, 0 if unknown; `held_ns`: the work that it has already, by the same measure.
        """
        idle = self.idle_slots
        if not mean_ns or self.held_bytes > limits.AHEAD_BYTES_MAX:
            return max(0, idle)
        by_time = int((self.slots * WINDOW_NS - held_ns) / max(mean_ns, 1.0))
        allowed = self.window.get(computation, 1) * self.slots - self.held.get(computation, 0)
        return max(0, idle, min(by_time, allowed))

    def take_on(self, jobs: list[Job], first_token: int) -> None:
        """Attempts of one computation, with consecutive tokens."""
        computation = jobs[0].group.computation
        name, attempts, token = self.name, self.attempts, first_token
        for job in jobs:
            attempts[token] = job
            job.hand_out(name, token)
            self.held_bytes += job.size
            token += 1
        self.held[computation] = self.held.get(computation, 0) + len(jobs)

    def adopt(self, job: Job, token: int) -> None:
        """An attempt from before we knew of this node."""
        computation = job.group.computation
        self.attempts[token] = job
        self.held_bytes += job.size
        self.held[computation] = self.held.get(computation, 0) + 1
        job.hand_out(self.name, token)

    def take_twin(self, job: Job, token: int) -> None:
        """A second attempt of a job that runs elsewhere."""
        computation = job.group.computation
        self.attempts[token] = job
        self.held_bytes += job.size
        self.held[computation] = self.held.get(computation, 0) + 1
        job.attempts += 1
        job.more().twin = Twin(self.name, token)

    def let_go(self, token: int) -> Job | None:
        """The job of a live attempt, which is no more; None for a dead token, whose news changes nothing."""
        job = self.attempts.pop(token, None)
        if job is not None:
            self.held_bytes -= job.size
            self._hold_less(job.group.computation, 1)
        return job

    def let_all_go(self, tokens: list[int]) -> list[Job | None]:
        """The same for many, faster."""
        pop = self.attempts.pop
        found = [pop(token, None) for token in tokens]
        size = run = 0
        group: Group | None = None
        for job in found:
            if job is None:
                continue
            size += job.size if job.in_arena else len(job.payload)
            if job.group is not group:
                if group is not None:
                    self._hold_less(group.computation, run)
                group, run = job.group, 0
            run += 1
        if group is not None:
            self._hold_less(group.computation, run)
        self.held_bytes -= size
        return found

    def _hold_less(self, computation: str, count: int) -> None:
        left = self.held[computation] - count
        if left:
            self.held[computation] = left
        else:
            del self.held[computation]

    def widen(self, computation: str) -> None:
        """A report came back: twice as much may go ahead."""
        self.window[computation] = min(2 * self.window.get(computation, 1), limits.WINDOW_JOBS_MAX)

    def of_session(self, session: str) -> list[Job]:
        """The jobs of one session that are here."""
        return [job for job in self.attempts.values() if job.group.session == session]

    def status(self) -> NodeStatus:
        """For users."""
        return NodeStatus(
            self.name,
            self.address,
            self.slots,
            min(self.slots, len(self.attempts)),
            self.jobs_done,
            self.job_time_ns,
            self.bytes_in,
            self.bytes_out,
            self.workers,
            self.hardware,
            self.load,
            "set aside" if self.trouble and self.standing is Standing.JOINED else self.standing.value,
            tuple(f"{major}.{minor}" for major, minor in self.pythons),
            tuple(self.labels.items()),
            self.offered,
        )
