"""Who sees everything, and says what must not have happened. It decides nothing.

Each promise is checked where it would be broken: a start where it starts, an end where it is written down, a result
where user code gets it. What depends on what is on disk is held against the rows there, not against anybody's memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightwork.config import limits, timers
from lightwork.model.states import JobState
from lightwork.scheduler.core import commands as do, events as on, facts as fact
from lightwork.wire.outcome import CANCELLED, RETURNED
from tests.simulation import plan
from tests.simulation.clock import SECOND
from tests.simulation.disk import said
from tests.simulation.known import Try, Uid, describe
from tests.simulation.reopening import session_of
from tests.simulation.witness import Witness

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.world import World

LOST_NS = int(timers.LOST_S * SECOND)


class Oracle(Witness):
    """Of one world."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        world.disk.seen = lambda one: self.on_disk(self.openings.told(one))

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
            elif isinstance(event, on.AttemptsEnded):
                self.says(event.tokens, event.statuses)  # an agent may have died between writing it down and saying so

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
            self.must((one.session, job) in self.submitted, "P1", f"job {uid} is job {job} of another session")
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
            if self.silent_ns(scheduler, machine) >= machine.lease_ns:
                return
        self.must(options.reentrant is False, "P3", f"job {uid}, reentrant={options.reentrant}, is lost")
        for one in tries:
            gone = self.silent_ns(scheduler, one.machine) >= one.machine.lease_ns + LOST_NS - SECOND
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

    def decides(self, scheduler: Scheduler, command: Any) -> None:
        """A command of the core, which may have to wait for the disk."""
        kind = type(command)
        if kind is do.Assign:
            for token, number, payload in zip(command.tokens, command.numbers, command.payloads, strict=True):
                self._assigned(scheduler, command, token, (command.session, number), plan.index_of(payload))
        elif kind is do.Stop and scheduler is self.world.scheduler:
            scheduler.unwanted.update(command.tokens)
            for token in command.tokens:
                self._stopped(scheduler, token)

    def obeys(self, scheduler: Scheduler, command: Any) -> None:
        """A command is done."""
        kind = type(command)
        if kind is do.Assign:
            for token in command.tokens:
                one = self.by_token[token]
                self.must(one.by == scheduler.name, "P7", f"token {token} is sent by {scheduler.name}, as by {one.by}")
                one.left = True
        if scheduler is not self.world.scheduler:
            return
        if kind is do.Assign:
            for token in command.tokens:
                uid = self.by_token[token].uid
                self.must(uid in self.durable, "P1", f"job {uid} goes to a node, and is not on disk")
                if command.options.reentrant is False:
                    self.must(uid in self.granted, "P3", f"job {uid} goes to a node, and its grant is not on disk")
        elif kind is do.Settle:
            for token in command.tokens:
                self._settled(scheduler, token)
        elif kind is do.Drop:
            self._dropped(scheduler, self.world.machines[command.node])

    def _assigned(self, scheduler: Scheduler, command: do.Assign, token: int, uid: Uid, job: int) -> None:
        if scheduler is self.world.scheduler:
            self.must(
                self.jobs.get(uid) == job, "P1", f"job {uid} goes to a node as job {job}, and is {self.jobs.get(uid)}"
            )
        other = self.by_token.get(token)
        if other is not None and scheduler is not self.world.scheduler:
            return  # an earlier life, that never wrote its epoch down: what it decides must not leave it
        if other is not None:
            self.must(not other.left, "P7", f"token {token} was given to {uid}, and before to {other.uid}")
            self.tries_of[other.uid].remove(other)  # that life wrote nothing, and said nothing
        machine = self.world.machines[command.node]
        there = scheduler.core.state.sessions[session_of(command.session)].key
        one = Try(token, uid, job, machine, machine.era, self.world.clock.now, scheduler.name, there)
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
            wanted = [t for t in tries if t.token not in scheduler.unwanted]
            running = [t for t in wanted if t.runs and not self.given_up(scheduler, t)]
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
        elif other.status not in (-1, CANCELLED) and not other.unwritten:
            # (If it was cancelled, by nobody, it was stopped for another attempt's sake.)
            self.must(given_up, "P6", f"job {one.uid} is handed out again, though {describe(other)}")

    def _settled(self, scheduler: Scheduler, token: int) -> None:
        one = self.by_token.get(token)
        if one is None:
            return
        one.told = True
        if one.status in (-1, CANCELLED) or one.uid in self.ends or one.uid[0] in self.over:
            return
        job = scheduler.job_of(one.uid)
        if one.outcome and scheduler.recorded.get(one.uid, (0, b""))[1] == one.outcome:
            self.must(False, "P6", f"{describe(one)} is settled before its end is on disk")
        failed = one.status != RETURNED and self.world.jobs[one.job].options.retries
        if job is not None and not job.node and not failed and not one.unwritten:
            self.must(False, "P6", f"{describe(one)} is settled, and its job waits")

    def _stopped(self, scheduler: Scheduler, token: int) -> None:
        one = self.by_token.get(token)
        if one is None or not one.started_ns or one.why or one.job in self.cancelled:
            return
        job = scheduler.job_of(one.uid)
        waits = job is not None and not job.node and self.world.jobs[one.job].options.reentrant is not True
        self.must(not waits, "P5", f"{describe(one)} is to be stopped, and its job waits")

    def _dropped(self, scheduler: Scheduler, machine: Machine) -> None:
        silent_ns = self.silent_ns(scheduler, machine)
        if scheduler is self.world.scheduler:
            self.must(
                silent_ns >= machine.lease_ns, "P12", f"{machine.name} is given up after {silent_ns / SECOND:.1f} s"
            )
            machine.lost_ns = self.world.clock.now

    def protocol_error(self, scheduler: Scheduler, link: Any, error: Exception) -> None:
        """Somebody said what must not be said."""
        self.must(False, "protocol", f"{scheduler.name} of {link}: {error}")


def _ends_of(one: fact.Ended) -> list[tuple[Uid, tuple[int, bytes]]]:
    found, at = [], 0
    for number, state, length in zip(one.numbers, one.states, one.lengths, strict=True):
        found.append(((one.session, number), (state, one.body[at : at + length])))
        at += length
    return found
