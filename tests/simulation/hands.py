"""What a node's core wants done, done with model workers. Files take no time or a little; nothing needs bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightwork.node.core import commands as do, events as on
from tests.simulation import plan
from tests.simulation.clock import MS
from tests.simulation.workers import Worker

if TYPE_CHECKING:
    from tests.simulation.agent import Agent

TAKE_BACK_NS = MS
SLOW_NS = 40 * MS


class Hands:
    """Of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._clock = agent.clock
        self._random = agent.machine.random
        self.workers: dict[int, Worker] = {}
        self._table: dict[type[do.Command], Callable[[Any], None]] = {
            do.Send: lambda command: agent.send(command.message, command.body),
            do.Run: self._run,
            do.TakeBack: self._take_back,
            do.Fork: self._fork,
            do.Quit: lambda command: self._to(command.worker, Worker.quit),
            do.Kill: lambda command: self._signal(command.worker, "killed"),
            do.Terminate: lambda command: self._signal(command.worker, "terminated"),
            do.Interrupt: self._interrupt,
            do.PlaceFiles: self._place_files,
            do.RunSetup: self._run_setup,
            do.CleanSession: self._clean,
        }

    def obey(self, command: do.Command) -> None:
        """Do it; what has no meaning here is done by doing nothing."""
        act = self._table.get(type(command))
        if act is not None:
            act(command)

    def words(self) -> list[on.Word]:
        """What the busy workers' words say."""
        found = []
        for worker in self._agent.core.workers.busy_ones():
            process = self.workers.get(worker.number)
            if process is not None:
                found.append(on.Word(worker.number, process.ring.running, process.ring.started_ns))
        return found

    def _soon(self, event: on.Event) -> None:
        """Posted at once, or a moment later."""
        if self._random.random() < 0.5:
            self._agent.post(event)
        else:
            self._clock.later(int(self._random.random() * SLOW_NS), self._agent.station, self._agent.post, event)

    # --- computations ---

    def _place_files(self, command: do.PlaceFiles) -> None:
        self._soon(on.FilesPlaced(command.session, command.computation.digest))

    def _run_setup(self, command: do.RunSetup) -> None:
        self._soon(on.SetupDone(command.session, command.environment))

    def _clean(self, command: do.CleanSession) -> None:
        cleaning_ns = self._agent.world.reopening.cleaning_ns()
        self._clock.later(cleaning_ns, self._agent.station, self._cleaned, command.session, 100)

    def _cleaned(self, session: str, tries: int) -> None:
        core = self._agent.core
        busy = any(
            one.environment is not None and one.environment.session == session and one.number in self.workers
            for one in core.workers
        )
        if busy and tries:
            self._clock.later(10 * MS, self._agent.station, self._cleaned, session, tries - 1)
        else:
            self._agent.post(on.SessionCleaned(session))

    # --- workers ---

    def _fork(self, command: do.Fork) -> None:
        self.workers[command.worker] = Worker(self._agent.machine, command.worker)
        self._agent.rings.append(self.workers[command.worker].ring)

    def _run(self, command: do.Run) -> None:
        worker = self.workers.get(command.worker)
        if worker is None:
            return
        jobs, at = [], 0
        for length in command.lengths:
            jobs.append(plan.index_of(bytes(command.body[at : at + length])))
            at += length
        worker.take(command.tokens, jobs)

    def _to(self, number: int, act: Callable[[Worker], None]) -> None:
        worker = self.workers.get(number)
        if worker is not None:
            act(worker)

    def _signal(self, number: int, why: str) -> None:
        worker = self.workers.get(number)
        if worker is not None:
            self._clock.later(int(self._random.random() * MS), None, worker.die, why)

    def _interrupt(self, command: do.Interrupt) -> None:
        worker = self.workers.get(command.worker)
        if worker is not None:
            self._clock.later(int(self._random.random() * MS), None, worker.interrupted, command.token)

    def _take_back(self, command: do.TakeBack) -> None:
        worker = self.workers.get(command.worker)
        if worker is not None:
            worker.revoke = command.serial
            self._clock.later(TAKE_BACK_NS, self._agent.station, self._taken_back, command.worker, command.serial)

    def _taken_back(self, number: int, serial: int) -> None:
        worker = self.workers.get(number)
        if worker is not None:
            self._agent.post(on.TakenBack(number, serial, worker.ring.started, worker.ring.undrained()))
