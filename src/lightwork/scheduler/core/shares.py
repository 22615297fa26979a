"""What one session has of one node: whether it may be used, and what it was asked to do with it.

                  client's word                     close
(wanted) OFFERED --------------> USED <----> IDLE ----------> LEAVING --jobs ended, released--> CLOSED
                                   ^                                            (allocate: USED again)
                                   +---- RESETTING <-- resetup
"""

from __future__ import annotations

import enum

from lightwork.scheduler.core.nodes import Node
from lightwork.wire.messages import Tailoring


class Use(enum.Enum):
    """How a session uses a node; the value says why no job is placed there."""

    OFFERED = "waits for NodeAllocate.allocate() to decide"
    USED = ""
    DECLINED = "was declined by NodeAllocate.allocate()"
    IDLE = "was deallocated"
    LEAVING = "is being closed"
    RESETTING = "is being set up again"
    CLOSED = "was closed"
    OUTSIDE = "is not among the nodes of this cluster"


class Share:
    """One session's record of one node. `order`: the client's number of what LEAVING or RESETTING will answer;
    `cancels`: whether that ends what runs there."""

    __slots__ = ("awaited", "cancels", "cap", "closed", "order", "releasing", "tailoring", "use", "wished")

    def __init__(self, use: Use = Use.USED) -> None:
        self.use = use
        self.cap = 0  # so many attempts of the session may be there at once; 0: as many as fit
        self.order = 0
        self.cancels = False
        self.wished = False  # its user asked for the node; else it is used because it is there
        self.releasing = False  # the node was told to forget the session and has not answered
        self.awaited: set[str] = set()  # computations that a re-setup prepares again
        self.tailoring: Tailoring | None = None
        self.closed: Node | None = None  # as it was: a later wish for it opens it again

    @property
    def lasting(self) -> bool:
        """Whether it says something that must be known when the node comes back."""
        return self.use in (Use.IDLE, Use.CLOSED) or self.tailoring is not None

    @property
    def busy(self) -> bool:
        """Whether a request of the client is not yet done."""
        return self.use in (Use.LEAVING, Use.RESETTING) or bool(self.awaited)


class Seeking:
    """What a session knows of the search for nodes, and has been told."""

    __slots__ = ("since_ns", "told", "told_none", "told_ns", "well_ns")

    def __init__(self) -> None:
        self.well_ns = 0  # when we looked last and all was well
        self.since_ns = -1  # when jobs began to wait without a node that may run them; -1: they do not
        self.told: set[str] = set()
        self.told_none = ""
        self.told_ns = 0
