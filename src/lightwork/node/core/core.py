"""Events in, commands out: wires the tables together. A handler is an event; the rules are in the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightwork.config.timers import IDLE_WORKER_S
from lightwork.node.core import events as on
from lightwork.node.core.commands import Command, Send
from lightwork.node.core.computations import Computations
from lightwork.node.core.dispatch import Dispatch
from lightwork.node.core.fates import Fates
from lightwork.node.core.files import Files
from lightwork.node.core.held import Batch, Held
from lightwork.node.core.needs import gpus_of
from lightwork.node.core.preparation import Preparation
from lightwork.node.core.seats import SEATS_MAX, Seats
from lightwork.node.core.watch import Watch
from lightwork.node.core.workers import Workers
from lightwork.wire.messages import AttemptProvisional, Heartbeat, HeldNow, Leaving, Returned

IDLE_NS = int(IDLE_WORKER_S * 1e9)
PREFORK_MAX = 8
HELD_TOLD_MAX = 20_000  # a node that has just joined holds less


class Core:
    """The decisions of one node. `handle` takes an event and the time, and returns what is to be done."""

    def __init__(self, slots: int, setup_in_worker: bool = False, seats: int = SEATS_MAX, gpus: int = 0) -> None:
        out: list[Command] = []
        self._out = out
        self.leaving = False  # nothing starts any more
        self.reason = ""  # why
        self.unwilling = ""  # why nothing starts at the moment
        self.computations = Computations()
        self.held = Held()
        self.workers = Workers(slots, gpus)
        self.files = Files(out)
        self.seats = Seats(self.workers, out, seats)
        self.dispatch = Dispatch(self.held, self.workers, self.seats, self.files, out)
        self.watch = Watch(self.workers, self.dispatch, out)
        self.preparation = Preparation(self.computations, self.held, self.workers, self.seats, self.files, out)
        self.fates = Fates(self.held, self.workers, self.dispatch, self.watch, self.files, self.preparation, out)
        for table in (self.dispatch, self.preparation, self.seats):
            table.setup_in_worker = setup_in_worker
        self._handlers = self._table()

    def handle(self, event: on.Event, now: int) -> list[Command]:
        """What follows from an event at `now` (monotonic ns). The list is the caller's."""
        self._handlers[type(event)](event, now)
        if self.leaving or self.unwilling:
            self._give_back_held()
        self.dispatch.feed()
        commands = self._out[:]
        self._out.clear()
        return commands

    def offer(self, pythons: list[tuple[int, int]], for_source: int = 0) -> None:
        """The minor versions of this node's interpreters, by number; and which is for what comes as source."""
        self.preparation.interpreters.offered = pythons
        self.preparation.interpreters.for_source = for_source

    def tokens(self) -> list[int]:
        """All attempts that are here, however far they are."""
        flying = [token for worker in self.workers.busy_ones() for token in worker.tokens()]
        return self.held.tokens() + flying + self.files.tokens()

    @property
    def in_flight(self) -> bool:
        """Whether ticks are wanted."""
        return self.workers.busy > 0

    @property
    def looking(self) -> bool:
        """Whether the next tick should come within moments: idle slots, and work behind other work."""
        return self.dispatch.looking

    def _table(self) -> dict[type[on.Event], Callable[[Any, int], None]]:
        prepare, files = self.preparation, self.files
        return {
            on.JobsEnded: self._ended,
            on.AttemptsAssigned: self._assigned,
            on.Ticked: lambda event, now: self.watch.tick(event.words, now),
            on.Attached: lambda event, now: self.dispatch.prefork(min(self.workers.slots, PREFORK_MAX)),
            on.ComputationGiven: lambda event, now: prepare.given(event.session, event.computation, event.epoch),
            on.FilesPlaced: lambda event, now: prepare.placed(event.session, event.computation),
            on.SetupDone: lambda event, now: prepare.set_up(event.session, event.environment),
            on.SetupFailed: lambda event, now: prepare.not_set_up(event.session, event.environment, event.failure),
            on.PreparationFailed: lambda event, now: prepare.failed(event.session, event.computation, event.failure),
            on.LoadFailed: self._load_failed,
            on.JobFilesFetched: lambda event, now: prepare.fetched(event.batch, event.failure, now),
            on.ArgumentFetched: prepare.argument_fetched,
            on.TemplateDied: lambda event, now: prepare.template_died(event.session, event.environment),
            on.KeeperDied: lambda event, now: prepare.keeper_died(event.python),
            on.SessionEnded: lambda event, now: prepare.session_ended(event.session),
            on.SessionCleaned: lambda event, now: prepare.session_cleaned(event.session, event.problems),
            on.ReturnAsked: lambda event, now: self.fates.give_back(event.tokens),
            on.StopAsked: lambda event, now: self.fates.stop(event.tokens, event.now, now),
            on.SlotsSet: self._resize,
            on.LeaveAsked: self._leave,
            on.Ousted: lambda event, now: self.fates.oust(event.reason, now),
            on.HeldAsked: self._tell_held,
            on.WorkerBorn: self._born,
            on.TakenBack: self._taken_back,
            on.WorkerRetired: self._retired,
            on.RingCorrupted: self._corrupted,
            on.WorkerDied: self._died,
            on.SpawnFailed: self._not_spawned,
            on.RunFailed: self._not_sent,
            on.MemoryMeasured: self._measured,
            on.ProvisionalSent: self._provisional,
            on.FileSending: lambda event, now: files.sending(event.token),
            on.FileSent: lambda event, now: files.sent(event.token, event.name, event.file, now),
            on.OutputsCollected: files.collected,
            on.BeatDue: self._beat,
        }

    def _assigned(self, event: on.AttemptsAssigned, now: int) -> None:
        definition = self.computations.get(event.session, event.computation)
        if definition is None:
            self._out.append(Send(Returned(event.tokens, "computation unknown here")))
            return
        batch = Batch(definition, event.options, event.tokens, event.lengths, event.body)
        if gpus_of(event.options) > self.workers.gpus.count:
            self.preparation.lacks_gpus(batch, self.workers.gpus.count, now)
            return
        for part in batch.split(event.apart) if event.apart else [batch]:
            self.preparation.admit(part)

    def _leave(self, event: on.LeaveAsked, now: int) -> None:
        """What has not started is given back: what is held at once (see `handle`), what lies in pipes later."""
        if not self.leaving:
            self.leaving, self.reason = True, event.reason
            self._out.append(Send(Leaving(event.reason)))
            self._give_back_flying()

    def _resize(self, event: on.SlotsSet, now: int) -> None:
        """What needs more than there is now can go elsewhere."""
        self.dispatch.resize(max(event.slots, 0))
        large = self.held.larger_than(self.workers.capacity) if event.slots > 0 else []
        if large:
            self.fates.give_back(large)

    def _give_back_flying(self) -> None:
        flying = [token for worker in self.workers.busy_ones() for token in worker.tokens()]
        if flying:
            self.fates.give_back(flying)

    def _give_back_held(self) -> None:
        tokens = self.held.tokens()
        if tokens:
            self.fates.give_back(tokens)

    # --- about one worker; it may be dead by now ---

    def _ended(self, event: on.JobsEnded, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.ended(worker, event, now)

    def _born(self, event: on.WorkerBorn, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            worker.pid = event.pid

    def _load_failed(self, event: on.LoadFailed, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None and event.slot in worker.loaded:
            self.preparation.load_failed(event.slot, event.failure)

    def _taken_back(self, event: on.TakenBack, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.taken_back(worker, event, now)

    def _retired(self, event: on.WorkerRetired, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.retired(worker, now)

    def _corrupted(self, event: on.RingCorrupted, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.distrust(worker)

    def _died(self, event: on.WorkerDied, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.died(worker, event, now)

    def _not_spawned(self, event: on.SpawnFailed, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.not_spawned(worker, event.failure, now)

    def _not_sent(self, event: on.RunFailed, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.fates.not_sent(worker, event.tokens, event.failure, now)

    def _measured(self, event: on.MemoryMeasured, now: int) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None:
            self.watch.measured(worker, event.token, event.size_bytes, now)

    # --- reports ---

    def _provisional(self, event: on.ProvisionalSent, now: int) -> None:
        self._out.append(Send(AttemptProvisional(event.token, event.in_arena), event.body))

    def _beat(self, event: on.BeatDue, now: int) -> None:
        running = self._running(event.words)
        held = self._not_among(running)[:HELD_TOLD_MAX] if event.first else []
        pids = [worker.pid for worker in self.workers if worker.pid]
        begins, self.unwilling = bool(event.unwilling and not self.unwilling), event.unwilling
        epochs = self.computations.epochs()
        beat = Heartbeat(event.number, held, running, event.load, pids, event.pids, epochs, self.unwilling)
        self._out.append(Send(beat))
        if begins:
            self._give_back_flying()
        self._dismiss_idle(now)

    def _tell_held(self, event: on.HeldAsked, now: int) -> None:
        running = self._running(event.words)
        self._out.append(Send(HeldNow(event.number, self._not_among(running), running)))

    def _running(self, words: list[on.Word]) -> list[int]:
        started = {word.worker: word.started for word in words}
        running = self.files.tokens()
        for worker in self.workers.busy_ones():
            if started.get(worker.number, 0) in worker.tokens():
                running.append(started[worker.number])
        return running

    def _not_among(self, running: list[int]) -> list[int]:
        run = set(running)
        return [token for token in self.tokens() if token not in run]

    def _dismiss_idle(self, now: int) -> None:
        for worker in self.workers.idle():
            if worker.environment is not None and now - worker.idle_since_ns > IDLE_NS:
                self.dispatch.dismiss(worker)
