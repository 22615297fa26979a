"""Getting computations ready, letting attempts in, and letting a session go."""

from __future__ import annotations

from lightwork.kit.text import count
from lightwork.node.core import events as on
from lightwork.node.core.commands import (
    CleanSession,
    Command,
    FetchArgument,
    FetchJobFiles,
    Kill,
    PlaceFiles,
    Quit,
    RunSetup,
    Send,
)
from lightwork.node.core.computations import Computations, Definition, Environment, Stage
from lightwork.node.core.endings import not_run
from lightwork.node.core.files import End, Files
from lightwork.node.core.held import Batch, Held
from lightwork.node.core.interpreters import ANY, OWN, Interpreters
from lightwork.node.core.needs import gpus_of
from lightwork.node.core.seats import Seats
from lightwork.node.core.workers import Workers
from lightwork.wire.messages import Computation, Prepared, Released

DEATHS_MAX = 3  # workers in a row that died before they started anything
LOAD_DEATHS = {
    "type": b"WorkerDied",
    "message": b"workers die while they load this computation",
    "hint": b"does importing its modules crash the interpreter? The node's log has their last output",
}
SETUP_DEATHS = {"type": b"SetupFailed", "message": b"the node's keeper died each time while setup ran"}


class Preparation:
    """Brings computations to READY or FAILED, and the attempts that wait for that to where they belong."""

    def __init__(
        self, computations: Computations, held: Held, workers: Workers, seats: Seats, files: Files, out: list[Command]
    ) -> None:
        self._computations = computations
        self._seats = seats
        self._held = held
        self._workers = workers
        self._files = files
        self._out = out
        # Sessions that are being cleaned up; and what of them was given meanwhile, with its epoch, by a scheduler that
        # was restarted and does not know that.
        self.clearing: dict[str, dict[str, tuple[Computation, int]]] = {}
        self.setup_in_worker = False
        self.interpreters = Interpreters()

    # --- computations ---

    def given(self, session: str, computation: Computation, epoch: int = 0) -> None:
        """The scheduler wants a computation ready; told twice, it hears twice how it stands."""
        if session in self.clearing:  # what came now would go with it
            self.clearing[session][computation.digest] = computation, epoch
            return
        known = self._computations.get(session, computation.digest)
        if known is None:
            self._prepare(session, computation, epoch)
            return
        known.epoch = max(known.epoch, epoch)
        if known.stage in (Stage.READY, Stage.FAILED):
            self._tell(known)

    def placed(self, session: str, digest: str) -> None:
        """Its files lie in the environment's directory."""
        definition = self._computations.get(session, digest)
        if definition is None or definition.stage is not Stage.FETCHING:
            return
        environment = definition.environment
        if not environment.setup or environment.template or self.setup_in_worker:
            self._ready(definition)
            return
        first = not self._setting_up(environment)
        definition.stage = Stage.SETTING_UP
        if first:
            self._run_setup(definition)

    def set_up(self, session: str, name: str) -> None:
        """Setup ran: all computations that waited for this template are ready."""
        environment = self._computations.environment(session, name)
        if environment is not None:
            environment.template = True
            for definition in self._setting_up(environment):
                self._ready(definition)

    def not_set_up(self, session: str, name: str, failure: dict[str, bytes]) -> None:
        """Setup raised: this node is not used for these computations."""
        environment = self._computations.environment(session, name)
        if environment is not None:
            for definition in self._setting_up(environment):
                self._fail(definition, failure)

    def failed(self, session: str, digest: str, failure: dict[str, bytes]) -> None:
        """Its files could not be had."""
        definition = self._computations.get(session, digest)
        if definition is not None and definition.stage is Stage.FETCHING:
            self._fail(definition, failure)

    def load_failed(self, slot: int, failure: dict[str, bytes]) -> None:
        """A worker cannot load it, or (where each worker does so) not set it up."""
        definition = self._seats.of(slot)
        if definition is not None and definition.stage is Stage.READY:
            self._fail(definition, failure)

    def died_unstarted(self, environment: Environment, failure: dict[str, bytes] = LOAD_DEATHS) -> None:
        """A worker died, or was never born, before it started anything. Not for ever."""
        environment.deaths += 1
        if environment.deaths >= DEATHS_MAX:
            for definition in self._computations.of_environment(environment):
                if definition.stage is Stage.READY:
                    self._fail(definition, failure)

    def template_died(self, session: str, name: str) -> None:
        """A template is gone with its workers: setup runs again. Deaths follow."""
        lost = self._computations.environment(session, name)
        for worker in self._workers:
            if lost is not None and worker.environment is lost:
                self._workers.leave(worker)
        self._set_up_again([one for one in self._computations.set_up() if one.environment is lost])

    def keeper_died(self, python: int) -> None:
        """An interpreter's keeper is gone with all workers and templates: setups run again. Deaths follow."""
        for worker in self._workers:
            if worker.python == python:
                self._workers.leave(worker)
        under_way = [one for one in self._computations.setting_up() if one.environment.python == python]
        for environment in {id(one.environment): one.environment for one in under_way}.values():
            environment.deaths += 1
        again = [one for one in under_way if one.environment.deaths < DEATHS_MAX]
        self._set_up_again(again + [one for one in self._computations.set_up() if one.environment.python == python])
        for definition in under_way:
            if definition not in again:
                self._fail(definition, SETUP_DEATHS)

    # --- attempts ---

    def admit(self, batch: Batch) -> None:
        """An attempt stands in line when its computation, its files and its argument are here."""
        stage = batch.definition.stage
        if stage is Stage.READY:
            if batch.options.files and not batch.number:
                self._out.append(FetchJobFiles(self._held.fetch(batch), batch.definition.session, batch.options.files))
            elif batch.apart:
                token = batch.tokens[batch.at]
                self._files.has_argument(token)
                self._out.append(FetchArgument(self._held.fetch(batch), token, batch.apart))
            else:
                self._held.add(batch)
        elif stage is Stage.FAILED:
            self._files.give_back(batch.waiting(), "the computation failed on this node")
        elif stage is Stage.GONE:
            self._files.give_back(batch.waiting(), "its session is over on this node")
        else:
            self._held.wait(batch)

    def readmit(self, batches: list[Batch]) -> None:
        """Attempts come back unstarted: first in line again."""
        ready = []
        for batch in batches:
            if batch.definition.stage is Stage.READY:
                ready.append(batch)
            else:
                self.admit(batch)
        self._held.put_back(ready)

    def fetched(self, number: int, failure: dict[str, bytes], now: int) -> None:
        """The files of a batch are here, or cannot be had."""
        batch = self._held.fetched(number)
        if batch is None:
            return
        if not failure:
            self.admit(batch)
            return
        self._not_run(batch, failure, now)

    def argument_fetched(self, event: on.ArgumentFetched, now: int) -> None:
        """The argument of an attempt is here, or cannot be had. (If nobody waits for it, it was freed.)"""
        batch = self._held.fetched(event.batch)
        if batch is None:
            return
        if event.failure:
            self._not_run(batch, event.failure, now)
        else:
            batch.arrived(event.payload, event.in_arena)
            self.admit(batch)

    def lacks_gpus(self, batch: Batch, here: int, now: int) -> None:
        """It needs more than this node has."""
        wanted = gpus_of(batch.options)
        text = f"the job needs {count(wanted, 'gpu')}; this node has {here}"
        self._not_run(batch, {"type": b"CannotBePlaced", "message": text.encode()}, now)

    def _not_run(self, batch: Batch, failure: dict[str, bytes], now: int) -> None:
        status, outcome = not_run(failure)
        for token in batch.waiting():
            self._files.end(End(token, status, 0, 0, outcome), now)

    # --- sessions ---

    def session_ended(self, session: str) -> None:
        """Nothing of it may start any more; what runs is killed; then its cleanups run. Released answers for all that
        was here, and whoever says it once more meanwhile."""
        under_way = session in self.clearing
        self.clearing[session] = {}
        if under_way:
            return
        definitions = self._computations.of_session(session)
        for token in self._held.remove_of(definitions):
            self._files.died(token)  # it may have been in flight, and have come back
        environments = {id(definition.environment) for definition in definitions}
        for definition in definitions:
            definition.stage = Stage.GONE
        for worker in list(self._workers):
            if worker.environment is not None and id(worker.environment) in environments:
                self._workers.leave(worker)
                self._out.append(Kill(worker.number) if worker.load else Quit(worker.number))
        self._out.append(CleanSession(session))

    def session_cleaned(self, session: str, problems: list[str]) -> None:
        """No trace of it is left."""
        meanwhile = self.clearing.pop(session, {})
        self._seats.clear(self._computations.of_session(session))
        self._computations.remove_session(session)
        self._out.append(Send(Released(session, problems)))
        for computation, epoch in meanwhile.values():
            self.given(session, computation, epoch)

    # --- steps ---

    def _prepare(self, session: str, computation: Computation, epoch: int) -> None:
        python = self.interpreters.choose(computation)
        definition = self._computations.add(session, computation, ANY if python is None else python)
        definition.epoch = epoch
        if python is None:
            self._fail(definition, self.interpreters.refusal(computation))
            return
        environment = definition.environment
        self._seats.give(definition)
        self._out.append(PlaceFiles(session, computation, environment.name, max(environment.python, OWN)))

    def _set_up_again(self, again: list[Definition]) -> None:
        for definition in again:
            definition.stage = Stage.SETTING_UP
            definition.environment.template = False
            self._held.suspend(definition)
        for definition in {id(one.environment): one for one in again}.values():
            self._run_setup(definition)

    def _setting_up(self, environment: Environment) -> list[Definition]:
        return [one for one in self._computations.of_environment(environment) if one.stage is Stage.SETTING_UP]

    def _run_setup(self, definition: Definition) -> None:
        if not definition.slot:
            self._seats.give(definition)
        definition.environment.slot = definition.slot
        name = definition.environment.name
        self._out.append(RunSetup(definition.session, definition.computation, name, definition.slot))

    def _ready(self, definition: Definition) -> None:
        definition.stage = Stage.READY
        self._tell(definition)
        for batch in self._held.release(definition):
            self.admit(batch)

    def _fail(self, definition: Definition, failure: dict[str, bytes]) -> None:
        definition.stage = Stage.FAILED
        definition.failure = failure
        self._tell(definition)
        tokens = self._held.remove_of([definition])
        if tokens:
            self._files.give_back(tokens, "the computation failed on this node")

    def _tell(self, definition: Definition) -> None:
        ready = definition.stage is Stage.READY
        digest = definition.computation.digest
        self._out.append(Send(Prepared(definition.session, digest, ready, definition.failure, definition.epoch)))
