"""A scheduler's claim on this node, from its first link to its end. Pure: told the time (ns that count suspend).

             welcomed                    lease over, and the scheduler is durable
    AWAY <-------------> LIVE      AWAY, LIVE -------------------------------> ORPHANED
     ^     link broken              |                                            |  welcomed, and adopted: LIVE
     |  lease over, goodbye, given up, another's --> OVER <----------------------+  nothing runs any more, or too long

LIVE       both sides count what they say (transport.outbox); messages are believed
AWAY       attempts run on; what is to be said waits in the outbox; the lease runs
ORPHANED   what had not started is let go, what had runs on. What was to be said is forgotten: ends are kept
           (keeping.py), all else the Truth will tell. The claim gets a new number: nobody resumes it
OVER       everything is killed. What is kept for a durable scheduler stays

A durable scheduler has lives, its epochs. It adopts what it finds here: then both begin to count anew, and we tell the
Truth and every end that is not settled. An earlier life than one that was seen is refused, whatever it says. An offer
that was not answered may have been accepted: so the next one has a new number, and leads to another adoption.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from lightwork.kit.text import count, span
from lightwork.node.core.pulse import Pulse

STALE = "stale"  # the code of such a refusal
Link: TypeAlias = Any  # whatever the service calls a link


class Phase(enum.Enum):
    """How things stand between a scheduler and us."""

    AWAY = 0
    LIVE = 1
    ORPHANED = 2
    OVER = 3


class Command(Struct):
    """Base of all commands."""


class Offer(Command):
    """Say NodeReady over this link: under this claim number, and how many counted messages have come."""

    link: Link
    claim: str


class Drop(Command):
    """Close this link at once; `stale`: its scheduler is an earlier life of ours."""

    link: Link
    stale: bool = False


class Resume(Command):
    """Go on over this link: its other side has `received` of what we said."""

    link: Link
    received: int


class Adopt(Command):
    """Begin to count anew, both ways; over this link tell the Truth, then every end that is not settled."""

    link: Link


class LetGo(Command):
    """Give back all that has not started, and forget what was to be said. What has started runs on."""


class End(Command):
    """The claim is over: kill everything; `again`: it begins anew over this link, with another agent."""

    why: str
    again: Link | None = None


Commands: TypeAlias = list[Command]


class Epochs:
    """The latest life of each durable scheduler that was seen here."""

    def __init__(self, seen: dict[str, int] | None = None, most: int = 1000) -> None:
        self.seen = dict(seen or {})
        self._most = most

    def admits(self, scheduler: str, epoch: int) -> bool:
        """Whether this life of it may be obeyed."""
        return epoch >= self.seen.get(scheduler, 0)

    def note(self, scheduler: str, epoch: int) -> bool:
        """This life of it was seen; whether that is news, to be written down before it is obeyed."""
        if epoch <= self.seen.get(scheduler, 0):
            return False
        self.seen.pop(scheduler, None)
        self.seen[scheduler] = epoch
        while len(self.seen) > self._most:
            del self.seen[next(iter(self.seen))]
        return True


class Tenure:
    """One claim. `epoch` 0: the scheduler is not durable. `new_number` makes claim numbers."""

    def __init__(
        self,
        lease_ns: int,
        orphan_ns: int,
        now_ns: int,
        new_number: Callable[[], str],
        epoch: int = 0,
        number: str = "",
    ) -> None:
        self.phase = Phase.AWAY
        self.link: Link | None = None
        self.number = number or new_number()
        self.epoch = epoch
        self.pulse = Pulse(lease_ns, now_ns)
        self._orphan_ns = orphan_ns
        self._orphaned_ns = 0  # since when
        self._offered_ns = now_ns
        self._lived = False  # welcomed once
        self._unanswered = False
        self._new_number = new_number

    @property
    def durable(self) -> bool:
        """Whether its scheduler has lives."""
        return self.epoch > 0

    @property
    def live(self) -> bool:
        """Whether messages of the link are meant for us as we are."""
        return self.phase is Phase.LIVE

    # --- links ---

    def linked(self, link: Link, epoch: int, now_ns: int) -> Commands:
        """The same scheduler over a new link: it takes the place of the old one, unless it is an earlier life."""
        if self.phase is Phase.OVER or epoch < self.epoch:
            return [Drop(link, stale=epoch < self.epoch)]
        commands: Commands = [Drop(self.link)] if self.link is not None else []
        self.epoch, self.link = epoch, link
        if self.phase is Phase.LIVE:
            self.phase = Phase.AWAY
        self.pulse.linked()
        if self._unanswered and self.durable:
            self.number = self._new_number()
        self._offered_ns, self._unanswered = now_ns, True
        return [*commands, Offer(link, self.number)]

    def begun_on(self, link: Link, now_ns: int) -> Commands:
        """This claim took the place of one that ended on this link, by the welcome that has come there already."""
        self.link, self._offered_ns = link, now_ns
        return self._live(now_ns, Resume(link, 0))

    def unlinked(self, link: Link) -> None:
        """It is gone; the next one may come within the lease, and to orphans later."""
        if link is self.link:
            self.link = None
            if self.phase is Phase.LIVE:
                self.phase = Phase.AWAY

    def welcomed(self, link: Link, resumed: bool, received: int, adopts: bool, epoch: int, now_ns: int) -> Commands:
        """The scheduler has answered the offer."""
        if link is not self.link or self.phase in (Phase.LIVE, Phase.OVER):
            return []
        if epoch < self.epoch:
            self.link = None
            return [Drop(link, stale=True)]
        self._unanswered = False
        if adopts and not resumed:
            return self._live(now_ns, Adopt(link))
        if self._lived and not resumed:
            return self._end("the scheduler has given it up meanwhile", link)
        if self.phase is Phase.ORPHANED:  # nobody can resume a number that nobody knew
            self.link = None
            return [Drop(link)]
        return self._live(now_ns, Resume(link, received))

    def left(self, link: Link, reason: str) -> Commands:
        """The scheduler has said goodbye."""
        if link is not self.link or self.phase is Phase.OVER:
            return []
        return self._end("the scheduler has left" + (f": {reason}" if reason else ""))

    def given_up(self, why: str) -> Commands:
        """We end it ourselves."""
        return [] if self.phase is Phase.OVER else self._end(why)

    # --- the clock ---

    def passed(self, now_ns: int, running: int) -> Commands:
        """Time went by; `running` attempts are in hand. To be asked before anything that has come is believed."""
        if self.phase in (Phase.AWAY, Phase.LIVE) and self.pulse.left_ns(now_ns) <= 0:
            return self._lease_over(now_ns, running)
        if self.phase is Phase.ORPHANED:
            if not running:
                return self._end("none of its jobs runs here any more, and it cannot be reached")
            if now_ns - self._orphaned_ns >= self._orphan_ns:
                jobs = count(running, "job")
                return self._end(
                    f"it could not be reached for {span(self._orphan_ns / 1e9)}, and {jobs} of it still ran"
                )
        return []

    def left_ns(self, now_ns: int) -> int:
        """How long it lasts if nothing comes: the lease, or the time of orphans."""
        if self.phase is Phase.ORPHANED:
            return self._orphaned_ns + self._orphan_ns - now_ns
        return self.pulse.left_ns(now_ns)

    # --- steps ---

    def _lease_over(self, now_ns: int, running: int) -> Commands:
        if not (self.durable and running):
            lease = span(self.pulse.lease_ns / 1e9)
            return self._end(f"nothing that this node has said for {lease} was answered")
        commands: Commands = [Drop(self.link)] if self.link is not None else []
        self.phase, self.link = Phase.ORPHANED, None
        self._orphaned_ns = now_ns + self.pulse.left_ns(now_ns)  # we may have been stopped since
        self.number = self._new_number()
        return [*commands, LetGo()]

    def _live(self, now_ns: int, command: Command) -> Commands:
        self.phase, self._lived = Phase.LIVE, True
        self.pulse.answered(self._offered_ns)
        return [command]

    def _end(self, why: str, again: Link | None = None) -> Commands:
        self.phase = Phase.OVER
        link, self.link = self.link, None
        commands: Commands = [Drop(link)] if link is not None and link is not again else []
        return [*commands, End(why, again)]
