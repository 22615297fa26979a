"""What is promised to many users, beside what is promised to one (oracle.py).

    P20   no job of another session that came after an exclusive one is handed out before that is over; and it is alone
    P21   a job runs the computation that it was submitted with
    P22   no job that was submitted after an update starts on a node that has not got this version, or a later one
    P23   a drained or removed machine is given nothing

Who came first is read from what the scheduler writes down, in that order, and not from its tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightwork.node.core.computations import Stage
from lightwork.scheduler.core import commands as do, events as on, facts as fact
from lightwork.scheduler.core.host_rules import ADD, DRAIN, REMOVE, RESUME
from lightwork.wire import messages as say
from tests.simulation.known import Try, Uid
from tests.simulation.oracle import Oracle

if TYPE_CHECKING:
    from tests.simulation.crowd import CrowdedWorld
    from tests.simulation.crowd_client import CrowdClient
    from tests.simulation.machine import Machine
    from tests.simulation.scheduler import Scheduler

# Its files are there (setup runs again when a template has died), or it cannot be had: then it is not waited for.
GOT = (Stage.READY, Stage.SETTING_UP, Stage.FAILED)


class Book:
    """In which order things came, and what was said of machines: of one life of the scheduler, or on disk."""

    def __init__(self) -> None:
        self.count = 0
        self.order: dict[Uid, int] = {}
        self.opened: dict[str, int] = {}  # exclusive sessions: how many jobs had come before
        self.since: dict[str, int] = {}  # the same, as the scheduler counts
        self.away: dict[str, str] = {}  # machines that are not to be used
        self.updates: dict[str, dict[int, tuple[str, str]]] = {}  # of a session, by epoch: which took whose place

    def copy(self) -> Book:
        """What the next life knows."""
        other = Book()
        other.count, other.order = self.count, dict(self.order)
        other.opened, other.since, other.away = dict(self.opened), dict(self.since), dict(self.away)
        other.updates = {session: dict(updates) for session, updates in self.updates.items()}
        return other

    def note(self, one: fact.Fact) -> None:
        """A fact."""
        if isinstance(one, fact.Submitted):
            for number in one.numbers:
                self.count += 1
                self.order.setdefault((one.session, number), self.count)
        elif isinstance(one, fact.TermsSet):
            if not (one.exclusive and one.since):
                self.over(one.session)
            elif self.since.get(one.session, -1) != one.since:
                self.over(one.session)
                self.opened[one.session], self.since[one.session] = self.count, one.since
        elif isinstance(one, fact.Updated):
            self.updates.setdefault(one.session, {})[one.epoch] = one.old, one.computation
        elif isinstance(one, fact.SessionEnded):
            self.over(one.session)
            self.updates.pop(one.session, None)
            for uid in [uid for uid in self.order if uid[0] == one.session]:
                del self.order[uid]
        elif isinstance(one, fact.HostsSaid):
            self._said(one)

    def versions(self, session: str, epoch: int) -> list[list[str]]:
        """What a job of this epoch wants of a node: one of each of these."""
        rows: dict[str, list[tuple[int, str]]] = {}  # versions of one thing, by the last of them
        for at, (old, digest) in sorted(self.updates.get(session, {}).items()):
            rows[digest] = [*rows.pop(old, []), (at, digest)]
        wanted = []
        for row in rows.values():
            known = [at for at, _ in row if at <= epoch]
            if known:
                wanted.append([digest for at, digest in row if at >= known[-1]])
        return wanted

    def over(self, session: str) -> None:
        """It wants nothing for itself any more."""
        self.opened.pop(session, None)
        self.since.pop(session, None)

    def _said(self, one: fact.HostsSaid) -> None:
        for word in one.hosts:
            host = word.rstrip("*")
            before = self.away.get(host, "")
            if one.action in (DRAIN, REMOVE):
                self.away[host] = before + one.action[0]
            elif one.action in (RESUME, ADD):
                left = before.replace("d" if one.action == RESUME else "r", "")
                self.away[host] = left


class CrowdOracle(Oracle):
    """Of one world."""

    world: CrowdedWorld

    def __init__(self, world: CrowdedWorld) -> None:
        self.book = Book()  # on disk
        self.books: dict[str, Book] = {}  # by life of the scheduler
        self.under: dict[Uid, tuple[str, int]] = {}  # which computation, and after which update
        super().__init__(world)

    # --- what programs do ---

    def submits_under(self, session: str, number: int, digest: str, epoch: int) -> None:
        """A program has submitted a job."""
        self.under[session, number] = digest, epoch

    def updated(self, client: CrowdClient, answer: say.Answer) -> None:
        """A program reads that its update holds."""
        self.must(not answer.error, "P21", f"{client.name} cannot update: {answer.error}")
        account = self.world.disk_ledger().sessions.get(client.session)
        kept = account.steps.epoch if account is not None else 0
        known = kept >= answer.total or client.alias in self.over
        self.must(known, "P21", f"{client.name} is in epoch {answer.total}, and {kept} is on disk")

    # --- what the scheduler does ---

    def on_disk(self, one: fact.Fact) -> None:
        """As in the base."""
        super().on_disk(one)
        self.book.note(one)

    def _book(self, scheduler: Scheduler) -> Book:
        book = self.books.get(scheduler.name)
        if book is None:
            book = self.books[scheduler.name] = self.book.copy()
        return book

    def records(self, scheduler: Scheduler, one: fact.Fact) -> None:
        """As in the base."""
        super().records(scheduler, one)
        if scheduler is self.world.scheduler:
            self._book(scheduler).note(one)

    def after_feed(self, scheduler: Scheduler, events: list[on.Event]) -> None:
        """As in the base."""
        super().after_feed(scheduler, events)
        if scheduler is not self.world.scheduler:
            return
        book, state = self._book(scheduler), scheduler.core.state
        for name in list(book.opened):
            session = state.sessions.get(scheduler.openings.session(name))
            away = session is not None and not session.attached and not state.restoring
            if session is None or (not session.jobs and (session.closing or away)):
                book.over(name)

    def decides(self, scheduler: Scheduler, command: Any) -> None:
        """As in the base."""
        super().decides(scheduler, command)
        if scheduler is self.world.scheduler and isinstance(command, do.Assign):
            book = self._book(scheduler)
            away = book.away.get(command.node, "")
            self.must(not away, "P23", f"{command.node} is given jobs, and is not to be used ({away})")
            for number in command.numbers:
                self._in_turn(scheduler, book, (command.session, number))
                digest, _ = self.under.get((command.session, number), (command.computation, 0))
                self.must(
                    digest == command.computation,
                    "P21",
                    f"job {command.session, number} of {digest} is to run {command.computation}",
                )

    def _in_turn(self, scheduler: Scheduler, book: Book, uid: Uid) -> None:
        if not book.opened:
            return
        first = min(book.opened, key=lambda name: book.opened[name])
        since, own = book.opened[first], book.order.get(uid, 0)
        if uid[0] != first:
            self.must(own <= since, "P20", f"job {uid} goes to a node, and came after {first}, which wants all")
            return
        for other, order in book.order.items():
            if other[0] != first and order <= since:
                open_ = scheduler.job_of(other) is not None and other not in scheduler.recorded
                self.must(not open_, "P20", f"job {uid} of {first}, which wants all, goes to a node before {other}")

    def _lost(self, scheduler: Scheduler, uid: Uid, job: int, tries: list[Try]) -> None:
        pinned = self.world.jobs[job].options.node
        if "r" not in self._book(scheduler).away.get(pinned, ""):
            super()._lost(scheduler, uid, job, tries)

    # --- what happens on nodes ---

    def starts(self, machine: Machine, token: int, job: int) -> None:
        """As in the base."""
        super().starts(machine, token, job)
        uid = self.by_token[token].uid
        _, epoch = self.under.get(uid, ("", 0))
        if not epoch or machine.station is None:
            return
        computations = machine.station.agent.core.computations
        for digests in self.book.versions(uid[0], epoch):
            found = [computations.get(self.by_token[token].there, digest) for digest in digests]
            got = any(one is not None and one.stage in GOT for one in found)
            self.must(got, "P22", f"job {uid} of epoch {epoch} starts on {machine.name}, without any of {digests}")
