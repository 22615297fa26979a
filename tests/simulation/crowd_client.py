"""A program among others: it tells its terms over each link, updates its computations, and leaves when it has all.

What an update promises holds from its answer on: later jobs are of the new version. It is asked again over each new
link until it is answered, as the client does (client/steps.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from lightwork.client.records import Record
from lightwork.wire import messages as say
from tests.simulation.client import Client, Under
from tests.simulation.clock import SECOND
from tests.simulation.links import Link
from tests.simulation.plan import COMPUTATIONS, Planned

if TYPE_CHECKING:
    from tests.simulation.crowd import CrowdedWorld


class Asked(Struct):
    """An update that is not answered yet."""

    letter: str
    message: say.Update
    told: Link | None = None


class CrowdClient(Client):
    """One life of it."""

    world: CrowdedWorld

    def __init__(self, world: CrowdedWorld, host: str, session: str, life: int, lasting: bool) -> None:
        super().__init__(world, host, session, life, lasting)
        self.terms = world.terms[host]
        self.versions: dict[str, int] = {}
        self.epoch = 0  # of the last update that was answered
        self.asked: list[Asked] = []  # one after the other
        self._number = 0
        self._closing_soon = False

    def link_up(self, link: Link) -> None:
        """Its terms go first."""
        super().link_up(link)
        if self.terms is not None:
            link.send(self.terms)

    def _begin(self) -> None:
        before = self.began
        super()._begin()
        if self.began and not before:
            for at_ns, letter in self.world.updates[self.host]:
                self.clock.at(max(self.clock.now, self.world.began_ns + at_ns), self, self._update, letter)
        alone = self.terms is not None and self.terms.exclusive
        if alone and self.done and not (self.closing or self._closing_soon):
            self._closing_soon = True
            self.clock.later(int(self.world.random.random() * 3 * SECOND), self, self._has_all)

    def _has_all(self) -> None:
        self._closing_soon = False
        if self.done:
            self.close()

    # --- versions ---

    def computation(self, letter: str) -> say.Computation:
        """The one that is submitted now."""
        version = self.versions.get(letter, 0)
        return replace(COMPUTATIONS[letter], digest=f"{letter}.{version}") if version else COMPUTATIONS[letter]

    def _under(self, planned: Planned) -> Under:
        computation = self.computation(planned.computation)
        key = computation.digest, planned.options
        found = self._unders.get(key)
        if found is None:
            found = self._unders[key] = Under(planned)
            found.computation = computation
        return found

    def _submit(self, planned: Planned) -> None:
        known = planned.index in self.jobs
        super()._submit(planned)
        record: Record | None = self.jobs.get(planned.index)
        if record is not None and not known:
            digest = self.computation(planned.computation).digest
            self.world.oracle.submits_under(self.alias, record.number, digest, self.epoch)

    def _update(self, letter: str) -> None:
        if self.closing or self.refused:
            return
        if self.asked:  # the program waits for that
            self.clock.later(SECOND, self, self._update, letter)
            return
        old, version = self.computation(letter), self.versions.get(letter, 0) + 1
        new = replace(COMPUTATIONS[letter], digest=f"{letter}.{version}")
        self.core.define(old)
        self.core.define(new)
        self._number += 1
        self.asked.append(Asked(letter, say.Update(self._number, old.digest, new)))
        self.flush()

    def flush(self) -> None:
        """What is asked goes behind all that was submitted."""
        super().flush()
        for asked in self.asked:
            if self.link is not None and self.core.up and self.core.ready and asked.told is not self.link:
                asked.told = self.link
                self.link.send(asked.message)

    def _take(self, message: Any, body: bytes) -> None:
        super()._take(message, body)
        if isinstance(message, say.Answer) and self.asked and message.number == self.asked[0].message.number:
            asked = self.asked.pop()
            self.world.oracle.updated(self, message)
            self.versions[asked.letter] = self.versions.get(asked.letter, 0) + 1
            self.epoch = max(self.epoch, message.total)
            self.core.explicit.pop(asked.message.old, None)
