"""Which jobs there are: a list of rows, the oldest first, from the tables of live jobs and the ledger of ended ones.

asked for          walked                            known without a walk
running            what nodes have                   how many
queued             the session's jobs                how many
ended (any)        the ledger's entries              how many, unless only some ends are asked for
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from itertools import islice

from lightwork.config import limits
from lightwork.model.states import TERMINAL, JobState
from lightwork.scheduler.core.accounts import Account, Entry
from lightwork.scheduler.core.jobs import Group, Job
from lightwork.scheduler.core.retries import why_it_waits
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.state import State
from lightwork.scheduler.core.views import SLICE, Slow, running, why
from lightwork.wire import outcome
from lightwork.wire.messages import AskJobs, Jobs, JobStatus

ALL = frozenset(JobState)
TEXT_MAX = 200
ROWS_SLICE = 256  # made in one go
ROW_BYTES = 60  # of a row, beside its texts
FAR = "runs far longer than others of its kind"
EXPLAINED = 20  # groups of waiting jobs, in one list


def jobs(state: State, question: AskJobs, now_ns: int) -> Slow[Jobs]:
    """The answer, as it is at this time (monotonic). Of all sessions, the oldest comes first."""
    if question.session and question.session not in state.sessions:
        return Jobs(question.number, [], 0, f"there is no session {question.session!r}")
    run = yield from running(state)
    listing = _Listing(state, question, run, now_ns)
    for name in [question.session] if question.session else list(state.sessions):
        yield from listing.add(name)
    return Jobs(question.number, listing.rows, -1 if question.first > 0 else listing.total)


class _Listing:
    """Rows, until there are enough, and how many there would be."""

    def __init__(self, state: State, question: AskJobs, run: dict[str, set[int]], now_ns: int) -> None:
        self.rows: list[JobStatus] = []
        self.total = 0
        self._state = state
        self._wanted = ALL & set(question.states[: len(ALL)]) if question.states else ALL
        self._first = question.first
        self._room = max(0, min(question.limit, limits.WATCHED_JOBS_MAX))
        self._bytes = limits.WATCHED_BYTES_MAX
        self._run = run
        self._now_ns = now_ns
        self._reasons: dict[Group, str] = {}

    def add(self, name: str) -> Slow[None]:
        """The jobs of one more session."""
        session = self._state.sessions.get(name)
        if session is None:  # it has just ended
            return
        account = self._state.ledger.sessions.get(name) if self._state.ledger is not None else None
        known = self._count(session, account)
        self.total += known or 0
        if known is not None and not (known and self._room):
            return
        for numbers in _walk(self._numbers(session, account), max(0, self._first)):
            for number in numbers:
                if self._is_wanted(session, account, number):
                    self.total += known is None
                    if self._room and self._take(session, account, number):
                        yield
            if known is not None and not self._room:
                return
            yield

    def _count(self, session: Session, account: Account | None) -> int | None:
        """How many jobs of this session are wanted; None: that must be counted."""
        ended = self._wanted & TERMINAL
        if ended and ended != TERMINAL and account is not None:
            return None
        run = len(self._run.get(session.name, ()))
        count = len(account.entries) - account.unended if ended and account is not None else 0
        count += run if JobState.RUNNING in self._wanted else 0
        return count + (max(0, len(session.jobs) - run) if JobState.QUEUED in self._wanted else 0)

    def _numbers(self, session: Session, account: Account | None) -> Collection[int]:
        """Where to look, in order."""
        if self._wanted & TERMINAL and account is not None:
            return account.entries
        if self._wanted == {JobState.RUNNING}:
            return sorted(self._run.get(session.name, ()))
        return session.jobs

    def _is_wanted(self, session: Session, account: Account | None, number: int) -> bool:
        job = session.jobs.get(number)
        if job is not None:
            return job.state in self._wanted
        entry = account.entries.get(number) if account is not None else None
        return entry is not None and entry.end is not None and entry.end.state in self._wanted

    def _take(self, session: Session, account: Account | None, number: int) -> bool:
        """One more row; whether that was enough in one go."""
        job, entry = session.jobs.get(number), account.entries.get(number) if account is not None else None
        row = self._live(session, job, entry) if job is not None else self._ended(session, entry)
        size = ROW_BYTES + 4 * sum(map(len, (row.session, row.computation, row.node, row.key, row.text)))
        if size <= self._bytes or not self.rows:
            self.rows.append(row)
            self._room -= 1
            self._bytes -= size
        else:  # the message is full
            self._room = 0
        return len(self.rows) % ROWS_SLICE == 0

    def _live(self, session: Session, job: Job, entry: Entry | None) -> JobStatus:
        state, started = self._state, job.state is JobState.RUNNING and job.started_ns
        row = JobStatus(session.name, job.number, job.state, _name(session, job.group.computation), job.node)
        row.attempts, row.key = job.attempts, entry.key if entry is not None else ""
        if started:
            row.start_ns, row.duration_ns = job.started_ns + state.wall_ns, max(0, self._now_ns - job.started_ns)
        row.text = "is being cancelled" if job.cancelled else self._note(session, job)
        return row

    def _note(self, session: Session, job: Job) -> str:
        if job.state is JobState.RUNNING:
            twin = f"a second attempt is on node {job.twin.node}" if job.twin is not None else ""
            return "; ".join(filter(None, (FAR if job.extra is not None and job.extra.far else "", twin)))
        if job.node:
            return f"handed to node {job.node}, not started yet"
        return why_it_waits(self._state, job)[:TEXT_MAX] or self._reason(session, job.group)

    def _reason(self, session: Session, group: Group) -> str:
        found = self._reasons.get(group)
        if found is None:
            enough = len(self._reasons) >= EXPLAINED
            found = self._reasons[group] = "" if enough else why(self._state, session, group)[:TEXT_MAX]
        return found

    def _ended(self, session: Session, entry: Entry | None) -> JobStatus:
        end = entry.end if entry is not None else None
        assert entry is not None
        assert end is not None
        row = JobStatus(session.name, entry.number, end.state, _name(session, entry.computation), end.node)
        row.start_ns, row.duration_ns, row.attempts, row.key = end.start_ns, end.duration_ns, end.attempts, entry.key
        row.text = how_it_ended(end.state, end.status, end.outcome)
        return row


def _walk(numbers: Collection[int], first: int) -> Iterator[list[int]]:
    """All from `first` on, in pieces. Numbers grow, and `numbers` may change between two pieces."""
    at = first
    if not first:
        head = list(islice(numbers, SLICE))
        yield head
        if len(head) < SLICE:
            return
        at = head[-1] + 1
    rest = list(numbers)  # the one thing that is done to all of them at once: some milliseconds for a million
    for index in range(bisect_left(rest, at), len(rest), SLICE):
        yield rest[index : index + SLICE]


def _name(session: Session, computation: str) -> str:
    record = session.computations.get(computation)
    return record.computation.name if record is not None else ""


def how_it_ended(state: int, status: int, body: bytes) -> str:
    """The first line of what is said of an end, "" if all went well."""
    if state == JobState.FINISHED or not status & outcome.ENVELOPE:
        return ""
    try:
        failure = outcome.decode_failure(body)
    except ValueError:  # a node sent it so; who takes the result is told
        return ""
    kind, message = (failure.get(key, b"").decode("utf-8", "replace") for key in ("type", "message"))
    raised = status & outcome.KIND_MASK == outcome.RAISED
    text = ": ".join(filter(None, (kind, message))) if raised else message or kind
    return text.strip().partition("\n")[0][:TEXT_MAX]
