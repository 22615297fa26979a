"""One nursery for all interpreters of a node, made of one for each: our own at once, the others when first needed.

Nurseries --0--> Keepers (our own interpreter: all programs too)
          --1--> Keepers (Python 3.9) ...        each with a keeper, its death and its successor of its own
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from lightwork.node.core.interpreters import OWN
from lightwork.node.service.keeper_spawn import Arenas, KeeperProcess
from lightwork.node.service.keepers import Keepers
from lightwork.node.service.nursery import Key, Parent, ProgramOrder
from lightwork.node.service.sweeping import Sweeper


def keepers_of(parent: Parent, loop: asyncio.AbstractEventLoop, arenas: Arenas, sole: bool) -> Nurseries:
    """What makes the processes of an agent. `sole`: the agent's process has no other children."""
    sweeper = Sweeper(parent.interpreters.own, sole)
    return Nurseries(lambda number: Keepers(parent, loop, arenas, sweeper, number), sweeper)


class Nurseries:
    """Asks the right one; what concerns a process or a template that others have, each passes over."""

    def __init__(self, make: Callable[[int], Keepers], sweeper: Sweeper) -> None:
        self._make = make
        self._sweeper = sweeper
        self._own = make(OWN)
        self._all = {OWN: self._own}

    def start(self, process: KeeperProcess | None = None) -> None:
        """Be ready for orders; `process`: a keeper of our own interpreter that was started early."""
        self._own.start(process)

    async def listen(self) -> None:
        """Workers come with their channels. StartFailed: not with what the node's owner wants them to have."""
        await self._own.listen()

    def fork(self, number: int, template: Key | None, python: int = OWN) -> None:
        """Make a worker of an interpreter."""
        self._of(python).fork(number, template)

    def set_up(self, key: Key, slot: int, load: Mapping[str, bytes], python: int = OWN) -> None:
        """Make a template process of an interpreter and run setup there."""
        self._of(python).set_up(key, slot, load)

    def spawn(self, number: int, order: ProgramOrder) -> None:
        """Start a program."""
        self._own.spawn(number, order)

    def kill(self, number: int) -> None:
        """End a worker's or program's whole tree."""
        for one in self._all.values():
            one.kill(number)

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to its process group."""
        for one in self._all.values():
            one.signal(number, signal)

    def cleanup(self, key: Key, slot: int) -> bool:
        """Run a cleanup in the template; False if there is no template that has been set up."""
        return any(one.cleanup(key, slot) for one in self._all.values())

    def drop(self, key: Key) -> None:
        """The template is no longer needed."""
        for one in self._all.values():
            one.drop(key)

    def pids(self) -> dict[str, int]:
        """All keepers and templates."""
        return {name: pid for one in self._all.values() for name, pid in one.pids().items()}

    async def stop(self) -> None:
        """End everything below us."""
        await asyncio.gather(*(one.stop() for one in self._all.values()))
        await self._sweeper.close()

    def _of(self, python: int) -> Keepers:
        found = self._all.get(python)
        if found is None:
            made = self._make(python)
            made.start_soon()
            found = self._all[python] = made
        return found
