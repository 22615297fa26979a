"""A user's program with its client: the real DurableCore, and who submits, takes, cancels, dies and runs again.

The program is the restartable script: run again, it submits everything with a key again, and asks for the jobs of its
earlier lives that have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightwork.client.durable import DurableCore
from lightwork.client.keeping import Tag
from lightwork.client.records import Record
from lightwork.model.errors import JobLost, LightworkError
from lightwork.model.states import JobState
from lightwork.wire import messages as say
from tests.simulation.clock import MS, SECOND, Process
from tests.simulation.links import Link
from tests.simulation.plan import COMPUTATIONS, Planned

if TYPE_CHECKING:
    from tests.simulation.world import World

FIRST_NS, MOST_NS = 100 * MS, 2 * SECOND  # back-off


class Under:
    """What jobs are submitted under."""

    __slots__ = ("computation", "options")

    def __init__(self, planned: Planned) -> None:
        self.computation = COMPUTATIONS[planned.computation]
        self.options = planned.options


class Client(Process):
    """One life of the program."""

    def __init__(self, world: World, host: str, session: str, life: int, lasting: bool) -> None:
        super().__init__(f"{host}.{life}", host)
        self.process = self
        self.world = world
        self.clock = world.clock
        self.session = session
        self.alias = world.reopening.openings.name(session)  # what those call it who judge
        self.life = life
        self.lasting = lasting
        self.core: DurableCore[Record] = DurableCore()
        self.link: Link | None = None
        self.sought = False  # the scheduler knows where nodes are
        self.began = False  # the program may submit
        self.mine: list[Planned] = []  # what it submits
        self.jobs: dict[int, Record] = {}  # by planned job, what this life has asked for
        self.planned: dict[int, int] = {}  # number -> planned job
        self.ended: dict[int, int] = {}  # number -> state
        self.closing = False
        self.left = False
        self.refused = ""
        self._wait_ns = FIRST_NS
        self._flushing = False
        self._looked = 0
        self._unders: dict[Any, Under] = {}

    def start(self) -> None:
        """Attach."""
        self.dial()

    def killed(self) -> None:
        """kill -9; not in the midst of its goodbye, after which all would begin anew."""
        if not self.closing:
            self.world.client_died(self)

    # --- the line ---

    def dial(self) -> None:
        """Attach, for the first time or again."""
        hello = say.Hello(
            say.PROTOCOL,
            "client",
            self.session,
            self.session,
            host=self.host,
            user="u",
            incarnation=self.core.hello_incarnation,
            lasting=self.lasting,
        )
        self.world.net.dial(self, "s", hello, self, self._not_reached)

    def _not_reached(self, refused: say.Refused | None) -> None:
        if self.left or self.refused:
            return
        if refused is not None and refused.code == "session":
            self.refused = refused.message
            self._tell(self.core.gone(JobState.LOST, JobLost(refused.message)))
            if self.closing:
                self.world.reopening.over(self)
            return
        self.clock.later(self._wait_ns, self, self.dial)
        self._wait_ns = min(2 * self._wait_ns, MOST_NS)

    def link_up(self, link: Link) -> None:
        """The scheduler answers; its first word follows."""
        self.link = link
        self._wait_ns = FIRST_NS

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """It is gone."""
        if link is not self.link:
            return
        self.link = None
        self.core.lost()
        if self.closing and link.left:
            self.left = True
            self.world.reopening.over(self)
        elif not self.left and not self.refused:
            self.clock.later(self._wait_ns, self, self.dial)

    def received(self, link: Link, batch: list[tuple[say.Message, bytes]]) -> None:
        """What the scheduler says."""
        if link is not self.link:
            return
        for message, body in batch:
            self.world.heard_by_client(self, message)
            self._take(message, body)
        self._looked += 1
        if self._looked % 8 == 0:
            self.core.check()
        self._begin()
        self.flush()

    def _take(self, message: Any, body: bytes) -> None:
        kind, core = type(message), self.core
        if kind is say.Results:
            again = set(message.again)
            marked = {number for index, number in enumerate(message.jobs) if index in again}
            self._tell(core.results(message, body), marked)
        elif kind is say.Accepted:
            self.world.oracle.accepted(self.alias, message.upto)
            core.accepted(message)
        elif kind is say.Opened:
            core.opened(message)
            if self.world.listening and not self.sought and self.link is not None:
                self.link.send(say.Seek(1, [say.Wanted(name) for name in self.world.machines]))
        elif kind is say.Answer:
            self.sought = True
        elif kind is say.Earlier:
            core.earlier(message, body)
        elif kind is say.RefusedJobs:
            self._refused_jobs(message)
        elif kind is say.Running:
            core.running(message)
        elif kind is say.Requeued:
            core.requeued(message.jobs)

    # --- the program ---

    def _begin(self) -> None:
        if not self.core.ready or self.began:
            return
        self.began = True
        self.world.oracle.attaches(self)
        known = {past.key: past for past in self.core.past.values() if past.key}
        self.mine = self.world.planned_for(self)
        for planned in self.mine:
            past = known.get(planned.key) if planned.key else None
            if past is not None:
                self._recall(past.number, planned)
            else:
                self.clock.at(max(self.clock.now, self.world.began_ns + planned.at_ns), self, self._submit, planned)
        for past in list(self.core.past.values()):
            self._recall(past.number, self.world.jobs[self.world.oracle.jobs[self.alias, past.number]])

    def _recall(self, number: int, planned: Planned) -> None:
        record = self.jobs[planned.index] = Record(self._under(planned), number=number)
        self.planned[number] = planned.index
        self.core.recall(record)
        self._plan_cancel(planned, record)

    def _under(self, planned: Planned) -> Under:
        key = planned.computation, planned.options
        found = self._unders.get(key)
        if found is None:
            found = self._unders[key] = Under(planned)
        return found

    def _submit(self, planned: Planned) -> None:
        if self.closing or self.refused or planned.index in self.jobs:
            return
        record = self.jobs[planned.index] = Record(self._under(planned))
        if planned.key:
            self.core.add(record, self._under(planned), planned.arguments, Tag(key=planned.key, print=b"p"))
        else:
            self.core.add(record, self._under(planned), planned.arguments)
        self.planned[record.number] = planned.index
        self.world.oracle.submits(self, record.number, planned.index)
        self._plan_cancel(planned, record)
        self._soon()

    def _plan_cancel(self, planned: Planned, record: Record) -> None:
        if planned.cancel_ns:
            self.clock.later(planned.cancel_ns, self, self.cancel, record)

    def cancel(self, record: Record) -> None:
        """The user does not want it any more."""
        if record.number not in self.planned or record.state >= JobState.FINISHED:
            return
        self.world.oracle.cancelled.add(self.planned[record.number])
        self.flush()
        messages = self.core.cancel([record])
        for message in messages:
            if self.link is not None and self.core.up:
                self.link.send(message)

    def _refused_jobs(self, message: say.RefusedJobs) -> None:
        """The disk is full: the program submits them again later."""
        for record in self.core.refused_jobs(message):
            index = self.planned.pop(record.number, -1)
            self.world.oracle.was_refused(self.alias, record.number)
            if index >= 0:
                self.jobs.pop(index, None)
                self.clock.later(SECOND, self, self._submit, self.world.jobs[index])

    def _tell(self, records: list[Record], again: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        for record in records:
            if record.number not in self.planned:
                continue
            body = record.raw if isinstance(record.raw, bytes) else b""
            own = record.index < 0 and record.news is None
            self.ended[record.number] = record.state
            if not own:
                self.world.oracle.delivers(self, record.number, int(record.state), body, record.number in again)
                delay = int(self.world.random.random() ** 3 * 5 * SECOND)
                self.clock.later(delay, self, self._takes, record)

    def _takes(self, record: Record) -> None:
        """User code looks at a result."""
        self.core.take(record)
        self._soon()

    # --- what goes out ---

    def _soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.clock.later(int(self.world.random.random() * 10 * MS), self, self.flush)

    def flush(self) -> None:
        """Send what there is."""
        self._flushing = False
        link, core = self.link, self.core
        if link is None or not core.up:
            return
        outbox = core.outgoing()
        while outbox:
            message, body = outbox.popleft()
            link.send(message, body)
        taken = core.taken_due(idle=True)
        if taken is not None:
            link.send(taken)

    # --- the end ---

    def close(self, *, cancel: bool = False) -> None:
        """The program is through, or wants no more. It says so once."""
        if self.closing:
            return
        self.closing = True
        if cancel:
            self.world.oracle.cancelled.update(self.planned.values())
        self.core.leave(say.Close(cancel))
        self.flush()

    @property
    def done(self) -> bool:
        """Whether all that it asked for has ended, and the scheduler was told so."""
        if not self.began or self.core.unfinished() or any(one.index not in self.jobs for one in self.mine):
            return False
        return all(number in self.ended for number in self.planned)
