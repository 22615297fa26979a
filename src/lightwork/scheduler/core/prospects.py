"""Addresses where nodes may be: listed by users, or heard on the network; and what was said there.

TRYING --NodeJoined--> JOINED --lost--> TRYING          TRYING --NodeUnreached--> BUSY, REFUSED, UNREACHABLE
   ^                                                                                      |
   +----------------------------- it is time to try again --------------------------------+

Busy nodes are asked again soon, for that keeps our place in their line; those that say that they are ours already after
RETRY_MAX_S, the others after RETRY_S, later RETRY_MAX_S.
What was only heard, and cannot be reached, is forgotten after a while; what a user listed is tried as long as anybody
wishes for it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator

from lightwork.config import timers
from lightwork.wire.messages import Attempted

SECOND_NS = 1_000_000_000
FIRST_TRIES = 30  # in the first minute
HEARD_TRIES = 10  # of an address that nobody listed
HEARD_MAX = 4096  # addresses that the network may make us know


class Stage(enum.Enum):
    """How it stands with an address."""

    TRYING = "trying"
    JOINED = "joined"
    BUSY = "busy"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    ALIAS = "connected"  # the node there is ours already, by another address


class Prospect:
    """One address."""

    __slots__ = ("address", "dialling", "hint", "listed", "next_ns", "node", "stage", "text", "tries")

    def __init__(self, address: str, *, listed: bool) -> None:
        self.address = address
        self.listed = listed
        self.stage = Stage.TRYING
        self.dialling = False
        self.node = ""  # its name, once it was there
        self.text = self.hint = ""
        self.tries = 0
        self.next_ns = 0

    def failed(self, stage: Stage, text: str, hint: str, now_ns: int) -> None:
        """It was tried, in vain."""
        self.dialling = False
        self.stage = stage
        self.text, self.hint = ("", "") if stage is Stage.TRYING else (text, hint)
        self.tries += 1
        soon = self.tries < FIRST_TRIES and stage is not Stage.ALIAS  # which we may just be letting go of
        wait_s = timers.RETRY_S if soon else timers.RETRY_MAX_S
        self.next_ns = now_ns + int((timers.LINE_AGAIN_S if stage is Stage.BUSY else wait_s) * SECOND_NS)

    def joined(self, node: str) -> None:
        """A node answered, and is ours."""
        self.dialling = False
        self.stage, self.node, self.tries = Stage.JOINED, node, 0
        self.text = self.hint = ""

    def lost(self, now_ns: int) -> None:
        """Its link broke: try at once."""
        if self.stage in (Stage.JOINED, Stage.ALIAS):
            self.stage, self.next_ns, self.tries = Stage.TRYING, now_ns, 0

    def report(self) -> Attempted:
        """For users."""
        return Attempted(self.address.removeprefix("tcp:"), self.stage.value, self.text, self.hint)


class Prospects:
    """All of them."""

    def __init__(self) -> None:
        self._all: dict[str, Prospect] = {}
        self.asked = 0  # how often the network was
        self.next_ask_ns = 0

    def __iter__(self) -> Iterator[Prospect]:
        return iter(self._all.values())

    def get(self, address: str) -> Prospect | None:
        """The record of an address."""
        return self._all.get(address)

    def unanswered(self) -> bool:
        """Whether some are being tried for the first time."""
        return any(one.dialling and not one.tries for one in self._all.values())

    def of_node(self, node: str) -> Prospect | None:
        """Where a node was reached."""
        return next((one for one in self._all.values() if one.node == node), None)

    def add(self, address: str, *, listed: bool) -> None:
        """An address to be tried, unless it is known."""
        known = self._all.get(address)
        if known is None:
            if listed or len(self._all) < HEARD_MAX:
                self._all[address] = Prospect(address, listed=listed)
        else:
            known.listed |= listed
            if known.stage is Stage.CLOSED and listed:
                known.stage, known.next_ns = Stage.TRYING, 0

    def reopen(self, wanted: Callable[[str], bool]) -> None:
        """A new wish: what was closed, as nobody wanted it, may be tried again."""
        for one in self._all.values():
            if one.stage is Stage.CLOSED and wanted(one.address):
                one.stage, one.next_ns = Stage.TRYING, 0

    def forget(self, those: Iterable[Prospect]) -> None:
        """They are not tried any more."""
        for one in those:
            del self._all[one.address]

    def node_lost(self, node: str, now_ns: int) -> None:
        """Its link broke: where it was reached, and under its other addresses, it may be again."""
        for one in self._all.values():
            if one.node == node or one.stage is Stage.ALIAS:
                one.lost(now_ns)

    def due(self, now_ns: int) -> list[Prospect]:
        """Those to be dialled now. Forgets what was only heard and is not there."""
        for gone in [one for one in self._all.values() if not one.listed and one.tries > HEARD_TRIES]:
            if gone.stage is Stage.UNREACHABLE:
                del self._all[gone.address]
        idle = (Stage.JOINED, Stage.CLOSED)
        return [
            one for one in self._all.values() if not one.dialling and one.stage not in idle and one.next_ns <= now_ns
        ]
