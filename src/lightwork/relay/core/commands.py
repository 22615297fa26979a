"""What the relay's core wants done."""

from __future__ import annotations

from msgspec import Struct


class Command(Struct):
    """Base of all commands."""


class OpenChannel(Command):
    """Tell the scheduler of this node."""

    node: int


class CloseChannel(Command):
    """Tell it that the node is gone, behind what it said before."""

    node: int


class HangUp(Command):
    """End the link of a node: it dials again, or is dialled, and resumes. `flush`: what waits for it still leaves."""

    node: int
    flush: bool = False


class Ping(Command):
    """Is the scheduler there?"""


class GiveUp(Command):
    """The link to the scheduler is as good as broken."""


class Soothe(Command):
    """Tell these nodes that their link is alive. It says nothing of the scheduler: their lease runs on."""

    nodes: list[int]


class FetchBlob(Command):
    """From an earlier relay, if what it has left is right; else from the scheduler, once that is there."""

    digest: str


class ServeBlob(Command):
    """To a node, from here."""

    node: int
    stream: int
    digest: str
    offset: int = 0


class RefuseBlob(Command):
    """There is no such file."""

    node: int
    stream: int
    reason: str


class PassFetch(Command):
    """The node's question is to be answered by the scheduler after all."""

    node: int
    stream: int
    digest: str
    offset: int = 0


class Evict(Command):
    """Delete these files."""

    digests: list[str]
