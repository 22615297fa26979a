"""What must always hold between events. Tests ask after each one; it costs too much for work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lightwork.node.core.computations import Stage
from lightwork.node.core.core import Core
from lightwork.node.core.held import Batch, size_of
from lightwork.node.core.interpreters import ANY
from lightwork.node.core.needs import gpus_of, plain
from lightwork.node.core.workers import Worker


def check(core: Core) -> list[str]:
    """Sentences about what is wrong; none if all is well."""
    return [*_workers(core), *_held(core), *_tokens(core)]


def _workers(core: Core) -> Iterator[str]:
    busy = [worker for worker in core.workers if worker.load]
    if core.workers.busy != len(busy):
        yield f"{len(busy)} workers are busy, counted are {core.workers.busy}"
    used = sum(worker.cpus for worker in busy)
    if core.workers.used != used:
        yield f"busy workers need {used}, counted are {core.workers.used}"
    if used > core.workers.allowed:
        yield f"{len(busy)} workers need {used} of {core.workers.slots} slots"
    yield from _gpus(core)
    idle = {worker.number for worker in core.workers if not (worker.load or worker.leaving or worker.program)}
    if {worker.number for worker in core.workers.idle()} != idle:
        yield f"idle are {sorted(idle)}, listed are {[worker.number for worker in core.workers.idle()]}"
    for worker in core.workers:
        yield from _flights(worker)


def _gpus(core: Core) -> Iterator[str]:
    gpus = core.workers.gpus
    taken = [index for worker in core.workers for index in worker.gpus]
    if sorted({*taken, *range(gpus.count)}) != list(range(gpus.count)) or len(set(taken)) != len(taken):
        yield f"of {gpus.count} gpus these are taken: {taken}"
    if gpus.free + len(taken) != gpus.count:
        yield f"{gpus.free} gpus are free and {len(taken)} taken, of {gpus.count}"
    for worker in core.workers:
        wanted = gpus_of(worker.flights[0].options) if worker.flights else 0
        if len(worker.gpus) != wanted:
            yield f"worker {worker.number} has {len(worker.gpus)} gpus, its attempt asked for {wanted}"


def _flights(worker: Worker) -> Iterator[str]:
    if worker.load != sum(map(len, worker.flights)):
        yield f"worker {worker.number} has {sum(map(len, worker.flights))} in flight, counted are {worker.load}"
    alone = worker.flights and not plain(worker.flights[0].options)
    if alone and worker.load > 1:
        yield f"worker {worker.number} has {worker.load} attempts, the first of which is to be alone"
    if worker.program and worker.load > 1:
        yield f"program {worker.number} is {worker.load} attempts at once"
    if worker.verdict is not None and not worker.leaving and worker.verdict.token not in worker.tokens():
        yield f"worker {worker.number} is to end {worker.verdict.token}, which it does not have"
    for flight in worker.flights:
        if flight.definition.environment is not worker.environment:
            yield f"worker {worker.number} has an attempt of another environment"
        if flight.definition.environment.python not in (worker.python, ANY) and not worker.program:
            yield f"worker {worker.number} has an attempt of another interpreter"
        yield from _batch(flight)


def _held(core: Core) -> Iterator[str]:
    if core.held.count != sum(map(len, core.held.ready)):
        yield f"{sum(map(len, core.held.ready))} attempts are ready, counted are {core.held.count}"
    for batch in core.held.ready:
        yield from _batch(batch)
        if batch.definition.stage is not Stage.READY:
            yield f"attempts of a computation that is {batch.definition.stage.name} stand in line"
    if core.held.ready and core.dispatch.could_start(core.held.ready[0]):
        yield "a slot is idle, and something could run there"


def _batch(batch: Batch) -> Iterator[str]:
    if not len(batch):
        yield "an empty batch is kept"
    if len(batch.body) - batch.position < size_of(batch.lengths[batch.at :]):
        yield f"the payloads of {batch.waiting()[:3]} are not all there"


def _tokens(core: Core) -> Iterator[str]:
    flying = [token for worker in core.workers for token in worker.tokens()]
    everywhere = [*core.held.tokens(), *flying, *core.files.tokens()]
    stale = core.fates.ordered.difference(flying)
    if stale:
        yield f"orders about attempts that are not in flight: {sorted(stale)[:5]}"
    homeless = core.files.arguments.difference(core.tokens())
    if homeless:
        yield f"arguments are kept for attempts that are not here: {sorted(homeless)[:5]}"
    if len(set(everywhere)) < len(everywhere):
        twice = [token for token, count in Counter(everywhere).items() if count > 1]
        yield f"attempts in two places: {twice[:5]}"
