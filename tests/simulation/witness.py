"""The oracle's eyes on nodes, on users and on tables (oracle.py has the scheduler and its disk)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from lightwork.node.core import events as node_on
from lightwork.scheduler.core import events as on
from lightwork.scheduler.core.check import check
from lightwork.wire.outcome import KIND_MASK, RETURNED
from tests.simulation.clock import SECOND
from tests.simulation.known import Known, Violation, describe

if TYPE_CHECKING:
    from tests.simulation.agent import Agent
    from tests.simulation.client import Client
    from tests.simulation.machine import Machine
    from tests.simulation.scheduler import Scheduler

# These say only that time has passed. All tables are looked at after each other event, and now and then after these.
DULL: frozenset[type] = frozenset((on.NodeBeat, on.NodesSpoke, on.TimePassed, node_on.BeatDue, node_on.Ticked))
DULL_EVERY = 16


class Witness(Known):
    """Sees what happens at the far ends."""

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
        self.must(one.job == job, "P7", f"{describe(one)} starts as job {job}, and is {one.job}")
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

    def dies(self, token: int, why: str) -> None:
        """An attempt ends without a word, or on the way to its first line."""
        one = self.by_token[token]
        one.over_ns, one.why = self.world.clock.now, why

    def says(self, tokens: list[int], statuses: list[int]) -> None:
        """A node tells how attempts ended, also those that it ended itself."""
        for token, status in zip(tokens, statuses, strict=True):
            one = self.by_token[token]
            if one.status == -1 and one.started_ns:
                one.status = status & KIND_MASK

    def loses(self, tokens: Collection[int]) -> None:
        """An agent is over that had no room to write these ends down: they were only its word."""
        for token in tokens:
            self.by_token[token].unwritten = True

    def powerless(self, machine: Machine) -> None:
        """What a machine without power had written may be gone, or whose end it was."""
        self.loses([token for token, one in self.by_token.items() if one.machine is machine])

    def beats(self, machine: Machine, told_ns: int) -> None:
        """A node looks at the clock; its scheduler has last spoken to it at `told_ns`."""
        most = machine.lease_ns + int(self.world.orphan_s * SECOND) + 3 * SECOND
        station = machine.station
        if station is not None and self.world.clock.now - max(told_ns, station.since_ns) > most:
            running = [worker.running for worker in station.agent.hands.workers.values() if worker.running]
            self.must(not running, "P14", f"attempts {running} run on {machine.name}, cut off for so long")

    # --- what users get ---

    def submits(self, client: Client, number: int, job: int) -> None:
        """A program has submitted a job."""
        self.submitted.add((client.alias, job))
        self.expected.add((client.alias, number))

    def was_refused(self, session: str, number: int) -> None:
        """It was not taken, and its program knows."""
        self.refused.add((session, number))

    def attaches(self, client: Client) -> None:
        """A life of a client begins: what is on disk of its session must have been told."""
        account = self.world.disk_ledger().sessions.get(client.session) if self.world.scheduler is not None else None
        for number in account.entries if account is not None else ():
            told = number in client.core.past or number >= client.core.first
            self.must(told, "P4", f"{client.name} is not told of job {number}")
        first = client.core.first
        for number in [*client.core.past, *range(first - 1, first)]:
            its = number < 0 or (client.alias, number) in self.jobs or number < self.skipped.get(client.alias, 0)
            self.must(its, "P4", f"{client.name} is told of job {number}, which is of no earlier life of it")

    def closed(self, client: Client) -> None:
        """A program reads that its session is over: nothing brings that back."""
        self.must(client.alias in self.over, "P1", f"{client.name} is told that it is over, and that is not on disk")

    def accepted(self, session: str, upto: int) -> None:
        """A client reads that jobs are safe."""
        for job in [job for job in self.expected if job[0] == session and job[1] < upto]:
            self.expected.discard(job)
            taken = job in self.durable or job in self.refused or self.skipped.get(session, 0) > job[1]
            self.must(taken, "P1", f"job {job} is accepted, and not on disk")

    def delivers(self, client: Client, number: int, state: int, body: bytes, again: bool) -> None:
        """User code has a result."""
        session, life = client.alias, client.life
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

    # --- tables ---

    def after_feed(self, scheduler: Scheduler, events: list[on.Event]) -> None:
        """A scheduler's tables agree."""
        self.feeds += 1
        every = DULL_EVERY * self.every if all(type(event) in DULL for event in events) else self.every
        if every and self.feeds % every == 0:
            wrong = check(scheduler.core.state)
            self.must(not wrong, "tables", "; ".join(wrong))

    def after_handle(self, agent: Agent, event: Any) -> None:
        """A node's tables agree."""
        self.handles += 1
        every = DULL_EVERY * self.every if type(event) in DULL else self.every
        if every and self.handles % every == 0:
            wrong = agent.wrong()
            self.must(not wrong, "tables", f"{agent.machine.name}: {wrong}")
