"""Which held attempts go to which worker, and which come back.

    held.ready --feed--> worker's pipe --runs--> ring
        ^                    |
        +----- take back ----+   (what waits behind a job that runs long, or while other slots are idle)

What came first starts first, as far as there is room; nothing overtakes, so that what needs much gets it. Idle slots
come first; then busy workers are topped up to their window, half a window at a time so that frames stay
large. What is held is shared out evenly, so that the last jobs of many do not queue up behind one worker.
"""

from __future__ import annotations

from lightwork.config.limits import BATCH_JOBS_MAX
from lightwork.node.core.commands import Command, Fork, Load, Quit, Run, SpawnProgram, TakeBack
from lightwork.node.core.computations import Definition, Environment
from lightwork.node.core.files import Files
from lightwork.node.core.held import Batch, Held
from lightwork.node.core.needs import SLOT, cpus_of, gpus_of, plain
from lightwork.node.core.seats import Seats
from lightwork.node.core.workers import Worker, Workers
from lightwork.wire.messages import JobOptions

WARM_PER_SLOT = 2  # living workers, idle ones included; beyond that the longest idle one goes
WARM_MORE = 2
WORTH_TAKING_NS = 1_000_000  # less work than this ends before it could be moved
FRAME_BYTES_MAX = 1 << 20  # payloads in one frame, unless a single one is larger


class Dispatch:
    """Feeds workers from what is held."""

    def __init__(self, held: Held, workers: Workers, seats: Seats, files: Files, out: list[Command]) -> None:
        self._held = held
        self._workers = workers
        self._seats = seats
        self._files = files
        self._out = out
        self._share = 0  # of what is held, for each worker
        self._given: dict[int, int] = {}  # what each got of it
        self.setup_in_worker = False
        self.looking = False  # idle slots may profit from a second look within moments

    def feed(self) -> None:
        """Hand out what can be handed out now."""
        self.looking = False
        ready = self._held.ready
        if self._workers.used > self._workers.capacity:
            return  # there were more slots once
        if ready:
            self._share = -(-self._held.count // max(self._workers.slots, 1))
            self._given.clear()
        while ready:
            batch = ready[0]
            worker = self._worker_for(batch)
            if worker is None:
                return
            flight = self._next_flight(batch, worker)
            if not len(batch):
                ready.popleft()
            self._send(worker, flight)
        self.balance()

    def balance(self) -> None:
        """Nothing is held, but slots are idle: take back from the worker with most work in its pipe."""
        if not self.slots_idle:
            return
        best, most = None, 0.0
        for worker in self._workers:
            if worker.load < 2 or worker.taking_back:
                continue
            self.looking = True
            work = worker.load * worker.flights[0].definition.mean_ns
            if work > most:
                best, most = worker, work
        if best is not None and most >= WORTH_TAKING_NS:
            self.take_back(best)

    @property
    def slots_idle(self) -> bool:
        """Whether slots have nothing to do."""
        return self._workers.used + SLOT <= self._workers.capacity and not self._held.ready

    def take_back(self, worker: Worker) -> None:
        """Ask for all that this worker has not started."""
        if not worker.taking_back:
            worker.taking_back = worker.sent
            self._out.append(TakeBack(worker.number, worker.sent))

    def resize(self, slots: int) -> None:
        """Use so many slots. Where more are busy, only what has started goes on there; idle workers beyond them go."""
        self._workers.resize(slots)
        if self._workers.used > self._workers.capacity:
            for worker in self._workers.busy_ones():
                if not worker.program:
                    self.take_back(worker)
        surplus = len(self._workers.idle()) - max(slots - self._workers.busy, 0)
        for worker in self._workers.idle()[: max(surplus, 0)]:
            self.dismiss(worker)

    def dismiss(self, worker: Worker) -> None:
        """An idle worker is no longer needed."""
        self._workers.leave(worker)
        self._out.append(Quit(worker.number))

    def prefork(self, count: int) -> None:
        """Have blank workers ready before anybody asks."""
        for _ in range(count):
            self._out.append(Fork(self._workers.add().number))

    def _worker_for(self, batch: Batch) -> Worker | None:
        """Who takes the next of these, if there is room."""
        options = batch.options
        if plain(options):
            return self._free_worker(batch.definition, SLOT) or self._roomy_worker(batch.definition)
        if gpus_of(options) > self._workers.gpus.free:
            return None
        return self._free_worker(batch.definition, cpus_of(options))

    def could_start(self, batch: Batch) -> bool:
        """Whether there is room for the next of these. (For tests.)"""
        return self._workers.fits(cpus_of(batch.options)) and gpus_of(batch.options) <= self._workers.gpus.free

    def _free_worker(self, definition: Definition, cpus: int) -> Worker | None:
        """A worker without work, if there is room for what needs so much."""
        if not self._workers.fits(cpus):
            return None
        environment = definition.environment
        if definition.program:
            return self._workers.add(environment, program=True)
        worker = self._workers.idle_for(environment)
        if worker is None:
            worker = self._fork(environment)
        worker.environment = environment
        return worker

    def _fork(self, environment: Environment) -> Worker:
        if len(self._workers) >= WARM_PER_SLOT * self._workers.slots + WARM_MORE:
            oldest = self._workers.oldest_idle()
            if oldest is not None:
                self.dismiss(oldest)
        worker = self._workers.add(environment)
        if environment.template:
            worker.loaded.add(environment.slot)
            self._out.append(Fork(worker.number, environment.session, environment.name, True, worker.python))
        else:
            self._out.append(Fork(worker.number, python=worker.python))
        return worker

    def _roomy_worker(self, definition: Definition) -> Worker | None:
        """The least loaded busy worker of the environment with half a window of room."""
        half = definition.window // 2
        best, environment = None, definition.environment
        for worker in self._workers:
            if worker.environment is environment and 0 < worker.load <= half and self._may_queue(worker):
                if self._given.get(worker.number, 0) >= self._share:
                    continue  # the rest is for the others, who are busy now
                if best is None or worker.load < best.load:
                    best = worker
        return best

    @staticmethod
    def _may_queue(worker: Worker) -> bool:
        """Whether more may be put behind what it runs: not behind a long job, nor in a pipe that is being emptied."""
        if worker.leaving or worker.taking_back or worker.program or worker.verdict or worker.told:
            return False
        return worker.cpus == SLOT and not worker.gpus

    def _next_flight(self, batch: Batch, worker: Worker) -> Batch:
        definition = batch.definition
        if definition.program or definition.fresh or needs_directory(batch.options) or not plain(batch.options):
            return batch.take(1)
        left = self._share - self._given.get(worker.number, 0)
        count = max(1, min(len(batch), definition.window - worker.load, left, BATCH_JOBS_MAX))
        if len(batch.body) - batch.position > FRAME_BYTES_MAX:
            count = batch.fitting(count, FRAME_BYTES_MAX)
        return batch.take(count)

    def _send(self, worker: Worker, flight: Batch) -> None:
        definition = flight.definition
        self._held.count -= len(flight)
        self._given[worker.number] = self._given.get(worker.number, 0) + len(flight)
        self._workers.sent(worker, flight)
        if flight.options.resources:
            worker.gpus = self._workers.gpus.take(gpus_of(flight.options))
        if needs_directory(flight.options):
            self._files.watch(flight.tokens[0], flight.options)
        if definition.program:
            self._out.append(self._program(worker, flight))
            return
        if not definition.slot:
            self._seats.give(definition)
        if definition.slot not in worker.loaded:
            self._out.append(self._load(worker, definition))
            worker.loaded.add(definition.slot)
        tokens, lengths = flight.tokens, flight.lengths
        options, gpus = flight.options, worker.gpus
        self._out.append(Run(worker.number, definition.slot, tokens, lengths, options, flight.body, gpus))
        if definition.fresh:
            self._workers.leave(worker)

    def _load(self, worker: Worker, definition: Definition) -> Load:
        setup = self.setup_in_worker and bool(definition.computation.setup) and not worker.loaded
        name = definition.environment.name
        return Load(worker.number, definition.slot, definition.session, definition.computation, name, setup)

    @staticmethod
    def _program(worker: Worker, flight: Batch) -> SpawnProgram:
        definition, name = flight.definition, flight.definition.environment.name
        token, length, session = flight.tokens[0], flight.lengths[0], definition.session
        options, body, gpus = flight.options, flight.body, worker.gpus
        return SpawnProgram(worker.number, token, session, definition.computation, name, options, length, body, gpus)


def needs_directory(options: JobOptions) -> bool:
    """Whether attempts with these options get a working directory each, and so go one by one."""
    return bool(options.outputs or options.files or options.stdin)
