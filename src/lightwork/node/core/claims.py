"""Who may have a node: one scheduler at a time, by its session; others wait in line.

    FREE --asked--> HELD --ended (goodbye, lease)--> CLEARING --freed--> FREE
                     |  asked again by its owner: a new link takes over the old one
                     |  asked by others: BUSY, and a place in the line

The line is a memory of who asked: first come, first served. Nobody is told when the node is free; who waits asks again
every second or two, and who has not asked for a while has lost its place. Pure: no clock, no link.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.kit.text import count


class Owner(Struct, frozen=True):
    """Who has the node: the session decides, the rest is for people."""

    session: str
    who: str
    since: str = ""  # wall clock


class _Place(Struct):
    who: str
    asked_ns: int


class Claims:
    """The claim on one node and the line for it."""

    def __init__(self, line_ns: int) -> None:
        self.owner: Owner | None = None
        self.clearing = False
        self.unreachable = ""  # wall clock: since when its owner cannot be reached, while its attempts run on
        self.orphans = 0  # how many
        self._line_ns = line_ns
        self._line: dict[str, _Place] = {}  # in order of coming

    def asked(self, session: str, who: str, now_ns: int, wall: str) -> str:
        """A scheduler wants the node: "" if it has it now, or has it already; else the reason to wait."""
        self._forget(now_ns)
        owner = self.owner
        if owner is not None and owner.session == session and not self.clearing:
            return ""
        if owner is None and not self._before(session):
            self._line.pop(session, None)
            self.owner = Owner(session, who, wall)
            return ""
        self._line.setdefault(session, _Place(who, now_ns)).asked_ns = now_ns
        return self._reason(session)

    def ended(self) -> None:
        """The claim is over; what was its owner's is being removed."""
        self.clearing = self.owner is not None

    def freed(self) -> None:
        """Nothing of it is left: the next may come."""
        self.owner, self.clearing = None, False
        self.unreachable, self.orphans = "", 0

    def waiting(self, now_ns: int) -> list[str]:
        """Who stands in line."""
        self._forget(now_ns)
        return [place.who for place in self._line.values()]

    def _reason(self, session: str) -> str:
        before = self._before(session)
        behind = f", with {count(len(before), 'other')} before you in line" if before else ""
        if self.owner is None:
            return f"kept for {self._line[before[0]].who}, who has waited longer{behind}"
        if self.clearing:
            return f"still being cleared of what {self.owner.who} had here{behind}"
        if self.unreachable:
            jobs = count(self.orphans, "job")
            return f"busy: it still runs {jobs} of {self.owner.who}, unreachable since {self.unreachable}{behind}"
        return f"in use by {self.owner.who} since {self.owner.since}{behind}"

    def _before(self, session: str) -> list[str]:
        line = list(self._line)
        return line[: line.index(session)] if session in self._line else line

    def _forget(self, now_ns: int) -> None:
        self._line = {
            session: place for session, place in self._line.items() if now_ns - place.asked_ns <= self._line_ns
        }
