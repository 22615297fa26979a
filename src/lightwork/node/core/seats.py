"""Which computation workers know under which number (`slot`): a number is never given on while a worker has it loaded.

    Definition.slot == 0  --give-->  a number of its own  --crowded, and nothing in flight-->  0 again, Unload

A computation keeps its definition as long as its session, but only some hundreds have a number at a time: what workers
and the agent keep for those that are used no more stays bounded. One that is used again is loaded again.
"""

from __future__ import annotations

from collections.abc import Iterable

from lightwork.node.core.commands import Command, Unload
from lightwork.node.core.computations import Definition
from lightwork.node.core.workers import Workers

SEATS_MAX = 512  # then those that have been there longest go, until half are left
SLOT_MAX = 65_535  # u16 on the wire


class Seats:
    """The numbers in use, those given first in front."""

    def __init__(self, workers: Workers, out: list[Command], most: int = SEATS_MAX) -> None:
        self._workers = workers
        self._most = most
        self._out = out
        self._taken: dict[int, Definition] = {}
        self._last = 0
        self.setup_in_worker = False

    def of(self, slot: int) -> Definition | None:
        """The computation that workers know under this number."""
        return self._taken.get(slot)

    def give(self, definition: Definition) -> None:
        """A number for a computation that has none."""
        if len(self._taken) >= self._most:
            self._make_room()
        slot = self._last
        for _ in range(SLOT_MAX):
            slot = slot % SLOT_MAX + 1
            if slot not in self._taken:
                break
        else:
            raise RuntimeError("all numbers of computations are in use")
        self._last = definition.slot = slot
        self._taken[slot] = definition

    def clear(self, definitions: Iterable[Definition]) -> None:
        """Their session is over, and so are the workers that had loaded them."""
        for definition in definitions:
            self._taken.pop(definition.slot, None)
            definition.slot = 0

    def _make_room(self) -> None:
        flying = {id(flight.definition) for worker in self._workers for flight in worker.flights}
        for definition in list(self._taken.values()):
            if len(self._taken) <= self._most // 2:
                return
            if id(definition) not in flying and not self._sets_up(definition):
                self._take_away(definition)

    def _sets_up(self, definition: Definition) -> bool:
        """Whether a template, or each worker, knows by this number whose setup ran there and whose cleanup is to."""
        computation, environment = definition.computation, definition.environment
        return bool(computation.setup) and (self.setup_in_worker or environment.slot == definition.slot)

    def _take_away(self, definition: Definition) -> None:
        slot, environment = definition.slot, definition.environment
        have = [worker for worker in self._workers if slot in worker.loaded]
        for worker in have:
            worker.loaded.discard(slot)
        del self._taken[slot]
        definition.slot = 0
        numbers = [worker.number for worker in have]
        self._out.append(Unload(slot, environment.session, environment.name, numbers))
