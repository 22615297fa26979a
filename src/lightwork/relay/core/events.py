"""What the relay's core is told. Nodes are numbered as they come; the number of a node is that of its channel."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct):
    """Base of all events."""


# --- links ---


class SchedulerGreeted(Event):
    """The link to the scheduler is up; all channels begin anew on it."""


class SchedulerLost(Event):
    """It is gone."""


class NodeGreeted(Event):
    """A node is there, for the first time or again."""

    node: int


class NodeGone(Event):
    """Its link is."""

    node: int


class ChannelEnded(Event):
    """The scheduler has no more to say to this node."""

    node: int


class BeatDue(Event):
    """A second or so has passed. `heard`: something came from the scheduler; `quiet`: nodes to which nothing went."""

    heard: bool
    quiet: list[int] = []


# --- files ---


class BlobFound(Event):
    """At the start: an earlier relay has left this; in the order in which they were used. Nobody has looked into it."""

    digest: str
    size: int


class BlobWanted(Event):
    """A node asks for a file, from `offset` on."""

    node: int
    stream: int
    digest: str
    offset: int = 0


class BlobArrived(Event):
    """It is here, whole and right."""

    digest: str
    size: int


class BlobFailed(Event):
    """It cannot be had. `ours`: only because it cannot be kept here."""

    digest: str
    reason: str
    ours: bool = False


class DiskFilled(Event):
    """There is no room on it for what comes, whatever our quota."""


class BlobVanished(Event):
    """Somebody has deleted it."""

    digest: str


class BlobRead(Event):
    """A node has it, or wants no more of it."""

    digest: str
