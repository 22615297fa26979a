"""Planted bugs: each replaces a function or two of the real code by one that breaks a promise, while a block lasts.

The code itself has no switches. A mutant that no schedule finds would say that the world is too kind, or that what it
breaks is of no use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from lightwork.client.core import ClientCore
from lightwork.client.records import Record
from lightwork.model.states import JobState
from lightwork.node.core.tenure import Phase, Tenure
from lightwork.node.service.bonds import Bonds
from lightwork.node.service.custody import Custody
from lightwork.scheduler.core import (
    attempts,
    binding,
    commands as do,
    core,
    events as on,
    losses,
    machines,
    recovery,
    state as state_module,
)
from lightwork.scheduler.core.gate import Gate
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.service import service
from lightwork.scheduler.service.claims import Claims
from lightwork.wire.messages import Died, Ended
from tests.simulation.scheduler import Scheduler

STARTED = 1  # a stage of wire Truth
Make = Callable[[Any], Any]  # the original -> what stands in its place
Place = tuple[Any, Any, Make]  # owner, name (or key, if the owner is a dictionary), new


class Mutant(NamedTuple):
    """What is replaced, and which promises may be seen to be broken by that."""

    promises: frozenset[str]
    places: tuple[Place, ...]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of this name is there while this lasts; "": none is."""
    with ExitStack() as stack:
        for owner, key, make in MUTANTS[name].places if name else ():
            stack.enter_context(_replaced(owner, key, make))
        yield


@contextmanager
def _replaced(owner: Any, key: Any, make: Make) -> Iterator[None]:
    if isinstance(owner, dict):
        original = owner[key]
        owner[key] = make(original)
        try:
            yield
        finally:
            owner[key] = original
        return
    original = owner.__dict__[key] if isinstance(owner, type) else getattr(owner, key)
    setattr(owner, key, make(original))
    try:
        yield
    finally:
        setattr(owner, key, original)


# --- the gate ---


def _not_gated(kind: type) -> Make:
    """Commands of this kind do not wait for the disk."""

    def make(original: Any) -> Any:
        def admit(self: Gate, commands: Iterable[do.Command]) -> list[Any]:
            commands = list(commands)
            early = [one for one in commands if type(one) is kind]
            return [*original(self, [one for one in commands if type(one) is not kind]), *early]

        return admit

    return make


def _no_grant_fsync(original: Any) -> Any:
    def bind_assign(state: Any, command: Any) -> None:
        before = state.recorded
        original(state, command)
        command.after = min(command.after, before)

    return bind_assign


# --- jobs that end ---


def _lenient(original: Any) -> Any:
    """Whoever ends twice does not notice it there."""

    def ended(self: Session, job: Any) -> None:
        if job.number in self.jobs:
            original(self, job)

    return ended


def _lenient_all(original: Any) -> Any:
    def all_ended(self: Session, jobs: Any) -> None:
        original(self, [job for job in jobs if job.number in self.jobs])

    return all_ended


LENIENT = ((Session, "ended", _lenient), (Session, "all_ended", _lenient_all))


def _restores_ended(original: Any) -> Any:
    def restore_session(state: Any, account: Any) -> None:
        original(state, account)
        for entry in account.entries.values():
            if entry.end is not None:
                recovery._restore_job(state, state.sessions[account.name], entry)

    return restore_session


def _twin_stays(original: Any) -> Any:
    def conclude(state: Any, job: Any, token: int, *, won: bool = False) -> Any:
        return []

    return conclude


def _stays_with_node(original: Any) -> Any:
    """What must not start twice stays in the node's table, though it has ended."""

    def let_all_go(self: Node, tokens: Any) -> Any:
        known = {token: self.attempts[token] for token in tokens if token in self.attempts}
        found = original(self, tokens)
        for token, job in known.items():
            if job.group.options.reentrant is False:
                self.adopt(job, token)
        return found

    return let_all_go


def _not(bad: JobState) -> Make:
    def make(original: Any) -> Any:
        def after_death(job: Any, **given: Any) -> JobState:
            becomes: JobState = original(job, **given)
            return JobState.QUEUED if becomes is bad else becomes

        return after_death

    return make


# --- nodes that come and go ---


def _truth_without(keep: Callable[[Any, int, int], bool]) -> Make:
    """Rows of a Truth that are not looked at: `keep(node, token, stage)`."""

    def make(original: Any) -> Any:
        def on_node_truth(state: Any, event: on.NodeTruth) -> Any:
            node = state.nodes[event.node]
            rows = zip(event.tokens, event.session, event.jobs, event.stages, event.ages_ns, strict=True)
            kept = [row for row in rows if keep(node, row[0], row[3])]
            columns = [list(column) for column in zip(*kept, strict=True)] or [[], [], [], [], []]
            return original(state, on.NodeTruth(event.node, event.sessions, *columns))

        return on_node_truth

    return make


def _ignored_rejoin(original: Any) -> Any:
    def on_node_truth(state: Any, event: on.NodeTruth) -> Any:
        state.nodes[event.node].untold = False
        state.awaited.discard(event.node)
        state.queue.reconsider()
        return recovery.end_hold(state) if state.restoring and not state.awaited else []

    return on_node_truth


def _no_kill(original: Any) -> Any:
    def on_node_truth(state: Any, event: on.NodeTruth) -> Any:
        return [one for one in original(state, event) if not (isinstance(one, do.Stop) and one.now)]

    return on_node_truth


def _gives_up(original: Any) -> Any:
    def on_node_lost(state: Any, event: on.NodeLost) -> Any:
        commands = original(state, event)
        node = state.nodes.get(event.node)
        return commands + losses.give_up(state, node) if node is not None else commands

    return on_node_lost


def _any_link(original: Any) -> Any:
    """A node's old link counts as well as its new one."""

    def join(self: Claims, link: Any, ready: Any) -> Any:
        before = dict(self._by_link)
        claim, resumed, old = original(self, link, ready)
        if old is not None:
            self._by_link[old] = before[old]
        return claim, resumed, None

    return join


# --- the node ---


def _frees_at_once(original: Any) -> Any:
    def hold(self: Bonds, ring: object, tokens: Any, release: Callable[[], None]) -> None:
        release()

    return hold


def _forgets_what_it_said(original: Any) -> Any:
    def note(self: Custody, message: Any, body: Any) -> None:
        original(self, message, body)
        if isinstance(message, Ended | Died):
            self.settled(list(message.tokens))

    return note


def _never_too_long(original: Any) -> Any:
    def passed(self: Tenure, now_ns: int, running: int) -> Any:
        return [] if self.phase is Phase.ORPHANED else original(self, now_ns, running)

    return passed


# --- the client ---


def _no_dedup(original: Any) -> Any:
    def results(self: Any, message: Any, body: bytes) -> Any:
        ended: dict[int, Record] = self.__dict__.setdefault("had", {})
        self.open.update({number: ended[number] for number in message.jobs if number in ended})
        found = original(self, message, body)
        ended.update({record.number: record for record in found})
        return found

    return results


def _no_idempotency(original: Any) -> Any:
    def on_jobs_submitted(state: Any, event: on.JobsSubmitted) -> Any:
        session = state.sessions[event.session]
        session.next_number = min(session.next_number, event.first)
        return original(state, event)

    return on_jobs_submitted


# --- clocks and numbers ---


def _never(original: Any) -> Any:
    return 1 << 62


def _wall_clock(original: Any) -> Any:
    def now_ns(self: Scheduler) -> int:
        return self.clock.now + self.world.wall_moved_ns

    return now_ns


def _mutant(promises: str, *places: Place) -> Mutant:
    return Mutant(frozenset(promises.split()), places)


HANDLERS: dict[Any, Any] = core._HANDLERS
MUTANTS: dict[str, Mutant] = {
    "ack before fsync": _mutant("P1", (Gate, "admit", _not_gated(do.Accept))),
    "no idempotency": _mutant("P1 P2 P3 tables replay", (HANDLERS, on.JobsSubmitted, _no_idempotency)),
    "overwritten end": _mutant("P2", (recovery, "_restore_session", _restores_ended), *LENIENT),
    "deliver before END": _mutant("P1", (Gate, "admit", _not_gated(do.Deliver))),
    "rerun anyway": _mutant("P3", (losses, "after_death", _not(JobState.LOST))),
    "no grant fsync": _mutant("P3", (binding, "_bind_assign", _no_grant_fsync)),
    "no client dedup": _mutant("P4", (ClientCore, "results", _no_dedup)),
    "no hold": _mutant("P3 P5 P6", (machines, "hold_is_over", lambda _: lambda state: True)),
    "forget running": _mutant(
        "P3 P5 P6",
        (HANDLERS, on.NodeTruth, _truth_without(lambda node, token, stage: stage != STARTED or token in node.attempts)),
    ),
    "node frees before spooling": _mutant("P3 P6", (Bonds, "hold", _frees_at_once)),
    "spool dropped at send": _mutant("P3 P6 P8", (Custody, "note", _forgets_what_it_said)),
    "token reuse": _mutant("P7", (state_module, "make_token", lambda _: lambda epoch, number: 1 << 40 | number)),
    "ignored rejoin": _mutant("P3 P5 P6 P8", (HANDLERS, on.NodeTruth, _ignored_rejoin)),
    "no kill": _mutant("P3 P8 P10 P13", (HANDLERS, on.NodeTruth, _no_kill)),
    "heartbeat without sequence": _mutant("P3 P6 P8 P12", (Claims, "join", _any_link)),
    "no poison": _mutant("P8 P9", (losses, "after_death", _not(JobState.POISONED))),
    "take-back on silence": _mutant("P3 P6", (HANDLERS, on.NodeLost, _gives_up)),
    "lease by wall clock": _mutant("P3 P12 P6", (Scheduler, "now_ns", _wall_clock), (service, "SLEPT_NS", _never)),
    "twin result overwrites": _mutant("P2", (attempts, "conclude", _twin_stays), *LENIENT),
    "late LOST overwrites": _mutant("P2 tables", (Node, "let_all_go", _stays_with_node), *LENIENT),
    "orphans run for ever": _mutant("P14 P8", (Tenure, "passed", _never_too_long)),
}
