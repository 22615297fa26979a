"""The interpreters that a node offers.

    number 0   our own: what is installed there, jobs may use
    1, ...     those that the node's owner named (`--python PATH`)
    then       one of each further minor version that a look around found: for what nothing else fits

Workers of all but our own find nothing of ours installed: their keepers are lent cloudpickle (keeper_spawn). How the
others are found: interpreter_search.py.
"""

from __future__ import annotations

import sys

from msgspec import Struct


class Interpreter(Struct, frozen=True):
    """One that works."""

    path: str
    version: tuple[int, int]


class Interpreters:
    """All of a node, by number. The list may grow, but an agent keeps to what it found there at its start."""

    def __init__(self, own: Interpreter | None = None) -> None:
        self.known = [own or Interpreter(sys.executable, sys.version_info[:2])]
        self.for_source = 0  # the number of the one for what comes as source: whoever names one wants jobs there

    def __getitem__(self, number: int) -> Interpreter:
        return self.known[number]

    @property
    def own(self) -> str:
        """The path of our own."""
        return self.known[0].path

    def versions(self) -> list[tuple[int, int]]:
        """Minor versions, by number of the interpreter."""
        return [one.version for one in self.known]

    def add(self, found: Interpreter) -> Interpreter | None:
        """Offer one more; unless there is one of its version, which is returned."""
        for one in self.known:
            if one.version == found.version:
                return one
        self.known.append(found)
        return None
