"""The client's core towards a durable scheduler: nothing that was submitted is lost, whatever becomes of links.

    add ──> groups ──outgoing──> open ──results──> ended ──take──> Taken(jobs)
              │                   │                                   ▲
              └──> kept ──accepted┘ (on disk over there)              │ a result that comes again after it was taken
            (repeated over each new link)                             │ is told as taken again
    earlier ──> past ──recall──> open        jobs of earlier lives of the program, until somebody asks for them

Who drives it (the session; a simulator) does this, in this order:

    core = DurableCore()
    dial with Hello(session=NAME, incarnation=core.hello_incarnation, lasting=...), on the first and each later link
    opened(Opened)           the scheduler's first word. On the first link it gives the numbering; on a later one, or if
                             the first was lost too early, what must be repeated is in the outbox when this returns
    earlier(Earlier, body)   jobs of earlier lives; when `ready`, all were told: only now `add` may be called
    add, cancel, recall, rename, leave, take     what the program does, at any time after that, with or without a link
    outgoing()               what is to be sent now; pop each message from the left once the link has it. Empty without
                             a link (`up`). `taken_due(idle=True)` gives a Taken, to be sent behind it
    accepted, refused_jobs, results, running, requeued, release      what the scheduler says, in order
    lost()                   the link is gone: what was in the outbox is not sent; then dial again
    gone(state, why)         the session is over for us (Refused "session"): everything open ends
    check()                  the invariants

Accepted is a promise: these jobs are on disk. So is a result. Nothing else is: whatever was told over a link that broke
may have been lost, or may have arrived, and is told again; over there repeats change nothing. That is why neither
`cancel` nor a `Taken` is remembered as sent, but a cancel until the job's end comes, a recall until the result comes,
and a taken job is told again when its result comes again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from lightwork.client.core import FINISHED, NUMBERS_MAX, QUEUED, RUNNING, ClientCore, Outgoing
from lightwork.client.keeping import NO_TAG, Keeping, Tag
from lightwork.client.past import Past, read
from lightwork.client.records import R, Under
from lightwork.model.errors import JobNotRun, ProtocolError
from lightwork.model.states import JobState
from lightwork.wire.messages import (
    Accepted,
    Cancel,
    Close,
    Computation,
    Define,
    Detach,
    Earlier,
    Message,
    Named,
    Opened,
    Recall,
    RefusedJobs,
    Running,
    Submit,
    Taken,
)

TAKEN_JOBS = 1024  # taken jobs after which the scheduler is told even if the line is busy


class DurableCore(ClientCore[R]):
    """All jobs of one session on a durable scheduler, in one life of the program. See above."""

    def __init__(self) -> None:
        super().__init__()
        self.incarnation = 0  # which life this is; 0: the scheduler has not said so yet
        self.first = 0  # number of the first job of this life
        self.up = False  # there is a link, and the scheduler's first word has come over it
        self.past: dict[int, Past] = {}
        self.upto = 0  # all jobs below are accepted
        self.keeping = Keeping()  # those that are not
        self._awaited = 0  # jobs of earlier lives that have not been told
        self.explicit: dict[str, Computation] = {}  # known without a job, until somebody takes it out
        self._cancelling: set[int] = set()
        self._recalls: list[int] = []  # to be sent
        self._recalled: set[int] = set()  # ended, and on their way
        self._names: dict[int, bytes] = {}  # to be sent
        self._named: dict[int, tuple[int, bytes]] = {}  # sent: before which job, and what
        self._fresh: set[int] = set()  # ended here, and user code has not seen it
        self._taken_jobs: deque[int] = deque()  # to be told
        self._told_past: set[int] = set()  # taken ones of earlier lives: nothing reminds us of them by itself
        self._last: Close | Detach | None = None  # once it was said

    # --- the session ---

    @property
    def ready(self) -> bool:
        """Whether the session is open and all earlier jobs are known."""
        return self.incarnation > 0 and self._awaited <= 0

    @property
    def hello_incarnation(self) -> int:
        """What the next Hello says: if the first link was lost too early, a new life begins once more."""
        return self.incarnation if self.ready else 0

    def opened(self, message: Opened) -> None:
        """The first word over a new link."""
        if self.ready:
            if message.incarnation != self.incarnation:
                raise ProtocolError(f"the session is in life {message.incarnation}, and this is {self.incarnation}")
            self.reconnected()
            return
        self.incarnation, self.first = message.incarnation, message.next_number
        self.next = self.upto = message.next_number
        self.past.clear()
        self._awaited = message.earlier
        self.up = True

    def earlier(self, message: Earlier, body: bytes) -> None:
        """Jobs of earlier lives."""
        self.past.update({past.number: past for past in read(message, body)})
        self._awaited -= len(message.jobs)

    def lost(self) -> None:
        """The link is gone."""
        self.up = False
        self.outbox = deque()  # another, for somebody may be sending from the old one

    def reconnected(self) -> None:
        """There is another link: all that the last one may have lost goes into the outbox."""
        self.outbox = deque()
        self.up = True
        self._seen = self._taken = self._taken_told = 0  # batches are counted by link
        self._untaken.clear()
        self._defined.clear()
        self._repeat_submits()
        super().outgoing()  # jobs that were never sent: a cancel may mean them
        for numbers in _slices(sorted(self._cancelling)):
            self.outbox.append((Cancel(numbers), b""))
        self._repeat_recalls()
        self._names = {**{number: label for number, (_, label) in self._named.items()}, **self._names}
        self._named.clear()
        self._put_rest()
        self._taken_jobs.extend(self._told_past)
        if self._last is not None:
            self.outbox.append((self._last, b""))

    def _repeat_submits(self) -> None:
        for computation in self.explicit.values():
            self._define(computation)
        for computation, submit, body in self.keeping.repeat(self.open.__contains__):
            self._define(computation)
            self.outbox.append((submit, body))

    def _define(self, computation: Computation) -> None:
        if computation.digest not in self._defined:
            self._defined.add(computation.digest)
            self.outbox.append((Define(computation), b""))

    def _repeat_recalls(self) -> None:
        """Jobs of earlier lives may have ended while there was no link: whoever has, tells it."""
        unended = [number for number in self.open if number < self.first]
        unended += [past.number for past in self.past.values() if past.state < FINISHED]
        self._recalls = sorted({*unended, *self._recalled})

    def leave(self, message: Close | Detach) -> None:
        """The last word. What was submitted goes first."""
        self._last = message
        if self.up:
            self.outgoing().append((message, b""))

    # --- submitting ---

    def add(self, record: R, under: Under, arguments: bytes, tag: Tag = NO_TAG) -> int:
        """A new job; how many now wait with it. `tag`: its key, label, print; arguments that are fetched."""
        self.keeping.tag(self.next, tag)
        count = super().add(record, under, arguments)
        self.keeping.added(record.number, len(arguments), tag.apart)
        if tag.apart:
            self.heavy[record.number] = tag.apart
            self.heavy_bytes += tag.apart
        return count

    def outgoing(self) -> deque[Outgoing]:
        """As in the base; nothing while there is no link."""
        if not self.up:
            return deque()
        super().outgoing()
        if self._recalls or self._names:
            self._put_rest()
        return self.outbox

    def _put_rest(self) -> None:
        for numbers in _slices(self._recalls):
            self.outbox.append((Recall(numbers), b""))
        self._recalls = []
        for numbers in _slices(list(self._names)):
            self.outbox.append((Named(numbers, [self._names[number] for number in numbers]), b""))
        self._named.update({number: (self.next, label) for number, label in self._names.items()})
        self._names = {}

    def _submit(self, under: Under, first: int, records: list[R]) -> Outgoing:
        message, body = super()._submit(under, first, records)
        assert isinstance(message, Submit)
        return self.keeping.keep(under.computation, message, body), body

    def define(self, computation: Computation) -> None:
        """The scheduler shall know this computation, over each link."""
        self.explicit[computation.digest] = computation
        if self.up:
            super().define(computation)

    def cancel(self, records: Iterable[R]) -> list[Cancel]:
        """As in the base; repeated until they have ended. Those that have ended in an earlier life have ended."""
        records = [one for one in records if one.number not in self.past and one.number not in self._recalled]
        messages = super().cancel(records)
        for message in messages:
            self._cancelling.update(message.jobs)
        return messages

    def rename(self, number: int, label: bytes) -> None:
        """What the user calls this job from now on."""
        if self.groups and number >= self.groups[0].first:
            self.keeping.rename(number, label)
        else:
            self._names[number] = label

    def recall(self, record: R) -> None:
        """Somebody asks for this job, which an earlier life submitted, or whose end this one has let go of."""
        number = record.number
        past = self.past.pop(number, None)
        self.open[number] = record
        if past is None or past.state >= FINISHED:
            self._recalls.append(number)
            self._recalled.add(number)
        else:
            record.state = past.state

    # --- news ---

    def accepted(self, message: Accepted) -> list[int]:
        """All jobs below are on disk; those among them whose large arguments need not be kept any longer."""
        upto = self.upto = max(self.upto, message.upto)
        if self._named:  # what was said before a job that is on disk is on disk as well
            self._named = {number: (at, label) for number, (at, label) in self._named.items() if at >= upto}
        return self.keeping.accepted(upto)

    def refused_jobs(self, message: RefusedJobs) -> list[R]:
        """These are not taken: they end here, and are never repeated."""
        records = [self.open.pop(number) for number in message.jobs if number in self.open]
        ended = self._end_here(records, JobState.FAILED, JobNotRun(message.error, hint=message.hint))
        self.keeping.forget(self.open.__contains__)
        return ended

    def unsendable(self, message: Message, trouble: BaseException) -> list[R]:
        """As in the base; what has no form in bytes is not repeated either."""
        if isinstance(message, Define):
            self.explicit.pop(message.computation.digest, None)
        ended = super().unsendable(message, trouble)
        self.keeping.forget(self.open.__contains__)
        return ended

    def _stranger(self, number: int, state: int) -> None:
        """An end that nobody waits for. If user code has it, the scheduler does not know that, or not for good."""
        past = self.past.get(number)
        if past is not None:
            past.state = state
        elif number not in self.held and number not in self._fresh:
            self._taken_jobs.append(number)

    def running(self, message: Running) -> list[R]:
        """As in the base."""
        self._told_of_past(message.jobs, RUNNING)
        return super().running(message)

    def requeued(self, numbers: Iterable[int]) -> None:
        """As in the base."""
        numbers = list(numbers)
        self._told_of_past(numbers, QUEUED)
        super().requeued(numbers)

    def _told_of_past(self, numbers: Iterable[int], state: int) -> None:
        for number in numbers if self.past else ():
            past = self.past.get(number)
            if past is not None and past.state < FINISHED:
                past.state = state

    def gone(self, state: JobState, trouble: BaseException) -> list[R]:
        """As in the base."""
        ended = super().gone(state, trouble)
        self.up = False
        self.keeping = Keeping()
        for left in (self._cancelling, self._recalls, self._recalled, self._names, self._named):
            left.clear()
        return ended

    def _count(self, ended: list[R], states: list[int]) -> None:
        super()._count(ended, states)
        self._fresh.update([record.number for record in ended if record.news is not None and record.index >= 0])
        if self._cancelling or self._recalled:
            numbers = [record.number for record in ended]
            self._cancelling.difference_update(numbers)
            self._recalled.difference_update(numbers)

    # --- taken ---

    def take(self, record: R) -> bool:
        """As in the base; besides, jobs are named."""
        if record.state >= FINISHED and record.news is not None and record.index >= 0:
            self._fresh.discard(record.number)
            self._taken_jobs.append(record.number)
            if record.number < self.first:
                self._told_past.add(record.number)
        return super().take(record)

    def due(self) -> bool:
        """Whether something should be told now."""
        urgent = self._recalls or self._names or len(self._taken_jobs) >= TAKEN_JOBS
        return self.up and (bool(urgent) or super().due())

    def taken_due(self, *, idle: bool) -> Taken | None:
        """As in the base, with the jobs."""
        if not self.up:
            return None
        jobs = self._taken_jobs
        wanted = super().due() or len(jobs) >= TAKEN_JOBS or (idle and (jobs or self._taken > self._taken_told))
        if not wanted:
            return None
        self._taken_told = self._taken
        taken = self._make_taken()
        taken.jobs = [jobs.popleft() for _ in range(min(len(jobs), NUMBERS_MAX))]
        return taken

    # --- what it tells ---

    def left_behind(self) -> tuple[int, int]:
        """Jobs of earlier lives that nobody has asked for."""
        ended = sum(past.state >= FINISHED for past in self.past.values())
        return len(self.past) - ended, ended

    def check(self) -> None:
        """What must always hold."""
        unsent = [record.number for group in self.groups for record in group.records]
        kept = {number for one in self.keeping.kept for number in one.numbers}
        assert unsent == sorted(unsent), "jobs are sent in order"
        assert not unsent or unsent[-1] == self.next - 1, "what is not sent is the end of all"
        assert not kept.intersection(unsent), "what is not sent is not kept"
        for number in self.open:
            assert number < self.upto or number in kept, f"job {number} is neither accepted nor kept"
        assert not self._fresh.intersection(self.open), "ended and open"
        assert not self.past.keys() & self.open.keys(), "asked for, and yet past"
        assert not self.keeping.tags.keys() - set(unsent), "tags of jobs that are sent"
        assert self.up or not self.outbox, "nothing goes out without a link"
        assert self._recalled <= self.open.keys() | self.held.keys(), "recalled, and not awaited"


def _slices(numbers: list[int]) -> list[list[int]]:
    return [numbers[at : at + NUMBERS_MAX] for at in range(0, len(numbers), NUMBERS_MAX)]
