"""The durable core against a model of its scheduler: links are lost, both sides die, and no job is lost for it."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lightwork.client.durable import DurableCore
from lightwork.client.keeping import NO_TAG, Tag
from lightwork.client.records import Record
from lightwork.model.states import JobState
from lightwork.wire.messages import (
    Accepted,
    Close,
    Computation,
    Earlier,
    Goodbye,
    JobOptions,
    Opened,
    RefusedJobs,
    Results,
)
from tests.client.durable_model import Model


class Under:
    def __init__(self, digest: str) -> None:
        self.computation = Computation(digest, "function", digest)
        self.options = JobOptions()


class Machine(RuleBasedStateMachine):
    """One session; its program is killed now and then, its scheduler too, and the link breaks all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.unders = [Under("one"), Under("two")]
        self.submitted: dict[int, tuple[bytes, str]] = {}  # by all lives: arguments, key
        self.labels: dict[int, bytes] = {}
        self.lost: set[int] = set()  # died with their client before they were accepted
        self.begin_life()

    def begin_life(self) -> None:
        self.core: DurableCore[Any] = DurableCore()
        self.jobs: dict[int, Record] = {}  # of this life, and recalled
        self.delivered: dict[int, int] = {}
        self.taken: set[int] = set()
        self.refused: set[int] = set()
        self.wire: deque[tuple[Any, bytes]] = deque()
        self.linked = False

    # --- links ---

    @precondition(lambda self: not self.linked)
    @rule()
    def connect(self) -> None:
        self.linked = True
        self.wire.clear()
        self.model.join(self.core.hello_incarnation)

    @precondition(lambda self: self.linked)
    @rule(arrived=st.integers(0, 5))
    def link_breaks(self, arrived: int) -> None:
        """Some of what was sent arrives all the same; of what comes, nothing."""
        self._arrive(arrived)
        self._break()

    def _break(self) -> None:
        self.linked = False
        self.wire.clear()
        self.model.leave()
        self.core.lost()

    @rule()
    def scheduler_dies(self) -> None:
        self.model.crash()
        if self.linked:
            self._break()

    @rule()
    def program_dies(self) -> None:
        for number in range(self.core.first, self.core.next):
            if number not in self.model.now.entries and number not in self.taken | self.refused:
                self.lost.add(number)
        if self.linked:
            self.model.leave()
        self.begin_life()

    # --- the program ---

    @precondition(lambda self: self.core.ready)
    @rule(count=st.integers(1, 4), which=st.integers(0, 1), kind=st.sampled_from(["", "", "key", "label", "apart"]))
    def submit(self, count: int, which: int, kind: str) -> None:
        for _ in range(count):
            number = self.core.next
            arguments = b"" if kind == "apart" else b"arguments %d of life %d" % (number, self.core.incarnation)
            tag = NO_TAG
            if kind == "key":
                tag = Tag(key=f"k{number}-{self.core.incarnation}", print=b"p")
            elif kind == "label":
                tag = Tag(label=b"l%d" % number)
            elif kind == "apart":
                tag = Tag(apart=1 << 20)
            job = Record(self.unders[which])
            self.core.add(job, self.unders[which], arguments, tag)
            assert job.number == number
            self.jobs[number] = job
            self.lost.discard(number)
            self.submitted[number] = arguments, tag.key
            self.labels[number] = tag.label

    @precondition(lambda self: self.linked)
    @rule(most=st.integers(1, 6))
    def send(self, most: int) -> None:
        outbox = self.core.outgoing()
        for _ in range(min(most, len(outbox))):
            self.wire.append(outbox.popleft())

    @precondition(lambda self: self.linked)
    @rule()
    def idle(self) -> None:
        outbox = self.core.outgoing()
        while (taken := self.core.taken_due(idle=True)) is not None:
            outbox.append((taken, b""))
        while outbox:
            self.wire.append(outbox.popleft())

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 1 << 16))
    def cancel(self, pick: int) -> None:
        job = self._pick(pick)
        messages = self.core.cancel([job])
        if self.linked and self.core.up:  # as the session does: behind all that was submitted
            outbox = self.core.outgoing()
            while outbox:
                self.wire.append(outbox.popleft())
            self.wire.extend((message, b"") for message in messages)

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 1 << 16), label=st.binary(min_size=1, max_size=2))
    def rename(self, pick: int, label: bytes) -> None:
        job = self._pick(pick)
        self.core.rename(job.number, label)
        self.labels[job.number] = label

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 1 << 16))
    def take(self, pick: int) -> None:
        job = self._pick(pick)
        if job.state >= JobState.FINISHED and job.news is not None:
            self.core.take(job)
            self.taken.add(job.number)

    @precondition(lambda self: self.core.ready and self.core.past)
    @rule(pick=st.integers(0, 1 << 16))
    def recall(self, pick: int) -> None:
        numbers = sorted(self.core.past)
        number = numbers[pick % len(numbers)]
        past = self.core.past[number]
        arguments, key = self.submitted[number]
        assert (past.arguments, past.key) == (arguments, key)
        job = Record(self.unders[0], number=number)
        self.core.recall(job)
        self.jobs[number] = job

    def _pick(self, pick: int) -> Record:
        numbers = sorted(self.jobs)
        return self.jobs[numbers[pick % len(numbers)]]

    # --- the scheduler ---

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 8))
    def arrive(self, count: int) -> None:
        self._arrive(count)

    def _arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.wire))):
            self.model.told(*self.wire.popleft())

    @rule()
    def written(self) -> None:
        self.model.written()

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        self.model.full = full

    @precondition(lambda self: any(not one.state for one in self.model.now.entries.values()))
    @rule(pick=st.integers(0, 1 << 16), count=st.integers(1, 5))
    def jobs_end(self, pick: int, count: int) -> None:
        open_jobs = [number for number, one in self.model.now.entries.items() if not one.state]
        self.model.end([open_jobs[(pick + i) % len(open_jobs)] for i in range(count)])

    @precondition(lambda self: self.linked and self.model.said)
    @rule(count=st.integers(1, 8))
    def hear(self, count: int) -> None:
        for _ in range(min(count, len(self.model.said))):
            self._hear(*self.model.said.pop(0))

    def _hear(self, message: Any, body: bytes) -> None:
        core = self.core
        match message:
            case Opened():
                core.opened(message)
            case Earlier():
                core.earlier(message, body)
            case Accepted():
                core.accepted(message)
            case RefusedJobs():
                self.refused.update(record.number for record in core.refused_jobs(message))
            case Results():
                for record in core.results(message, body):
                    self.delivered[record.number] = self.delivered.get(record.number, 0) + 1
                    assert record.raw == b"value %d" % record.number
            case Goodbye():
                pass

    # --- what holds ---

    @invariant()
    def sound(self) -> None:
        self.core.check()

    @invariant()
    def nothing_twice(self) -> None:
        assert all(count == 1 for count in self.delivered.values())
        assert all(count <= 1 for count in self.model.runs.values())

    @invariant()
    def accepted_is_on_disk(self) -> None:
        for number in range(self.core.first, self.core.upto):
            gone = number in self.taken | self.refused or number in self.model.disk.entries
            assert gone or self.jobs[number].state >= JobState.FINISHED or number in self._refusals_under_way()

    def _refusals_under_way(self) -> set[int]:
        return {n for message, _ in self.model.said if isinstance(message, RefusedJobs) for n in message.jobs}

    def teardown(self) -> None:
        """Faults stop: all that is there ends, is delivered, and its taking is known over there."""
        self.model.full = False
        for number in list(self.core.past):
            job = Record(self.unders[0], number=number)
            self.core.recall(job)
            self.jobs[number] = job
        for _ in range(6):
            self._turn()
        for number, job in self.jobs.items():
            assert job.state >= JobState.FINISHED, f"job {number} is lost"
            self.core.take(job)
        for _ in range(3):
            self._turn()
        left = [one for one in self.model.disk.entries.values() if not (one.key and one.taken)]
        assert not left, "what was taken is not kept"
        for number, one in self.model.disk.entries.items():
            assert (one.arguments, one.key) == self.submitted[number]
            if self.core.first <= number:
                assert one.label == self.labels[number], "a name is lost"
        assert self.core.keeping.waiting_bytes == 0
        assert not self.core.keeping.kept
        assert not self.core.heavy_bytes

    def _turn(self) -> None:
        if not self.linked:
            self.connect()
        self.model.written()
        while self.model.said:
            self._hear(*self.model.said.pop(0))
        for number in list(self.core.past):  # a life may begin only now
            job = Record(self.unders[0], number=number)
            self.core.recall(job)
            self.jobs[number] = job
        self.idle()
        self._arrive(1 << 30)
        self.model.end([number for number, one in self.model.now.entries.items() if not one.state])
        self.model.written()
        while self.model.said:
            self._hear(*self.model.said.pop(0))


def test_nothing_is_lost_and_nothing_comes_twice() -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=150, stateful_step_count=50, deadline=None))


def test_closing_is_repeated_until_it_was_heard() -> None:
    machine = Machine()
    machine.connect()
    machine.written()
    machine.hear(8)
    machine.submit(2, 0, "")
    machine.core.leave(Close(cancel=True))
    machine.send(6)
    machine.link_breaks(2)
    machine.connect()
    machine.written()
    machine.hear(8)
    machine.send(6)
    machine.arrive(8)
    assert machine.model.closed
