"""One record per node: its slots, its attempts, and how much work it holds ahead.

JOINED --beats missing--> SILENT ---+
   |                                +--lease over--> DEAD (kept while jobs that must not run twice wait for its word)
   +--link broke--> AWAY -----------+
   +--owner wants it back--> DRAINING --goodbye--> gone          SILENT, AWAY, DEAD --it is heard again--> JOINED
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from lightwork.config import limits, timers
from lightwork.model.where import node_facts
from lightwork.scheduler.core.field import Field
from lightwork.scheduler.core.jobs import Group, Job, Twin
from lightwork.scheduler.core.needs import PLENTY, WHOLE, Amounts, Need
from lightwork.scheduler.core.shapes import Shape
from lightwork.wire.messages import Hardware, Load, NodeStatus, SetPolicy

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
        self.kept: dict[int, str] = {}  # attempts whose files (or large values) nobody has fetched yet; not durable
        self.pythons: list[tuple[int, int]] = []
        self.labels: dict[str, str] = {}
        self.resources: dict[str, int] = {}  # all that it has beside slots
        self.own_groups: tuple[str, ...] = ()  # that it was started with
        self.groups: tuple[str, ...] = ()  # those, and what `hosts` says
        self.weight = 0
        self.relay = ""  # the one that it is behind
        self.lease_ns = 0  # that it was told through that one; 0: as everybody
        self.unwilling = ""  # why it takes no new jobs now, by its own word
        self.drained_by = self.removed_by = ""  # who wants it to have no new jobs, or to go
        self.oust = ""  # why all that runs there is to end at once, if it cannot be told that now
        self.policy = self.told = SetPolicy()  # how it is to work, and what of that it was told
        self.allowed: int | None = None  # slots, negative: so many are left free; None: nobody has said so
        self.attempts: dict[int, Job] = {}
        self.field = Field()  # the table that it stands in, and its bit there
        self.bit = self.bucket = self.placed_weight = 0
        self.held: dict[Shape, int] = {}  # attempts by shape
        self.cpus = 0  # that they take, in thousandths of a slot
        self.taken: dict[str, int] = {}  # what else they take
        self.unlike = 0  # those that take anything but one slot
        self._facts: dict[str, Any] | None = None
        self.held_bytes = 0  # of their arguments
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
    def bound(self) -> bool:
        """Whether anything of anybody is there, or may be."""
        return bool(self.attempts or self.kept or self.untold)

    @property
    def idle_slots(self) -> int:
        """Slots without an attempt."""
        return (self.slots * WHOLE - self.cpus) // WHOLE

    def begin_anew(self, now_ns: int) -> None:
        """Nothing goes on there: what was wrong with it is over, and nobody can fetch what jobs had left. (What an
        agent beside us leaves is found by the next one.)"""
        self.ailing, self.stuck_ns, self.stuck_times, self.quiet_ns = "", 0, 0, now_ns
        if not self.shares_memory:
            self.kept.clear()

    def limit(self, slots: int) -> None:
        """Use so many of the slots that it offers; negative: leave so many free."""
        self.slots = max(0, min(self.offered, slots if slots >= 0 else self.offered + slots))
        self.touch()

    def touch(self) -> None:
        """What it has is another amount than before."""
        self._facts = None
        self.field.touch(self)

    def facts(self) -> Mapping[str, Any]:
        """What `where=` may ask about."""
        if self._facts is None:
            self._facts = node_facts(
                name=self.name,
                address=self.address,
                system=self.hardware.system,
                architecture=self.hardware.architecture,
                pythons=self.pythons,
                cores=self.hardware.cores,
                slots=self.slots,
                memory_bytes=self.hardware.memory_bytes,
                gpus=len(self.hardware.gpus),
                weight=self.weight,
                groups=self.groups,
                labels=self.labels,
                resources=self.resources,
                relay=self.relay,
            )
        return self._facts

    # --- room ---

    def total(self, name: str) -> int:
        """How much it has of this, whether taken or not; nothing, if nobody has said so."""
        found = self.resources.get(name)
        if found is not None:
            return found
        return {"memory": self.hardware.memory_bytes, "gpu": len(self.hardware.gpus)}.get(name, 0)

    def count(self, cpus: int, amounts: Amounts, beside: Need | None = None) -> int:
        """So many more attempts that each take this have room now; `beside`: one that takes so much comes, too."""
        free = self.slots * WHOLE - self.cpus - (beside.cpus if beside is not None else 0)
        most = max(0, free // cpus) if cpus else PLENTY
        for name, amount in amounts:
            left = self.total(name) - self.taken.get(name, 0) - (beside.of(name) if beside is not None else 0)
            most = min(most, max(0, left) // amount)
        return most

    def room(self, shape: Shape) -> int:
        """How many more jobs of this shape (that need one slot each) it may have: one per slot, and, if all that it has
        are like that, as many ahead as are done in a moment."""
        idle, mean_ns = self.idle_slots, shape.record.mean_ns
        if not mean_ns or self.unlike or self.held_bytes > limits.AHEAD_BYTES_MAX:
            return max(0, idle)
        held_ns, same = 0.0, 0
        for held, count in self.held.items():
            held_ns += count * held.record.mean_ns
            same += count if held.record is shape.record else 0
        by_time = int((self.slots * WINDOW_NS - held_ns) / max(mean_ns, 1.0))
        allowed = shape.record.windows.get(self.name, 1) * self.slots - same
        return max(0, idle, min(by_time, allowed))

    # --- attempts ---

    def take_on(self, jobs: list[Job], first_token: int) -> None:
        """Attempts of one shape, with consecutive tokens."""
        shape = jobs[0].group.shape
        name, attempts, token, slot_ns = self.name, self.attempts, first_token, shape.cost_ns()
        for job in jobs:
            attempts[token] = job
            job.hand_out(name, token)
            job.charged_ns = slot_ns
            self.held_bytes += job.size
            token += 1
        self._hold(shape, len(jobs), slot_ns * len(jobs))

    def adopt(self, job: Job, token: int) -> None:
        """An attempt from before we knew of this node."""
        self.take_on([job], token)

    def take_twin(self, job: Job, token: int) -> None:
        """A second attempt of a job that runs elsewhere."""
        shape = job.group.shape
        self.attempts[token] = job
        self.held_bytes += job.size
        job.attempts += 1
        job.more().twin = Twin(self.name, token, charged_ns=shape.cost_ns())
        self._hold(shape, 1, shape.cost_ns())

    def let_go(self, token: int) -> Job | None:
        """The job of a live attempt, which is no more; None for a dead token, whose news changes nothing."""
        job = self.attempts.pop(token, None)
        if job is not None:
            self.held_bytes -= job.size
            self._hold(job.group.shape, -1, -job.charge(token, 0))
        return job

    def let_all_go(self, tokens: list[int]) -> list[Job | None]:
        """The same for many, faster."""
        pop = self.attempts.pop
        found = [pop(token, None) for token in tokens]
        size = run = charged_ns = 0
        group: Group | None = None
        for job, token in zip(found, tokens, strict=True):
            if job is None:
                continue
            size += job.size if job.in_arena else len(job.payload)
            if job.group is not group:
                if group is not None:
                    self._hold(group.shape, -run, -charged_ns)
                group, run, charged_ns = job.group, 0, 0
            run += 1
            charged_ns += job.charged_ns if job.extra is None else job.charge(token, 0)
        if group is not None:
            self._hold(group.shape, -run, -charged_ns)
        self.held_bytes -= size
        return found

    def _hold(self, shape: Shape, count: int, slot_ns: int) -> None:
        """So many more attempts of this shape (negative: fewer), which count for so much slot time."""
        held = self.held.get(shape, 0) + count
        if held:
            self.held[shape] = held
        else:
            del self.held[shape]
        need = shape.need
        self.cpus += need.cpus * count
        if not need.plain:
            self.unlike += count
            self.field.floating.take(need.amounts, count)
            for name, amount in need.amounts:
                self.taken[name] = self.taken.get(name, 0) + amount * count
        out = self.field.out
        out[shape.stake.priority] = out.get(shape.stake.priority, 0) + count
        shape.stake.out += count
        shape.stake.charge(slot_ns)
        self.field.touch(self, freed=count < 0)

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
            self.shown(),
            tuple(f"{major}.{minor}" for major, minor in self.pythons),
            tuple(self.labels.items()),
            self.offered,
            self.groups,
            self.weight,
            tuple(sorted(self.resources.items())),
            self.relay,
        )

    def shown(self) -> str:
        """How it stands, for users."""
        if self.standing is not Standing.JOINED:
            return str(self.standing.value)
        if self.removed_by:
            return f"being removed by {self.removed_by}"
        if self.drained_by:
            return f"{'draining' if self.attempts else 'drained'} by {self.drained_by}"
        if self.trouble:
            return "set aside"
        return "unwilling" if self.unwilling else Standing.JOINED.value
