"""Finding the interpreters that a node can offer beside its own.

Whoever names one (`--python PATH`) wants it: it is an error if it does not work. A look around is quiet: it asks what
lies where interpreters usually lie, one for each minor version, in bounded time, and remembers the answers, so that
the next start waits for nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from lightwork.kit.tasks import spawn
from lightwork.model.errors import UserError
from lightwork.node.core.interpreters import named
from lightwork.node.service.asking import Memory, ask
from lightwork.node.service.interpreters import Interpreter, Interpreters
from lightwork.node.service.looking_around import MINORS, candidates, from_launcher

SEARCH_S = 1.0  # a start waits so long for the search

log = logging.getLogger(__name__)


class InterpreterSearch:
    """Adds to `interpreters` what there is; answers are remembered in the file `memory`."""

    def __init__(self, interpreters: Interpreters, memory: Path | None = None) -> None:
        self._interpreters = interpreters
        self._memory = Memory(memory)
        self._search: asyncio.Task[None] | None = None

    async def name(self, paths: Iterable[str]) -> list[str]:
        """Add those that the node's owner named. Remarks for people; UserError: one does not work."""
        asked = await asyncio.gather(*map(_named, paths), return_exceptions=True)
        remarks = []
        for found in map(_raised, asked):
            other = self._interpreters.add(found)
            if other is None and not self._interpreters.for_source:
                self._interpreters.for_source = len(self._interpreters.known) - 1
            if other is not None:
                version = named(found.version)
                remarks.append(f"--python {found.path} is not used: jobs of Python {version} run under {other.path}")
        return remarks

    async def look_around(self, patience_s: float = SEARCH_S) -> None:
        """Add further minor versions, newest first. Returns in time; what is found later is for the next agent."""
        found: dict[int, str] = {}
        self._search = spawn(self._find(found), "look for interpreters", _failed)
        await asyncio.wait([self._search], timeout=patience_s)
        self._take(found)
        if not self._search.done():
            self._search.add_done_callback(lambda search: self._take(found))

    def _take(self, found: dict[int, str]) -> None:
        for minor in sorted(found, reverse=True):
            self._interpreters.add(Interpreter(found[minor], (3, minor)))

    async def _find(self, found: dict[int, str]) -> None:
        home, environment = Path(os.path.expanduser("~")), dict(os.environ)
        by_minor = await asyncio.get_running_loop().run_in_executor(None, candidates, environment, home)
        for minor, paths in (await from_launcher()).items():
            by_minor.setdefault(minor, []).extend(paths)
        wanted = [minor for minor in MINORS if (3, minor) not in self._interpreters.versions()]
        try:
            await asyncio.gather(*(self._first(minor, by_minor.get(minor, []), found) for minor in wanted))
        finally:
            self._memory.save()

    async def _first(self, minor: int, paths: list[str], found: dict[int, str]) -> None:
        """The first of these that is what its name says."""
        for path in paths:
            answer = await self._memory.ask(path)
            if answer.version == (3, minor):
                found[minor] = answer.path
                return

    async def stop(self) -> None:
        """Look no further."""
        if self._search is not None and not self._search.done():
            self._search.cancel()
            await asyncio.wait([self._search])


async def _named(given: str) -> Interpreter:
    path = shutil.which(os.path.expanduser(given)) or os.path.expanduser(given)
    if os.path.isdir(path):
        inside = os.path.join(path, "Scripts" if sys.platform == "win32" else "bin", "python")
        raise UserError(f"--python {given} is a directory.", hint=f"did you mean {inside}?")
    path = os.path.abspath(path)
    answer = await ask(path)
    if not answer.version[0]:
        raise UserError(f"--python {path} {answer.reason}.", hint="name an interpreter, as /usr/bin/python3.9")
    return Interpreter(answer.path, answer.version)


def _raised(asked: Interpreter | BaseException) -> Interpreter:
    if isinstance(asked, BaseException):
        raise asked
    return asked


def _failed(error: BaseException, name: str) -> None:
    log.debug("%s: %s: %s", name, type(error).__name__, error)
