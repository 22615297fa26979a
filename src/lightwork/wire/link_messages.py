"""What both sides of any link say: greetings, streams of bytes, pings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lightwork.wire.nouns import Name

Offset = Annotated[int, Meta(ge=0, le=1 << 62)]  # no file has more bytes


class Hello(Struct, array_like=True, tag=1):
    """First message of both sides. `role`: client, scheduler, node, watcher, relay; `lane`: control, or later bulk."""

    protocol: int
    role: str
    name: Name
    session: Name = ""
    lane: str = "control"
    credential: str = ""  # of the loopback token file
    software: str = ""
    pid: int = 0
    host: str = ""
    user: str = ""
    lease_ms: int = 0  # a scheduler's: a node that has not heard from it for so long lets go of everything
    beat_ms: int = 0  # a scheduler's: how often it wants heartbeats
    epoch: int = 0  # a durable scheduler's: which life of it this is, from 1; its `session` is the same in all of them
    incarnation: int = 0  # a client's: which life of its session goes on over this link; 0: a new one begins
    lasting: bool = False  # a client's: the session outlives it
    via: Name = ""  # a relay's name, which passes on a scheduler's hello to a node


class Refused(Struct, array_like=True, tag=2):
    """The hello was not accepted; the link closes."""

    code: str
    message: str
    hint: str = ""


class Goodbye(Struct, array_like=True, tag=3):
    """The sender leaves in good order."""

    reason: str = ""


class Fetch(Struct, array_like=True, tag=4):
    """Asks for bytes from `offset`: of kind "blob" (by digest), "spool" (`token/number`) or "argument" (a node asks by
    token, a scheduler by the job's number). Askers count streams."""

    stream: int
    kind: Name
    name: Name
    offset: Offset = 0


class Chunk(Struct, array_like=True, tag=5):
    """A piece of a stream; waits for credit and for all control messages. `error`: the stream ends without its rest."""

    stream: int
    last: bool = False
    error: str = ""


class Credit(Struct, array_like=True, tag=6):
    """The asker has room for so many further bytes of the stream; -1: it wants no more of it."""

    stream: int
    size: int


class Ping(Struct, array_like=True, tag=7):
    """Answered by Pong at once."""

    number: int


class Pong(Struct, array_like=True, tag=8):
    """Answer to Ping."""

    number: int


class Ack(Struct, array_like=True, tag=9):
    """So many counted messages (transport.outbox) have come since the claim began: the sender may forget them."""

    count: int
