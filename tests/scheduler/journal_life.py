"""A life of a scheduler as its journal sees it; and facts that may follow each other."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.facts import Fact
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.journal import Journal
from lightwork.store.state_directory import StateDirectory
from lightwork.wire.messages import Attempt, Computation, File, JobOptions, SetPolicy, Tailoring, Wanted

WAIT_S = 60.0


class Life:
    """`async with Life(path) as life`: record facts, wait until they are durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.durable = 0
        self.full: list[bool] = []
        self.failures: list[str] = []
        self.ledger = Ledger()
        self.journal: Journal
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.state = StateDirectory(self.path)
        try:
            self.journal = await Journal.open(
                self.state, on_durable=self._on_durable, on_full=self._on_full, on_failed=self._on_failed
            )
            for one in self.journal.facts():
                self.ledger.apply(one)
        except BaseException:
            self.state.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.close()
        self.state.close()

    def record(self, one: Fact) -> None:
        """Ledger and journal, as the core does it."""
        self.ledger.apply(one)
        self.number += 1
        self.journal.record(self.number, one)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for what the journal says."""
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):  # what is not told, such as the end of a compaction
                    await asyncio.wait_for(self._changed.wait(), 0.05)

    async def settled(self) -> None:
        """All that was recorded is durable."""
        await self.until(lambda: self.durable >= self.number)

    def _on_durable(self, number: int) -> None:
        assert number > self.durable
        self.durable = number
        self._changed.set()

    def _on_full(self, full: bool) -> None:
        self.full.append(full)
        self._changed.set()

    def _on_failed(self, why: str) -> None:
        self.failures.append(why)
        self._changed.set()


def told(ledger: Ledger) -> list[bytes]:
    """All that a ledger says; equal ledgers say equal things."""
    return [msgspec.msgpack.encode(one) for one in ledger.facts()]


async def ledger_in(path: Path) -> list[bytes]:
    """What a directory holds."""
    async with Life(path) as life:
        return told(life.ledger)


class Chance:
    """Facts of all kinds in an order that may be, seeded."""

    def __init__(self, seed: int | str, ledger: Ledger) -> None:
        self.chance = random.Random(seed)
        self.ledger = ledger

    def fact(self) -> Fact:
        """One that may follow what the ledger has."""
        chance = self.chance
        if not self.ledger.sessions or chance.random() < 0.04:
            name = f"s{chance.randrange(3)}"
            account = self.ledger.sessions.get(name)
            return fact.SessionOpened(name, account.incarnation + 1 if account else 1, True, "me", "here")
        session = chance.choice(sorted(self.ledger.sessions))
        makers = (
            [self._submitted] * 6 + [self._ended] * 5 + [self._taken] * 4 + [self._granted, self._spent, self._cancel]
        )
        return chance.choice([*makers, self._other])(session)

    def _jobs(self, session: str, ended: bool, most: int) -> list[int]:
        entries = self.ledger.sessions[session].entries.values()
        jobs = [entry.number for entry in entries if (entry.end is not None) == ended]
        return sorted(self.chance.sample(jobs, min(len(jobs), self.chance.randrange(1, most + 1))))

    def _submitted(self, session: str) -> Fact:
        account, chance = self.ledger.sessions[session], self.chance
        count = chance.randrange(1, 8)
        numbers = list(range(account.next_number, account.next_number + count))
        keys = [f"key {number}" if chance.random() < 0.5 else "" for number in numbers]
        stored = [(0, File("", "ab" * 16, 9))] if chance.random() < 0.2 else []
        options = JobOptions(reentrant=chance.choice([None, True, False]))
        payloads = [chance.randbytes(chance.choice([0, 30, 80])) for _ in numbers]
        keyed = keys if chance.random() < 0.5 else []
        prints = [chance.randbytes(8) for _ in numbers] if keyed else []
        ids = [b"id %d" % number for number in numbers] if chance.random() < 0.3 else []
        return fact.Submitted(session, "cd" * 16, options, numbers, payloads, keyed, ids, prints, stored)

    def _ended(self, session: str) -> Fact:
        jobs, chance = self._jobs(session, False, 6), self.chance
        if not jobs:
            return self._submitted(session)
        lengths = [chance.randrange(20) for _ in jobs]
        states, statuses, starts, durations, tries = [[chance.randrange(3) for _ in jobs] for _ in range(5)]
        files = [(0, [File("", "ef" * 16, 5)])] if chance.random() < 0.2 else []
        body, lives = chance.randbytes(sum(lengths)), [0] * len(jobs)
        return fact.Ended(
            session, "node", jobs, states, statuses, starts, durations, tries, lengths, body, lives, files
        )

    def _taken(self, session: str) -> Fact:
        return fact.Taken(session, self._jobs(session, True, 8))

    def _granted(self, session: str) -> Fact:
        jobs = self._jobs(session, False, 4)
        if self.chance.random() < 0.3:
            return fact.Ungranted(session, jobs)
        return fact.Granted(session, "node", "era", jobs, [1 << 40 | job for job in jobs])

    def _spent(self, session: str) -> Fact:
        jobs = self._jobs(session, False, 1)
        attempt = Attempt("node", 5, 6, 1, "it was unlucky")
        entries = self.ledger.sessions[session].entries
        if jobs and any(lost := entries[jobs[0]].lost):
            return fact.Unspent(session, jobs[0], max(lost))
        return fact.Spent(session, jobs[0], attempt, True, False, 0, 1 + jobs[0]) if jobs else self._other(session)

    def _cancel(self, session: str) -> Fact:
        return fact.CancelAsked(session, self._jobs(session, False, 3))

    def _other(self, session: str) -> Fact:
        chance, account = self.chance, self.ledger.sessions[session]
        node = f"node{chance.randrange(5)}"
        return chance.choice(
            [
                fact.NodeKnown(node, "identity", "era", "lab1:9701"),
                fact.NodeGone(node),
                fact.Began(self.ledger.epoch + 1, "identity"),
                fact.Wished(session, [Wanted("lab1")], account.incarnation),
                fact.Defined(session, Computation("cd" * 16, "function", "f", b"payload")),
                fact.Skipped(session, account.next_number + chance.randrange(3)),
                fact.TermsSet(session, chance.choice((1.0, 2.5)), chance.random() < 0.5, self.ledger.ordinal),
                fact.Named(session, list(account.entries)[:1], [b"name"] * min(len(account.entries), 1)),
                self._updated(session),
                self._hosts_said(),
                fact.Closing(session),
                fact.Allotted(
                    session, node, chance.randrange(3), Tailoring("", b"setup", files=(File("x", "ba" * 16, 7),))
                ),
                fact.SessionEnded(session) if chance.random() < 0.2 else fact.NodeGone(node),
            ]
        )

    def _updated(self, session: str) -> Fact:
        old, new = self.chance.sample(("cd" * 16, "ce" * 16, "cf" * 16), 2)
        return fact.Updated(session, old, new, self.ledger.sessions[session].steps.epoch + 1)

    def _hosts_said(self) -> Fact:
        chance = self.chance
        action = chance.choice(["add", "remove", "drain", "resume", "group", "ungroup", "policy"])
        hosts = chance.sample(["a", "b", "lab*", "10.0.0.1", "@gpu", "*"], chance.randrange(1, 4))
        group = "gpu" if "group" in action else ""
        policy = SetPolicy(
            chance.choice((-1, 480)), clients=chance.choice((-2, 3)), word=chance.randrange(1, 9), slots=2
        )
        return fact.HostsSaid(action, hosts, group, "bob@lab", policy if action == "policy" else None)
