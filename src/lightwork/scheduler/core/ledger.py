"""What is durable, made of facts and of nothing else: the core's second memory, and all that a restart begins with.

    live:     core --fact--> ledger.apply, and Record --> journal
    restart:  journal --facts--> ledger.apply --> recovery.restore --> core's tables
    compact:  ledger.facts() --> a new journal, no longer than the work in hand

The live core changes its ledger by the very facts that it records, so that the state after a replay is the state that
was, by construction. Ended jobs stay here until they are taken, those with a key until their session ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.accounts import Account, End, Entry, Grant, facts_of
from lightwork.scheduler.core.host_rules import HostRules
from lightwork.wire.messages import File


class Ledger:
    """All of it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.identity = ""
        self.nodes: dict[str, fact.NodeKnown] = {}
        self.sessions: dict[str, Account] = {}
        self.needs: dict[str, int] = {}  # how often each blob is spoken of
        self.unneeded: list[str] = []  # blobs that were, and may go
        self.hosts = HostRules()
        self.ordinal = 0  # of the next job

    def apply(self, one: fact.Fact) -> None:
        """It is so from now on. KeyError: it speaks of what no earlier fact has told."""
        _APPLY[type(one)](self, one)

    # --- what facts do ---

    def need(self, files: Iterable[File]) -> None:
        """These blobs are spoken of once more."""
        for file in files:
            self.needs[file.digest] = self.needs.get(file.digest, 0) + 1

    def unneed(self, files: Iterable[File]) -> None:
        """And once less."""
        for file in files:
            left = self.needs.pop(file.digest) - 1
            if left:
                self.needs[file.digest] = left
            else:
                self.unneeded.append(file.digest)

    def _began(self, one: fact.Began) -> None:
        self.epoch, self.identity = one.epoch, one.identity
        self.ordinal = max(self.ordinal, one.ordinal)

    def _node_known(self, one: fact.NodeKnown) -> None:
        self.nodes[one.node] = one

    def _node_gone(self, one: fact.NodeGone) -> None:
        self.nodes.pop(one.node, None)

    def _session_opened(self, one: fact.SessionOpened) -> None:
        account = self.sessions.get(one.session)
        if account is None:
            account = self.sessions[one.session] = Account(one.session)
        if account.incarnation != one.incarnation:
            account.refused.clear()
        account.incarnation, account.lasting = one.incarnation, one.lasting
        account.user, account.host, account.first = one.user, one.host, one.first
        account.key = one.key or one.session
        for entry in account.entries.values():
            if entry.end is not None and not entry.end.life:
                entry.end.life = one.incarnation

    def _session_ended(self, one: fact.SessionEnded) -> None:
        account = self.sessions.pop(one.session, None)
        if account is not None:
            self.unneed(account.files())

    def _wished(self, one: fact.Wished) -> None:
        account = self.sessions[one.session]
        if one.life != account.wisher:
            account.wisher = one.life
            account.wishes.clear()
            account.only = False
        account.wishes += one.wanted
        account.only |= one.only

    def _defined(self, one: fact.Defined) -> None:
        computations = self.sessions[one.session].computations
        if one.computation.digest not in computations:
            computations[one.computation.digest] = one.computation
            self.need(one.computation.files)

    def _submitted(self, one: fact.Submitted) -> None:
        account = self.sessions[one.session]
        first = one.ordinals[0] if one.ordinals else self.ordinal
        for index, (number, payload) in enumerate(zip(one.numbers, one.payloads, strict=True)):
            entry = account.entries[number] = Entry(number, one.computation, one.options, payload, epoch=one.epoch)
            entry.ordinal = one.ordinals[index] if len(one.ordinals) > 1 else first + index
            if one.keys and one.keys[index]:
                entry.key = one.keys[index]
                account.keys[entry.key] = number
            if one.ids:
                entry.id = one.ids[index]
            if one.prints:
                entry.print = one.prints[index]
        for index, file in one.stored:
            account.entries[one.numbers[index]].stored = file
            self.need([file])
        for _ in one.numbers if one.options.files else ():
            self.need(one.options.files)
        self.ordinal = max(self.ordinal, account.entries[one.numbers[-1]].ordinal + 1)
        account.unended += len(one.numbers)
        account.next_number = max(account.next_number, one.numbers[-1] + 1)

    def _skipped(self, one: fact.Skipped) -> None:
        account = self.sessions[one.session]
        if one.first >= 0:
            last = account.refused[-1] if account.refused else (0, -1)
            if last[1] == one.first:
                account.refused[-1] = last[0], one.upto
            else:
                account.refused.append((one.first, one.upto))
        account.next_number = max(account.next_number, one.upto)

    def _named(self, one: fact.Named) -> None:
        account = self.sessions[one.session]
        for number, name in zip(one.numbers, one.ids, strict=True):
            if number in account.entries:
                account.entries[number].id = name

    def _granted(self, one: fact.Granted) -> None:
        account = self.sessions[one.session]
        for number, token in zip(one.numbers, one.tokens, strict=True):
            account.entries[number].grant = Grant(one.node, one.era, token)

    def _ungranted(self, one: fact.Ungranted) -> None:
        account = self.sessions[one.session]
        for number in one.numbers:
            account.entries[number].grant = None

    def _spent(self, one: fact.Spent) -> None:
        entry = self.sessions[one.session].entries[one.number]
        entry.spent = (*entry.spent, (one.attempt, one.blame, one.retry))
        entry.told = (*entry.told, one.told)
        entry.lost = (*entry.lost, one.lost)
        entry.grant = None

    def _unspent(self, one: fact.Unspent) -> None:
        entry = self.sessions[one.session].entries[one.number]
        at = entry.lost.index(one.token)
        entry.spent = entry.spent[:at] + entry.spent[at + 1 :]
        entry.told = entry.told[:at] + entry.told[at + 1 :]
        entry.lost = entry.lost[:at] + entry.lost[at + 1 :]

    def _cancel_asked(self, one: fact.CancelAsked) -> None:
        account = self.sessions[one.session]
        for number in one.numbers:
            account.entries[number].cancelled = True

    def _ended(self, one: fact.Ended) -> None:
        account = self.sessions[one.session]
        files = dict(one.files)
        columns = zip(
            one.numbers,
            one.states,
            one.statuses,
            one.starts_ns,
            one.durations_ns,
            one.attempts,
            accumulate(one.lengths),
            one.lengths,
            one.lives,
            strict=True,
        )
        for index, (number, state, status, start, duration, attempts, at, length, life) in enumerate(columns):
            entry = account.entries[number]
            outcome = one.body[at - length : at]
            kept = tuple(files.get(index, ()))
            entry.end = End(one.node, state, status, start, duration, attempts, outcome, kept, life)
            entry.grant = None
            self.need(kept)
        account.unended -= len(one.numbers)

    def _taken(self, one: fact.Taken) -> None:
        account = self.sessions[one.session]
        for number in one.numbers:
            entry = account.entries.get(number)
            if entry is None or entry.end is None:
                continue
            if entry.key:
                entry.end.taken = True
            else:
                self.unneed(entry.files())
                account.drop(entry)

    def _terms_set(self, one: fact.TermsSet) -> None:
        account = self.sessions[one.session]
        account.weight, account.exclusive, account.since = one.weight, one.exclusive, one.since
        self.ordinal = max(self.ordinal, one.since)

    def _updated(self, one: fact.Updated) -> None:
        self.sessions[one.session].steps.take(one.old, one.computation, one.epoch, one.first)

    def _hosts_said(self, one: fact.HostsSaid) -> None:
        self.hosts.take(one.action, one.hosts, one.group, one.by, one.policy)

    def _closing(self, one: fact.Closing) -> None:
        self.sessions[one.session].closing = True

    def _allotted(self, one: fact.Allotted) -> None:
        allotted = self.sessions[one.session].allotted
        before, allotted[one.node] = allotted.get(one.node), one
        if one.tailoring is not None:
            self.need(one.tailoring.files)
        if before is not None and before.tailoring is not None:
            self.unneed(before.tailoring.files)

    # --- all of it, in as few facts as it takes ---

    def facts(self) -> Iterator[fact.Fact]:
        """Facts that make an equal ledger out of an empty one."""
        if self.epoch or self.ordinal:
            yield fact.Began(self.epoch, self.identity, self.ordinal)
        yield from self.nodes.values()
        for rule in self.hosts:
            yield fact.HostsSaid(rule.action, [rule.host], rule.group, rule.by, rule.policy)
        for account in self.sessions.values():
            yield from facts_of(account)

    def files(self) -> Iterator[File]:
        """All blobs that are needed."""
        for account in self.sessions.values():
            yield from account.files()


_APPLY: dict[type, Callable[[Ledger, Any], None]] = {
    fact.Began: Ledger._began,
    fact.NodeKnown: Ledger._node_known,
    fact.NodeGone: Ledger._node_gone,
    fact.SessionOpened: Ledger._session_opened,
    fact.SessionEnded: Ledger._session_ended,
    fact.Wished: Ledger._wished,
    fact.Defined: Ledger._defined,
    fact.Submitted: Ledger._submitted,
    fact.Skipped: Ledger._skipped,
    fact.Named: Ledger._named,
    fact.Granted: Ledger._granted,
    fact.Ungranted: Ledger._ungranted,
    fact.Spent: Ledger._spent,
    fact.CancelAsked: Ledger._cancel_asked,
    fact.Ended: Ledger._ended,
    fact.Taken: Ledger._taken,
    fact.TermsSet: Ledger._terms_set,
    fact.Updated: Ledger._updated,
    fact.HostsSaid: Ledger._hosts_said,
    fact.Closing: Ledger._closing,
    fact.Allotted: Ledger._allotted,
    fact.Unspent: Ledger._unspent,
}
