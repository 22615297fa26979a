"""One agent: the real node core and custody, with model workers. It lives for one claim (node/service/agent.py).

An end is kept before it is told, and its room in the ring is free only then; rings of the dead stay until all of them
is kept. What an agent leaves is gathered by the next one (node/service/harvest.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightwork.node.core import events as on
from lightwork.node.core.check import check
from lightwork.node.core.core import Core
from lightwork.node.core.endings import lost
from lightwork.node.service.custody import Custody
from lightwork.wire import messages as say
from lightwork.wire.outcome import REVOKED
from tests.simulation.clock import MS, SECOND, Clock
from tests.simulation.hands import Hands
from tests.simulation.kept import MemoryKept
from tests.simulation.workers import Ring, Worker

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.station import Station

TICK_NS = 25 * MS
KEEP_AGAIN_NS = FULL_NS = SECOND
WELL, FULL = say.Load(90.0, 8 << 30, 100 << 30, 100.0), say.Load(90.0, 8 << 30, 0, 100.0)
NOWHERE = Path("nowhere")
Tell = Callable[[Any, bytes], None]


def nobody(message: Any, body: bytes) -> None:
    """There is no scheduler."""


class Agent:
    """Of one station, until its claim is over."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.machine: Machine = station.machine
        self.world = self.machine.world
        self.clock: Clock = self.machine.clock
        self.core = Core(self.machine.slots)
        self.hands = Hands(self)
        self.custody: Custody | None = None
        self.rings: list[Ring] = []  # where those of new workers go
        self.tell: Tell = nobody
        self.over = False
        self._events: list[on.Event] = []
        self._handling = False
        self._prepared = False
        self._joined = False
        self._retrying = False
        self._tick_ns = 0
        self._ringing: set[int] = set()

    # --- life ---

    def keep_for(self, scheduler: str) -> None:
        """This durable scheduler has us."""
        self.custody = open_custody(self.station, scheduler)
        self.rings = self.machine.home(scheduler).rings

    def speak(self, tell: Tell) -> None:
        """The scheduler listens."""
        self.tell, self._joined = tell, True
        if not self._prepared:
            self._prepared = True
            self.post(on.Attached())

    def stop(self) -> None:
        """Its claim is over: nothing runs here any more."""
        self.over, self.tell = True, nobody
        self.end_workers("over")

    def end_workers(self, why: str) -> None:
        """All that run here die."""
        for worker in list(self.hands.workers.values()):
            worker.die(why)
        if self.custody is not None:
            self.world.oracle.loses(self.custody.unwritten)

    # --- what is said ---

    def send(self, message: Any, body: bytes) -> None:
        """The core says something. Ends are kept first."""
        custody = self.custody
        if custody is not None:
            custody.note(message, body)
        kind = type(message)
        if kind is say.Ended and (custody is None or custody.unwritten.isdisjoint(message.tokens)):
            self.world.oracle.says(message.tokens, message.statuses)
        self.tell(message, body)
        if kind is say.Released and custody is not None:
            custody.only(set(self.core.tokens()))

    def hear(self, message: Any, body: bytes) -> None:
        """The scheduler says something (node/service/inbox.py)."""
        kind = type(message)
        if kind is say.Assign:
            if self.custody is not None and not self.custody.assigned(message):
                self.clock.later(FULL_NS, self.station, self._give_back, message.tokens)
                return
            columns = message.tokens, message.lengths, message.options
            self.post(on.AttemptsAssigned(message.session, message.computation, *columns, body))
        elif kind is say.Settled:
            if self.custody is not None:
                self.custody.settled(message.tokens)
        elif kind is say.Prepare:
            self.post(on.ComputationGiven(message.session, message.computation, message.epoch))
        elif kind is say.Revoke:
            self.post(on.ReturnAsked(message.tokens))
        elif kind is say.Stop:
            self.post(on.StopAsked(message.tokens, message.now))
        elif kind is say.Release:
            self.post(on.SessionEnded(message.session))
        elif kind is say.SetSlots:
            self.post(on.SlotsSet(message.slots))
        elif kind is say.AskHeld:
            self.post(on.HeldAsked(message.number, self.hands.words()))

    def _give_back(self, tokens: list[int]) -> None:
        self.tell(say.Returned(tokens, "the disk of its node is full"), b"")

    def in_hand(self) -> int:
        """How much keeps the claim up (node/service/durable.py)."""
        return len(self.core.tokens()) + (len(self.custody.unwritten) if self.custody is not None else 0)

    def tell_truth(self, tell: Tell) -> None:
        """All attempts, and how far they are. Ends that are due follow."""
        custody = self.custody
        assert custody is not None
        for worker in list(self.hands.workers.values()):
            self._drain(worker)
        custody.only(self.core.tokens())
        clearing = sorted(self.core.preparation.clearing)
        tell(custody.keeping.truth(self._started(), self.core.computations.sessions(), clearing), b"")

    def let_go(self) -> None:
        """Nobody is there who could be told anything; nothing more is started."""
        self.tell = nobody
        started = self._started()
        waiting = [token for token in self.core.tokens() if token not in started]
        if waiting:
            self.post(on.ReturnAsked(waiting))

    def _started(self) -> dict[int, int]:
        now, found = self.clock.now, {}
        for worker in self.hands.workers.values():
            found.update(dict.fromkeys(worker.ring.undrained(), 0))
            if worker.ring.started:
                found[worker.ring.started] = now - worker.ring.started_ns
        here = set(self.core.tokens())
        return {token: age for token, age in found.items() if token in here}

    # --- the core ---

    def post(self, event: on.Event) -> None:
        """Give an event to the core and do what it says; in line, if one is being handled."""
        if self.over:
            return
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        world = self.world
        try:
            while self._events:
                one = self._events.pop(0)
                world.saw(self.station, [one])
                for command in self.core.handle(one, self.clock.now):
                    world.did(self.station, command)
                    self.hands.obey(command)
                world.oracle.after_handle(self, one)
        finally:
            self._handling = False
        if self.custody is not None:
            self._loosen(self.custody)
        if self.core.in_flight:
            self._tick_at(self.clock.now + TICK_NS)

    def _loosen(self, custody: Custody) -> None:
        if custody.bonds:
            custody.loosen(self.core.files.wait)
        if custody.waits and not self._retrying:
            self._retrying = True
            self.clock.later(KEEP_AGAIN_NS, self.station, self._keep_again, custody)

    def _keep_again(self, custody: Custody) -> None:
        self._retrying = False
        if not self.over:
            custody.retry()
            self._loosen(custody)

    def wrong(self) -> list[str]:
        """What does not fit together."""
        return check(self.core)

    # --- workers ---

    def bell(self, worker: Worker) -> None:
        """Looked at a moment later."""
        if self.hands.workers.get(worker.number) is worker and worker.number not in self._ringing:
            self._ringing.add(worker.number)
            self.clock.later(int(self.machine.random.random() * 2 * MS), self.station, self._rang, worker)

    def _rang(self, worker: Worker) -> None:
        self._ringing.discard(worker.number)
        if self.hands.workers.get(worker.number) is worker:
            self._drain(worker)

    def _drain(self, worker: Worker) -> None:
        ring = worker.ring
        rows = ring.rows[ring.drained :]
        if not rows or self.over:
            return
        ring.drained += len(rows)
        columns: Any = list(map(list, zip(*rows, strict=True)))
        tokens, starts, durations, statuses, outcomes = columns
        lengths, body = list(map(len, outcomes)), b"".join(outcomes)
        if self.custody is not None:
            self.custody.bonds.hold(ring, tokens, partial(ring.free, len(rows)))
        else:
            ring.free(len(rows))
        self.post(on.JobsEnded(worker.number, tokens, starts, durations, lengths, statuses, body))

    def worker_died(self, worker: Worker, why: str) -> None:
        """The keeper says so."""
        if not self.over and self.hands.workers.get(worker.number) is worker:
            self.clock.later(int(self.machine.random.random() * MS), self.station, self._buried, worker, why)

    def _buried(self, worker: Worker, why: str) -> None:
        if self.over or self.hands.workers.get(worker.number) is not worker:
            return
        self._drain(worker)
        del self.hands.workers[worker.number]
        ring = worker.ring
        if self.custody is not None:
            self.custody.bonds.hold(ring, [ring.started], partial(remove, self.rings, ring))
        else:
            remove(self.rings, ring)
        self.post(on.WorkerDied(worker.number, ring.started, ring.started_ns, on.Death(0, 9), why == "keeper"))

    def keeper_dies(self) -> None:
        """And all workers with it."""
        for worker in list(self.hands.workers.values()):
            worker.die("keeper")
        self.post(on.KeeperDied())

    # --- the clock ---

    def beat(self, number: int) -> None:
        """The truth, once a beat."""
        first, self._joined = self._joined, False
        self.post(on.BeatDue(number, self.hands.words(), FULL if self.machine.full else WELL, {}, first))

    def _tick_at(self, when: int) -> None:
        if not self._tick_ns or when < self._tick_ns:
            self._tick_ns = when
            self.clock.at(when, self.station, self._ticks, when)

    def _ticks(self, when: int) -> None:
        if when != self._tick_ns or self.over:
            return
        self._tick_ns = 1  # `post` shall not set another one
        self.post(on.Ticked(self.hands.words()))
        self._tick_ns = 0
        when = self._next_tick() if self.core.in_flight else 0
        if when:
            self._tick_at(when)

    def _next_tick(self) -> int:
        """When something is due; there are no ticks in between, for there is nothing to see."""
        now, due = self.clock.now, 0
        for worker in self.core.workers.busy_ones():
            if worker.verdict is not None:
                at = max(worker.verdict.due_ns, now + TICK_NS)
            elif worker.told != worker.first:
                at = now + TICK_NS
            elif worker.flights and worker.flights[0].options.timeout_ns:
                process = self.hands.workers.get(worker.number)
                started_ns = process.ring.started_ns if process is not None else now
                at = max(started_ns + worker.flights[0].options.timeout_ns + MS, now + TICK_NS)
            else:
                continue
            due = min(due or at, at)
        return due


# --- what an agent leaves ---


def open_custody(station: Station, scheduler: str) -> Custody:
    """All that is kept for this scheduler, with what lies in the rings that others left."""
    machine = station.machine
    home = machine.home(scheduler)
    kept: Any = MemoryKept(home.log, station.writes)
    custody = Custody(NOWHERE, lambda: machine.clock.now, lambda text: None)
    custody._kept = kept
    custody.load()
    for ring in list(home.rings):
        _gather(custody, home.rings, ring, machine.clock.now)
    custody.restarted()
    return custody


def _gather(custody: Custody, rings: list[Ring], ring: Ring, now: int) -> None:
    """As node/service/harvest.py does with a file."""
    tokens = []
    started = ring.unrecorded
    for token, start, duration, status, outcome in ring.rows:
        tokens.append(token)
        if status != REVOKED and not custody.keeping.has_ended(token):
            custody.note(say.Ended([token], [status], [now - start], [duration], [len(outcome)]), outcome)
    if started and not custody.keeping.has_ended(started):
        outcome = lost("its node agent died")
        custody.note(say.Died([started], False, [now - ring.started_ns], [len(outcome)]), outcome)
        tokens.append(started)
    custody.bonds.hold(ring, tokens, partial(remove, rings, ring))
    custody.loosen()


def remove(rings: list[Ring], ring: Ring) -> None:
    """Its file is deleted."""
    rings[:] = [one for one in rings if one is not ring]
