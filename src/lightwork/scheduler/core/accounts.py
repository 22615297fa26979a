"""What the ledger has of one session: its jobs, how they ended, and the facts that say all this again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from lightwork.config.limits import COMMAND_BYTES_MAX, COMMAND_JOBS_MAX
from lightwork.scheduler.core import facts as fact
from lightwork.scheduler.core.updates import Steps
from lightwork.wire.messages import Attempt, Computation, File, JobOptions, Wanted


class Grant(Struct, frozen=True, gc=False):
    """Where a job that must not start twice may have started."""

    node: str
    era: str
    token: int


class End(Struct, gc=False):
    """How a job ended, until its session no longer needs to know."""

    node: str
    state: int
    status: int
    start_ns: int
    duration_ns: int
    attempts: int
    outcome: bytes
    files: tuple[File, ...] = ()
    life: int = 0  # of the client that may have been told; 0: none yet
    taken: bool = False


class Entry(Struct, gc=False):
    """A job."""

    number: int
    computation: str
    options: JobOptions
    payload: bytes
    stored: File | None = None
    key: str = ""
    id: bytes = b""
    print: bytes = b""
    cancelled: bool = False
    grant: Grant | None = None
    end: End | None = None
    spent: tuple[tuple[Attempt, bool, bool], ...] = ()  # attempt, blame, retry
    told: tuple[int, ...] = ()  # the token of each of these, if its node has told its end; else 0
    epoch: int = 0  # of its session, when it was submitted
    ordinal: int = 0  # among all jobs
    lost: tuple[int, ...] = ()  # the token of each, if its node has not, and may have it; else 0

    def files(self) -> tuple[File, ...]:
        """All blobs that it needs."""
        stored = (self.stored,) if self.stored is not None else ()
        return (*self.options.files, *stored, *(self.end.files if self.end is not None else ()))

    @property
    def deaths(self) -> int:
        """How many workers it has killed."""
        return sum(blame for _, blame, _ in self.spent)

    @property
    def retried(self) -> int:
        """How often it was tried again after a failure of its own."""
        return sum(retry for _, _, retry in self.spent)


class Account:
    """What is durable of one session."""

    __slots__ = (
        "allotted",
        "closing",
        "computations",
        "entries",
        "exclusive",
        "first",
        "host",
        "incarnation",
        "key",
        "keys",
        "lasting",
        "name",
        "next_number",
        "only",
        "refused",
        "since",
        "steps",
        "unended",
        "user",
        "weight",
        "wisher",
        "wishes",
    )

    def __init__(self, name: str) -> None:
        self.name = self.key = name
        self.incarnation = 0
        self.lasting = self.closing = False
        self.user = self.host = ""
        self.next_number = 0
        self.first = 0  # of the jobs of this life
        self.refused: list[tuple[int, int]] = []  # from, up to: jobs of this life that were not taken
        self.computations: dict[str, Computation] = {}
        self.wishes: list[Wanted] = []
        self.only = False
        self.wisher = 0  # which life of the client has these wishes
        self.allotted: dict[str, fact.Allotted] = {}  # by node
        self.entries: dict[int, Entry] = {}
        self.keys: dict[str, int] = {}
        self.unended = 0  # how many entries have no end
        self.steps = Steps()
        self.weight, self.exclusive, self.since = 1.0, False, 0

    def drop(self, entry: Entry) -> None:
        """Nobody asks for it any more."""
        del self.entries[entry.number]

    def files(self) -> Iterator[File]:
        """All blobs that it needs."""
        for computation in self.computations.values():
            yield from computation.files
        for one in self.allotted.values():
            yield from one.tailoring.files if one.tailoring is not None else ()
        for entry in self.entries.values():
            yield from entry.files()


def facts_of(account: Account) -> Iterator[fact.Fact]:
    """Facts that make an equal account."""
    name = account.name
    yield fact.SessionOpened(
        name, account.incarnation, account.lasting, account.user, account.host, account.first, account.key
    )
    if account.exclusive or account.weight != 1.0:
        yield fact.TermsSet(name, account.weight, account.exclusive, account.since)
    if account.wishes or account.wisher:
        yield fact.Wished(name, list(account.wishes), account.wisher, account.only)
    yield from account.allotted.values()
    for computation in account.computations.values():
        yield fact.Defined(name, computation)
    for digest, step in account.steps.latest.items():
        yield fact.Updated(name, step.old, digest, step.epoch, step.first)
    for entries in _alike(account.entries.values()):
        yield _submitted_of(name, entries)
    for first, upto in account.refused:
        yield fact.Skipped(name, upto, first)
    yield fact.Skipped(name, account.next_number)
    for entry in account.entries.values():
        for (attempt, blame, retry), told, lost in zip(entry.spent, entry.told, entry.lost, strict=True):
            yield fact.Spent(name, entry.number, attempt, blame, retry, told, lost)
        if entry.grant is not None:
            yield fact.Granted(name, entry.grant.node, entry.grant.era, [entry.number], [entry.grant.token])
    cancelled = [entry.number for entry in account.entries.values() if entry.cancelled]
    if cancelled:
        yield fact.CancelAsked(name, cancelled)
    ended = [entry for entry in account.entries.values() if entry.end is not None]
    for entries in _ended_together(ended):
        yield _ended_of(name, entries)
    taken = [entry.number for entry in ended if entry.end is not None and entry.end.taken]
    if taken:
        yield fact.Taken(name, taken)
    if account.closing:
        yield fact.Closing(name)


def _alike(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of jobs with one computation and one set of options, none too long for one fact."""
    run: list[Entry] = []
    size = 0
    for entry in entries:
        full = len(run) >= COMMAND_JOBS_MAX or size > COMMAND_BYTES_MAX
        if run and (full or _kind(run[0]) != _kind(entry)):
            yield run
            run, size = [], 0
        run.append(entry)
        size += len(entry.payload)
    if run:
        yield run


def _kind(entry: Entry) -> tuple[str, JobOptions, int]:
    return entry.computation, entry.options, entry.epoch


def _ended_together(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of jobs that ended on one node."""
    run: list[Entry] = []
    size = 0
    for entry in entries:
        assert entry.end is not None
        full = len(run) >= COMMAND_JOBS_MAX or size > COMMAND_BYTES_MAX
        if run and (full or run[0].end is None or run[0].end.node != entry.end.node):
            yield run
            run, size = [], 0
        run.append(entry)
        size += len(entry.end.outcome)
    if run:
        yield run


def _submitted_of(session: str, entries: list[Entry]) -> fact.Submitted:
    first = entries[0]
    return fact.Submitted(
        session,
        first.computation,
        first.options,
        [entry.number for entry in entries],
        [entry.payload for entry in entries],
        [entry.key for entry in entries] if any(entry.key for entry in entries) else [],
        [entry.id for entry in entries] if any(entry.id for entry in entries) else [],
        [entry.print for entry in entries] if any(entry.print for entry in entries) else [],
        [(index, entry.stored) for index, entry in enumerate(entries) if entry.stored is not None],
        first.epoch,
        _short([entry.ordinal for entry in entries]),
    )


def _short(ordinals: list[int]) -> list[int]:
    """The first, if each is one more than the one before."""
    return ordinals[:1] if ordinals[-1] - ordinals[0] == len(ordinals) - 1 else ordinals


def _ended_of(session: str, entries: list[Entry]) -> fact.Ended:
    ends = [entry.end for entry in entries if entry.end is not None]
    return fact.Ended(
        session,
        ends[0].node,
        [entry.number for entry in entries],
        [end.state for end in ends],
        [end.status for end in ends],
        [end.start_ns for end in ends],
        [end.duration_ns for end in ends],
        [end.attempts for end in ends],
        [len(end.outcome) for end in ends],
        b"".join(end.outcome for end in ends),
        [end.life for end in ends],
        [(index, list(end.files)) for index, end in enumerate(ends) if end.files],
    )
