"""What is known of a schedule, to whoever judges it: every attempt that was handed out, and what is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from tests.simulation.reopening import Openings

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.world import World

Uid = tuple[str, int]  # session and number of a job; sessions are called as in reopening.Openings


class Violation(AssertionError):
    """A promise is broken. `promise`: which, in a word that tests know."""

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise


class Try(Struct, eq=False):
    """One attempt that was handed out."""

    token: int
    uid: Uid
    job: int
    machine: Machine
    era: str
    assigned_ns: int
    by: str  # which life of the scheduler
    there: str  # its session, as nodes call it
    started_ns: int = 0
    over_ns: int = 0
    status: int = -1  # how it ended by its own word
    outcome: bytes = b""
    why: str = ""  # how it died without one
    left: bool = False  # it was sent to its node
    blamed: bool = False  # it has killed its worker, and the scheduler was told so
    unwritten: bool = False  # its end was told at most, for there was no room to write it down, or no power to keep it
    told: bool = False  # the scheduler has heard of its end

    @property
    def runs(self) -> bool:
        """Whether it is alive."""
        return bool(self.started_ns) and not self.over_ns


class Known:
    """Of one world. The oracle adds to it, and judges by it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.openings = Openings(world.names)  # on disk
        self.tries_of: dict[Uid, list[Try]] = {}
        self.by_token: dict[int, Try] = {}
        self.uids: dict[tuple[str, int], Uid] = {}  # session and planned job -> what it is there
        self.jobs: dict[Uid, int] = {}
        self.durable: set[Uid] = set()
        self.blamed: dict[Uid, set[int]] = {}  # deaths that are written down
        self.skipped: dict[str, int] = {}
        self.granted: set[Uid] = set()
        self.grants: dict[Uid, tuple[str, str]] = {}  # the latest grant of each, on disk or not yet: node and era
        self.ends: dict[Uid, tuple[int, bytes]] = {}  # on disk
        self.keys: dict[tuple[str, str], int] = {}
        self.over: set[str] = set()  # sessions
        self.refused: set[Uid] = set()  # jobs that were not taken
        self.submitted: set[tuple[str, int]] = set()  # session and planned job
        self.lives: dict[Uid, set[int]] = {}  # lives of a client that had this result
        self.cancelled: set[int] = set()
        self.expected: set[Uid] = set()  # submitted, and not accepted yet
        self.feeds = self.handles = 0
        self.every = 1  # of the events that change anything, after which all tables are looked at; 0: never

    def must(self, holds: bool, promise: str, text: str) -> None:
        """It does, or the schedule has failed."""
        if not holds:
            raise Violation(promise, text)

    def silent_ns(self, scheduler: Scheduler, machine: Machine) -> int:
        """How long this life of the scheduler has heard nothing from a machine."""
        return self.world.clock.now - max(machine.heard_ns, scheduler.began_ns)

    def given_up(self, scheduler: Scheduler, one: Try) -> bool:
        """Whether its node was silent for a lease since it was handed out."""
        machine = one.machine
        if machine.lost_ns > one.assigned_ns or machine.era != one.era:
            return True
        return self.silent_ns(scheduler, machine) >= machine.lease_ns


def describe(one: Try) -> str:
    """For people."""
    state = "runs" if one.runs else f"ended {one.status} {one.why}" if one.started_ns else "is not started"
    return f"attempt {one.token >> 40}.{one.token & ((1 << 40) - 1)} of {one.uid} on {one.machine.name} {state}"
