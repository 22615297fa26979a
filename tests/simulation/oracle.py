"""Who sees everything, and says what must not have happened. It decides nothing.

Each promise is checked where it would be broken: a start where it starts, an end where it is written down, a result where
user code gets it. What depends on what is on disk is held against the rows that are there, not against anybody's memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lightwork.config import limits, timers
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on, facts as fact
from lightwork.scheduler.core.check import check
from lightwork.wire.outcome import CANCELLED, KIND_MASK, RETURNED
from tests.simulation import plan
from tests.simulation.clock import SECOND
from tests.simulation.disk import said

if TYPE_CHECKING:
    from tests.simulation.agent import Agent
    from tests.simulation.client import Client
    from tests.simulation.machine import Machine
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.world import World

Uid = tuple[str, int]
LOST_NS = int(timers.LOST_S * SECOND)


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
    started_ns: int = 0
    over_ns: int = 0
    status: int = -1  # how it ended by its own word
    outcome: bytes = b""
    why: str = ""  # how it died without one
    left: bool = False  # it was sent to its node
    blamed: bool = False  # it has killed its worker, and the scheduler was told so
    told: bool = False  # the scheduler has heard of its end

    @property
    def runs(self) -> bool:
        """Whether it is alive."""
        return bool(self.started_ns) and not self.over_ns


class Oracle:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
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
        self.upto: dict[str, int] = {}
        self.expected: set[Uid] = set()  # submitted, and not accepted yet
        self.feeds = self.handles = 0
        self.every = 8  # feeds between two looks at all tables
        world.disk.seen = self.on_disk

    def must(self, holds: bool, promise: str, text: str) -> None:
        """It does, or the schedule has failed."""
        if not holds:
            raise Violation(promise, text)

    # --- what is on disk ---

    def on_disk(self, one: fact.Fact) -> None:
        """A fact is safe."""
        if isinstance(one, fact.Submitted):
            for number in one.numbers:
                self.durable.add((one.session, number))
        elif isinstance(one, fact.Skipped):
            self.skipped[one.session] = one.upto
        elif isinstance(one, fact.Ended):
            for uid, end in _ends_of(one):
                self.ends[uid] = end
        elif isinstance(one, fact.Spent) and one.blame:
            self.blamed.setdefault((one.session, one.number), set()).add(one.told)
        elif isinstance(one, fact.Granted):
            self.granted.update((one.session, number) for number in one.numbers)
        elif isinstance(one, fact.SessionEnded):
            self.over.add(one.session)

    def hears(self, scheduler: Scheduler, events: list[on.Event]) -> None:
        """Something is told to the scheduler."""
        for event in events:
            if isinstance(event, on.AttemptsDied) and event.blame:
                for token in event.tokens:
                    self.by_token[token].blamed = True

    def records(self, scheduler: Scheduler, one: fact.Fact) -> None:
        """The scheduler writes it down. (What an earlier life believes, it cannot write down.)"""
        if scheduler is not self.world.scheduler:
            return
        if isinstance(one, fact.Spent) and one.blame:
            scheduler.blamed.setdefault((one.session, one.number), set()).add(one.told)
        elif isinstance(one, fact.Granted):
            for number in one.numbers:
                self.grants[one.session, number] = one.node, one.era
        elif isinstance(one, fact.Submitted):
            self._submitted(one)
        elif isinstance(one, fact.Ended):
            for uid, end in _ends_of(one):
                self._ended(scheduler, one, uid, end)

    def _submitted(self, one: fact.Submitted) -> None:
        for index, (number, payload) in enumerate(zip(one.numbers, one.payloads, strict=True)):
            uid, job = (one.session, number), int(payload[:6])
            same = self.jobs.get(uid, job) == job or uid not in self.durable
            self.must(same, "P1", f"job {uid} is job {job}, and was {self.jobs.get(uid)}")
            known = self.uids.get((one.session, job), uid)
            keyed = bool(self.world.jobs[job].key)
            taken = known in self.durable and known not in self.refused and self.jobs.get(known) == job
            twice = known != uid and taken
            self.must(not twice or not keyed, "P1", f"job {job} was taken twice, as {known} and {uid}")
            self.jobs[uid], self.uids[one.session, job] = job, uid
            key = one.keys[index] if one.keys else ""
            if key:
                first = self.keys.setdefault((one.session, key), job)
                self.must(first == job, "P1", f"key {key} means jobs {first} and {job}")

    def _ended(self, scheduler: Scheduler, one: fact.Ended, uid: Uid, end: tuple[int, bytes]) -> None:
        state, body = end
        before = scheduler.recorded.get(uid)
        self.must(before is None, "P2", f"job {uid} ended as {before}, and again as {end}")
        scheduler.recorded[uid] = end
        job = self.jobs[uid]
        tries = self.tries_of.get(uid, [])
        if state == JobState.FINISHED:
            found = any(t.status == RETURNED and t.outcome == body for t in tries)
            self.must(found, "P2", f"job {uid} finished with {body!r}, which no attempt of it returned")
        elif state == JobState.LOST:
            self._lost(scheduler, uid, job, tries)
        elif state == JobState.POISONED:
            deaths = sum(one.blamed for one in tries)
            once = self.world.jobs[job].options.reentrant is False
            self.must(
                deaths >= (1 if once else limits.DEATHS_MAX), "P9", f"job {uid} is poisoned after {deaths} deaths"
            )
        elif state == JobState.CANCELLED:
            self.must(job in self.cancelled, "P13", f"job {uid} was cancelled by nobody")

    def _lost(self, scheduler: Scheduler, uid: Uid, job: int, tries: list[Try]) -> None:
        options = self.world.jobs[job].options
        if options.node:
            machine = self.world.machines[options.node]
            if self.silent_ns(scheduler, machine) >= self.world.lease_ns:
                return
        self.must(options.reentrant is False, "P3", f"job {uid}, reentrant={options.reentrant}, is lost")
        for one in tries:
            gone = self.silent_ns(scheduler, one.machine) >= self.world.lease_ns + LOST_NS - SECOND
            if gone or one.era != one.machine.era or (one.why and one.over_ns):
                return
        node, era = self.grants.get(uid, ("", ""))
        if node and self.world.machines[node].era != era:
            return
        states = ", ".join(describe(one) for one in tries)
        self.must(False, "P3", f"job {uid} is lost, though its end can be known: {states}")

    def replays(self, scheduler: Scheduler) -> None:
        """What is on disk makes the state that was, if all of it got there."""
        if scheduler is self.world.scheduler and not scheduler.journal.behind:
            same = said(scheduler.ledger) == said(self.world.disk.replay())
            self.must(same, "replay", "a replay of the disk does not make the state that was")

    # --- what the scheduler says ---

    def after_feed(self, scheduler: Scheduler) -> None:
        """Its tables agree. (All of them are looked at now and then: that takes as long as the feed.)"""
        self.feeds += 1
        if self.feeds % self.every == 0:
            wrong = check(scheduler.core.state)
            self.must(not wrong, "tables", "; ".join(wrong))

    def decides(self, scheduler: Scheduler, command: Any) -> None:
        """A command of the core, which may have to wait for the disk."""
        kind = type(command)
        if kind is do.Assign:
            for token, number, payload in zip(command.tokens, command.numbers, command.payloads, strict=True):
                self._assigned(scheduler, command, token, (command.session, number), plan.index_of(payload))
        elif kind is do.Stop and scheduler is self.world.scheduler:
            for token in command.tokens:
                self._stopped(scheduler, token)

    def obeys(self, scheduler: Scheduler, command: Any) -> None:
        """A command is done."""
        kind = type(command)
        if kind is do.Assign:
            for token in command.tokens:
                self.by_token[token].left = True
        if scheduler is not self.world.scheduler:
            return
        if kind is do.Assign:
            for number in command.numbers:
                uid = command.session, number
                self.must(uid in self.durable, "P1", f"job {uid} goes to a node, and is not on disk")
                if command.options.reentrant is False:
                    self.must(uid in self.granted, "P3", f"job {uid} goes to a node, and its grant is not on disk")
        elif kind is do.Settle:
            for token in command.tokens:
                self._settled(scheduler, token)
        elif kind is do.Drop:
            self._dropped(scheduler, self.world.machines[command.node])

    def _assigned(self, scheduler: Scheduler, command: do.Assign, token: int, uid: Uid, job: int) -> None:
        other = self.by_token.get(token)
        if other is not None:
            self.must(not other.left, "P7", f"token {token} was given to {uid}, and before to {other.uid}")
            self.tries_of[other.uid].remove(other)  # that life wrote nothing, and said nothing
        machine = self.world.machines[command.node]
        one = Try(token, uid, job, machine, machine.era, self.world.clock.now)
        self.by_token[token] = one
        tries = self.tries_of.setdefault(uid, [])
        if scheduler is self.world.scheduler:
            self._may_be_tried(scheduler, one, tries)
        tries.append(one)

    def _may_be_tried(self, scheduler: Scheduler, one: Try, tries: list[Try]) -> None:
        uid = one.uid
        before = scheduler.recorded.get(uid)
        self.must(before is None, "P2", f"job {uid} goes to a node after its end {before}")
        deaths = len(scheduler.blamed.get(uid, ()))
        self.must(deaths < limits.DEATHS_MAX, "P9", f"job {uid} has killed {deaths} workers, and is tried again")
        if self.world.jobs[one.job].options.reentrant is not True:
            for other in tries:
                self._may_follow(scheduler, other, one)
        else:
            running = [t for t in tries if t.runs and not self.given_up(scheduler, t)]
            self.must(len(running) < 3, "P10", f"job {uid} gets one more attempt beside {list(map(describe, running))}")

    def _may_follow(self, scheduler: Scheduler, other: Try, one: Try) -> None:
        """Another attempt of the same job is handed out."""
        if not other.started_ns:
            return
        options = self.world.jobs[one.job].options
        failed = other.status not in (-1, RETURNED) and options.retries
        if failed:
            return
        self.must(
            options.reentrant is not False, "P3", f"job {one.uid} starts again after {describe(other)}, reentrant=False"
        )
        given_up = self.given_up(scheduler, other)
        if other.runs:
            self.must(given_up, "P3", f"job {one.uid} is handed out while {describe(other)}")
        elif other.status not in (-1, CANCELLED):  # cancelled by nobody: it was stopped for another attempt's sake
            self.must(given_up, "P6", f"job {one.uid} is handed out again, though {describe(other)}")

    def _settled(self, scheduler: Scheduler, token: int) -> None:
        one = self.by_token.get(token)
        if one is None:
            return
        one.told = True
        if one.status in (-1, CANCELLED) or one.uid in self.ends or one.uid[0] in self.over:
            return
        session = scheduler.core.state.sessions.get(one.uid[0])
        job = session.jobs.get(one.uid[1]) if session is not None else None
        if one.outcome and scheduler.recorded.get(one.uid, (0, b""))[1] == one.outcome:
            self.must(False, "P6", f"{describe(one)} is settled before its end is on disk")
        failed = one.status != RETURNED and self.world.jobs[one.job].options.retries
        if job is not None and not job.node and not failed:
            self.must(False, "P6", f"{describe(one)} is settled, and its job waits")

    def _stopped(self, scheduler: Scheduler, token: int) -> None:
        one = self.by_token.get(token)
        if one is None or not one.started_ns or one.why or one.job in self.cancelled:
            return
        session = scheduler.core.state.sessions.get(one.uid[0])
        job = session.jobs.get(one.uid[1]) if session is not None else None
        waits = job is not None and not job.node and self.world.jobs[one.job].options.reentrant is not True
        self.must(not waits, "P5", f"{describe(one)} is to be stopped, and its job waits")

    def _dropped(self, scheduler: Scheduler, machine: Machine) -> None:
        silent_ns = self.silent_ns(scheduler, machine)
        if scheduler is self.world.scheduler:
            self.must(
                silent_ns >= self.world.lease_ns, "P12", f"{machine.name} is given up after {silent_ns / SECOND:.1f} s"
            )
            machine.lost_ns = self.world.clock.now

    def protocol_error(self, scheduler: Scheduler, link: Any, error: Exception) -> None:
        """Somebody said what must not be said."""
        self.must(False, "protocol", f"{scheduler.name} of {link}: {error}")

    # --- what happens on nodes ---

    def tries(self, token: int) -> int:
        """How often the job of this attempt was started."""
        return sum(bool(one.started_ns) for one in self.tries_of[self.by_token[token].uid])

    def starts(self, machine: Machine, token: int, job: int) -> None:
        """A worker is about to call the function."""
        one = self.by_token.get(token)
        if one is None:
            raise Violation("P7", f"attempt {token} of job {job} starts on {machine.name}, and was never handed out")
        self.must(not one.started_ns, "P7", f"{describe(one)} starts twice")
        one.started_ns = self.world.clock.now
        others = [t for t in self.tries_of[one.uid] if t is not one and t.started_ns]
        options = self.world.jobs[job].options
        if options.reentrant is False:
            wrong = [t for t in others if t.runs or t.status in (-1, RETURNED) or not options.retries]
            self.must(
                not wrong,
                "P3",
                f"job {one.uid} with reentrant=False starts a second time: {list(map(describe, wrong))}",
            )

    def finishes(self, machine: Machine, token: int, job: int, status: int, outcome: bytes) -> None:
        """An attempt ends by its own word: its record is in the ring."""
        one = self.by_token[token]
        one.over_ns, one.status, one.outcome = self.world.clock.now, status & KIND_MASK, outcome

    def dies(self, machine: Machine, token: int, job: int, why: str) -> None:
        """An attempt ends without a word."""
        one = self.by_token[token]
        one.over_ns, one.why = self.world.clock.now, why

    def says(self, tokens: list[int], statuses: list[int]) -> None:
        """A node tells how attempts ended, also those that it ended itself."""
        for token, status in zip(tokens, statuses, strict=True):
            one = self.by_token[token]
            if one.status == -1 and one.started_ns:
                one.status = status & KIND_MASK

    def beats(self, machine: Machine, told_ns: int) -> None:
        """A node looks at the clock; its scheduler has last spoken to it at `told_ns`."""
        most = self.world.lease_ns + int(self.world.orphan_s * SECOND) + 3 * SECOND
        station = machine.station
        if station is not None and self.world.clock.now - max(told_ns, station.since_ns) > most:
            running = [worker.running for worker in station.agent.hands.workers.values() if worker.running]
            self.must(not running, "P14", f"attempts {running} run on {machine.name}, cut off for so long")

    # --- what users get ---

    def submits(self, client: Client, number: int, job: int) -> None:
        """A program has submitted a job."""
        self.submitted.add((client.session, job))
        self.expected.add((client.session, number))

    def was_refused(self, session: str, number: int) -> None:
        """It was not taken, and its program knows."""
        self.refused.add((session, number))

    def attaches(self, client: Client) -> None:
        """A life of a client begins: what is on disk of its session must have been told."""
        account = self.world.disk_ledger().sessions.get(client.session) if self.world.scheduler is not None else None
        for number in account.entries if account is not None else ():
            told = number in client.core.past or number >= client.core.first
            self.must(told, "P4", f"{client.name} is not told of job {number}")

    def accepted(self, session: str, upto: int) -> None:
        """A client reads that jobs are safe."""
        self.upto[session] = max(upto, self.upto.get(session, 0))
        for job in [job for job in self.expected if job[0] == session and job[1] < upto]:
            self.expected.discard(job)
            taken = job in self.durable or job in self.refused or self.skipped.get(session, 0) > job[1]
            self.must(taken, "P1", f"job {job} is accepted, and not on disk")

    def delivers(self, client: Client, number: int, state: int, body: bytes, again: bool) -> None:
        """User code has a result."""
        session, life = client.session, client.life
        uid = session, number
        end = self.ends.get(uid)
        self.must(end is not None, "P1", f"{session} life {life} has the end of job {number}, which is not on disk")
        self.must(
            end == (state, body), "P2", f"{session} life {life} has {(state, body)} of job {number}, which is {end}"
        )
        lives = self.lives.setdefault(uid, set())
        self.must(life not in lives, "P4", f"{session} life {life} has the result of job {number} twice")
        self.must(again or not lives, "P4", f"{session} life {life} has job {number} as new, and {lives} had it")
        lives.add(life)

    # --- time ---

    def after_handle(self, agent: Agent) -> None:
        """A node's tables agree."""
        self.handles += 1
        if self.handles % 16 == 0:
            wrong = agent.wrong()
            self.must(not wrong, "tables", f"{agent.machine.name}: {wrong}")

    def silent_ns(self, scheduler: Scheduler, machine: Machine) -> int:
        """How long this life of the scheduler has heard nothing from a machine."""
        return self.world.clock.now - max(machine.heard_ns, scheduler.began_ns)

    def given_up(self, scheduler: Scheduler, one: Try) -> bool:
        """Whether its node was silent for a lease since it was handed out."""
        machine = one.machine
        if machine.lost_ns > one.assigned_ns or machine.era != one.era:
            return True
        return self.silent_ns(scheduler, machine) >= self.world.lease_ns


def describe(one: Try) -> str:
    """For people."""
    state = "runs" if one.runs else f"ended {one.status} {one.why}" if one.started_ns else "is not started"
    return f"attempt {one.token >> 40}.{one.token & ((1 << 40) - 1)} of {one.uid} on {one.machine.name} {state}"


def _ends_of(one: fact.Ended) -> list[tuple[Uid, tuple[int, bytes]]]:
    found, at = [], 0
    for number, state, length in zip(one.numbers, one.states, one.lengths, strict=True):
        found.append(((one.session, number), (state, one.body[at : at + length])))
        at += length
    return found
