"""What the client knows of its jobs, and what it decides from that. No I/O, no threads, no clock.

    add ──> groups ──outgoing──> open ──results──> ended ──take──> Taken(sequence)
            (not sent)           │   ▲               ▲
                        running, │   │ requeued      │ release
                        provisional  │              held (ended there, its files are still coming)

Identity is a number, counted up over the session's whole life. Whatever is repeated (a submit after a broken link, a
batch of results that was sent but not acknowledged) is recognised by number or sequence and changes nothing.

Every step commits with one assignment or one call into C, so that an exception thrown into the program between any two
steps (Ctrl-C) leaves either the state before or one that is repaired by repeating. Callers hold one lock around each
method; records are read without it, so a record's state is set last.

Here a lost line is the end of all. `durable.DurableCore` is the same towards a scheduler that outlives links.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic

from lightwork.client.records import Group, News, R, Record, Under
from lightwork.config.limits import SUBMIT_JOBS_MAX
from lightwork.model.errors import JobLost, ProtocolError
from lightwork.model.states import JobState
from lightwork.wire.messages import Cancel, Computation, Define, Message, Place, Results, Running, Submit, Taken

SUBMIT_BYTES_MAX = 4 << 20  # of arguments in one message, unless one job alone has more
NUMBERS_MAX = 64 << 10  # of jobs, regions or attempts in one message
TAKEN_EVERY = 16  # batches after which the scheduler is told even if the line is busy
HEAVY = 4096  # arguments of so many bytes are counted against what may be open at once

QUEUED, RUNNING, FINISHED = int(JobState.QUEUED), int(JobState.RUNNING), int(JobState.FINISHED)

Outgoing = tuple[Message, bytes]


class ClientCore(Generic[R]):
    """All jobs of one session, by number."""

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self.groups: list[Group[R]] = []
        self.outbox: deque[Outgoing] = deque()
        self.open: dict[int, R] = {}
        self.held: dict[int, tuple[R, int]] = {}
        self.ended = 0  # how many
        self.failed = 0  # ended in another way than FINISHED
        self.first_failed: R | None = None
        self.heavy: dict[int, int] = {}  # bytes of large arguments, by number
        self.heavy_bytes = 0
        self._tail: Group[R] | None = None
        self._defined: set[str] = set()
        self._seen = 0  # sequence of the last batch of results
        self._untaken: deque[News] = deque()
        self._taken = 0
        self._taken_told = 0
        self._freed: deque[int] = deque()  # regions of the node's arena
        self._fetched: deque[int] = deque()  # attempts whose files are all here

    # --- submitting ---

    def add(self, record: R, under: Under, arguments: bytes) -> int:
        """A new job; how many now wait with it. It is there as soon as its group's list has it."""
        number = self.next
        group = self._tail
        if group is None or group.under is not under or group.first + len(group.records) != number:
            group = self._new_group(under, number)
        record.number = number
        record.raw = arguments
        self.next = number + 1
        group.records.append(record)
        if len(arguments) >= HEAVY:
            self.heavy[number] = len(arguments)
            self.heavy_bytes += len(arguments)
        return len(group.records)

    def _new_group(self, under: Under, number: int) -> Group[R]:
        group: Group[R] = Group(under, number)
        self.groups.append(group)
        self._tail = group
        return group

    def unsent(self) -> int:
        """How many jobs wait to be sent."""
        return sum(len(group.records) for group in self.groups)

    def unfinished(self) -> int:
        """How many jobs have not ended for their user."""
        return self.unsent() + len(self.open) + len(self.held)

    def left_behind(self) -> tuple[int, int]:
        """Jobs that nobody here has asked for: how many have not ended, and how many have."""
        return 0, 0

    def outgoing(self) -> deque[Outgoing]:
        """What is to be sent, in order; take each message away once it is on its way. Unsent jobs are open from now on.

        The messages are in the outbox before the groups are let go: in between, they might come twice, but never not.
        """
        if not self.groups:
            return self.outbox
        messages: list[Outgoing] = []
        defined: set[str] = set()
        for group in self.groups:
            computation = group.under.computation
            if computation.digest not in self._defined and computation.digest not in defined:
                defined.add(computation.digest)
                messages.append((Define(computation), b""))
            messages += [self._submit(group.under, first, records) for first, records in self._slices(group)]
        self.outbox.extend(messages)
        for group in self.groups:
            self.open.update(zip([record.number for record in group.records], group.records, strict=True))
        self._defined |= defined
        groups, self.groups, self._tail = self.groups, [], None
        for group in groups:
            for record in group.records:
                record.raw = None
        return self.outbox

    @staticmethod
    def _slices(group: Group[R]) -> Iterator[tuple[int, list[R]]]:
        records = group.records
        if len(records) <= SUBMIT_JOBS_MAX and sum(map(_size, records)) <= SUBMIT_BYTES_MAX:
            yield group.first, records
            return
        begin = size = 0
        for at, record in enumerate(records):
            length = _size(record)
            if at > begin and (at - begin == SUBMIT_JOBS_MAX or size + length > SUBMIT_BYTES_MAX):
                yield group.first + begin, records[begin:at]
                begin, size = at, 0
            size += length
        yield group.first + begin, records[begin:]

    def _submit(self, under: Under, first: int, records: list[R]) -> Outgoing:
        payloads: list[bytes] = [record.raw for record in records]  # type: ignore[misc]
        places = []
        for index, record in enumerate(records):
            if record.extra is not None and record.extra.place is not None:
                place = record.extra.place
                places.append(Place(index, place.offset, place.size))
        message = Submit(under.computation.digest, first, list(map(len, payloads)), under.options, places)
        return message, payloads[0] if len(payloads) == 1 else b"".join(payloads)

    def define(self, computation: Computation) -> None:
        """The scheduler shall know this computation, though no job of it may have been submitted yet."""
        if computation.digest not in self._defined:
            self.outbox.append((Define(computation), b""))
            self._defined.add(computation.digest)

    def cancel(self, records: Iterable[R]) -> list[Cancel]:
        """Of these, what has not ended. Jobs not sent yet must be sent before these messages are."""
        numbers = [record.number for record in records if record.state < FINISHED]
        return [Cancel(numbers[at : at + NUMBERS_MAX]) for at in range(0, len(numbers), NUMBERS_MAX)]

    def unsendable(self, message: Message, trouble: BaseException) -> list[R]:
        """The first message of the outbox has no form in bytes: the jobs that need it end here, and go no further."""
        needing, rest = [message], list(self.outbox)
        if isinstance(message, Define):
            digest = message.computation.digest
            self._defined.discard(digest)
            needing = [sent for sent, _ in rest if _is_under(digest, sent)]
            self.outbox.clear()  # the same object, for it is being sent from
            self.outbox.extend(item for item in rest if not _is_under(digest, item[0]))
        records: list[R] = []
        for submit in needing:
            if isinstance(submit, Submit):
                numbers = range(submit.first, submit.first + len(submit.lengths))
                records += [self.open[number] for number in numbers if number in self.open]
        ended = self._end_here(records, JobState.FAILED, trouble)
        for record in records:
            del self.open[record.number]
        return ended

    # --- news ---

    def results(self, message: Results, body: bytes) -> list[R]:
        """Jobs that ended; those whose files are still coming are held back. A repeated batch changes nothing."""
        if message.sequence <= self._seen:
            return []
        if sum(message.lengths) != len(body):
            raise ProtocolError(f"results of {sum(message.lengths)} bytes came with {len(body)}")
        news = News(message)
        news.plain = not any(message.statuses)
        ended: list[R] = []
        find = self.open.pop
        at = 0
        columns = zip(message.jobs, message.states, message.lengths, strict=True)
        for index, (number, state, length) in enumerate(columns):
            record = find(number, None)
            if record is not None:
                record.raw = body[at : at + length]
                record.news = news
                record.index = index
                if record.extra is not None and record.extra.files_left:
                    self.held[number] = record, state
                else:
                    record.state = state
                    ended.append(record)
                news.left += 1
            else:
                self._stranger(number, state)
            at += length
        self._seen = message.sequence
        self._untaken.append(news)
        self._count(ended, message.states)
        if not news.left:
            self._advance()
        return ended

    def _stranger(self, number: int, state: int) -> None:
        """An end that nobody waits for: of a job that has ended already, or was never ours."""

    def _count(self, ended: list[R], states: list[int]) -> None:
        self.ended += len(ended)
        if self.heavy:
            for record in ended:
                self.heavy_bytes -= self.heavy.pop(record.number, 0)
        if states and max(states) > FINISHED:
            for record in ended:
                if record.state > FINISHED and record.state != JobState.CANCELLED:
                    self.failed += 1
                    self.first_failed = self.first_failed or record

    def release(self, record: R) -> bool:
        """The files of a held job are here, or never will be: then `trouble` says why."""
        _, state = self.held.pop(record.number, (record, -1))
        if state < 0:
            return False
        trouble = record.extra.trouble if record.extra is not None else None
        if trouble is not None and state == FINISHED:
            state = int(JobState.LOST if isinstance(trouble, JobLost) else JobState.FAILED)
        record.state = state
        self._count([record], [record.state])
        return True

    def running(self, message: Running) -> list[R]:
        """Jobs that have started."""
        news = News(message)
        started = []
        for index, number in enumerate(message.jobs):
            record = self.open.get(number)
            if record is not None and record.state == QUEUED:
                record.news, record.index = news, index
                record.state = RUNNING
                started.append(record)
        return started

    def requeued(self, numbers: Iterable[int]) -> None:
        """Jobs that wait again; what they sent before is void."""
        for number in numbers:
            record = self.open.get(number)
            if record is not None:
                record.news = None
                record.state = QUEUED
                if record.extra is not None:
                    record.extra.void()

    def gone(self, state: JobState, trouble: BaseException) -> list[R]:
        """No more news will come: everything unfinished ends in `state`, because of `trouble`.

        States first: who finds nothing unfinished any more finds everything ended.
        """
        records = [record for group in self.groups for record in group.records]
        records += self.open.values()
        records += [record for record, _ in self.held.values()]
        ended = self._end_here(records, state, trouble)
        self.groups, self._tail = [], None
        self.outbox = deque()  # another, for somebody may be sending from the old one
        self.open.clear()
        self.held.clear()
        return ended

    def _end_here(self, records: list[R], state: JobState, trouble: BaseException) -> list[R]:
        ended = [record for record in records if record.state < FINISHED]
        for record in ended:
            record.more().trouble = trouble
            record.raw = b""
            record.news = None
            record.index = -1
            record.state = int(state)
        self._count(ended, [int(state)])
        return ended

    # --- taken ---

    def take(self, record: R) -> bool:
        """User code has this result; whether there is more to tell the scheduler than before."""
        news = record.news
        if record.state < FINISHED or news is None or record.index < 0:
            return False
        record.index = ~record.index
        news.left -= 1
        if not news.left:
            self._advance()
        return not news.left

    def free(self, offset: int) -> None:
        """A region of the node's arena is no longer looked at. Needs no lock: finalizers call it."""
        self._freed.append(offset)

    def fetched(self, token: int) -> None:
        """The node need not keep the files of this attempt any longer."""
        self._fetched.append(token)

    def _advance(self) -> None:
        untaken = self._untaken
        while untaken and not untaken[0].left:
            message = untaken.popleft().message
            assert isinstance(message, Results)
            self._taken = message.sequence

    def due(self) -> bool:
        """Whether the scheduler should hear now of what was taken: it holds memory or files for us, or many batches."""
        return bool(self._freed or self._fetched) or self._taken - self._taken_told >= TAKEN_EVERY

    def taken_due(self, *, idle: bool) -> Taken | None:
        """What to tell the scheduler, if it is worth a message now."""
        if not self.due() and not (idle and self._taken > self._taken_told):
            return None
        self._taken_told = self._taken
        return self._make_taken()

    def _make_taken(self) -> Taken:
        return Taken(self._taken, _drain(self._freed), _drain(self._fetched))


def _size(record: Record) -> int:
    return len(record.raw)  # type: ignore[arg-type]


def _is_under(digest: str, message: Message) -> bool:
    return isinstance(message, Submit) and message.computation == digest


def _drain(numbers: deque[int]) -> list[int]:
    """All there is, up to what one message can hold; what is appended meanwhile stays for the next time."""
    return [numbers.popleft() for _ in range(min(len(numbers), NUMBERS_MAX))]
