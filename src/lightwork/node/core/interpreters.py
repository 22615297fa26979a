"""Which interpreter of this node runs a computation.

    the client's minor version is here    that interpreter, and the pickle: it may hold bytecode of that version
    it is not, but it came as source      what the node's owner has named first, else our own
    it could not (`untravellable`)        not on this node
    no function of the user's in it       any: it is a program, and a process of its own

Each interpreter has a number; 0 is the agent's own, which is preferred to all others.
"""

from __future__ import annotations

from lightwork.wire.messages import FUNCTION, Computation

ANY = -1
OWN = 0


class Interpreters:
    """The minor versions that this node offers, by number. None: whatever comes is for our own (tests of the core)."""

    def __init__(self) -> None:
        self.offered: list[tuple[int, int]] = []
        self.for_source = OWN

    def choose(self, computation: Computation) -> int | None:
        """The number of the interpreter for a computation; None: it cannot run here."""
        if not (computation.kind == FUNCTION or computation.setup or computation.cleanup):
            return ANY
        if computation.python == (0, 0) or not self.offered:
            return OWN
        if computation.python in self.offered:
            return self.offered.index(computation.python)
        return None if computation.untravellable else self.for_source

    def refusal(self, computation: Computation) -> dict[str, bytes]:
        """Why it cannot run here, as the fields of a failure."""
        wanted, here = named(computation.python), ", ".join(map(named, dict.fromkeys(self.offered)))
        text = f"{computation.name} needs Python {wanted}: {computation.untravellable}; this node has {here}"
        hint = f"install Python {wanted} there, or start the node with --python PATH"
        return {"type": b"WrongPython", "message": text.encode(errors="replace"), "hint": hint.encode()}


def named(version: tuple[int, int]) -> str:
    """A minor version as people write it."""
    return f"{version[0]}.{version[1]}"
