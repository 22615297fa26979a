"""What a durable scheduler writes down: facts, in the order in which they became true. Nothing else survives it.

A fact is an array with its kind's number in front, so that a later version may append fields. Times are ns since 1970,
for they are read in another life. What `ledger.Ledger` makes of them is all that a restart knows.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from lightwork.wire.messages import Attempt, Computation, Digest, File, JobOptions, SetPolicy, Tailoring, Wanted


class Began(Struct, array_like=True, tag=1):
    """A life of this scheduler: epochs count from 1. `identity` is the same in all of them."""

    epoch: int
    identity: str
    ordinal: int = 0  # of the next job, at least


class NodeKnown(Struct, array_like=True, tag=2):
    """A node works for us. `via`: the address where it was dialled, "": it dials us. `lease_ns`: behind a relay, 0:
    as everybody."""

    node: str
    identity: str
    era: str
    via: str = ""
    lease_ns: int = 0


class NodeGone(Struct, array_like=True, tag=3):
    """It does not any more."""

    node: str


class SessionOpened(Struct, array_like=True, tag=4):
    """A client's life begins (`incarnation` from 1); `lasting`: the session outlives it."""

    session: str
    incarnation: int
    lasting: bool = False
    user: str = ""
    host: str = ""
    first: int = 0  # the number of its first job
    key: str = ""  # what nodes know the session by


class SessionEnded(Struct, array_like=True, tag=5):
    """Nothing of it is wanted any more."""

    session: str


class Wished(Struct, array_like=True, tag=6):
    """A session wishes for nodes, besides those it wished for before. `life`: of its client; what earlier lives wished
    for is over with the first wish of the next."""

    session: str
    wanted: list[Wanted]
    life: int = 0
    only: bool = False


class Defined(Struct, array_like=True, tag=7):
    """A computation of a session."""

    session: str
    computation: Computation


class Submitted(Struct, array_like=True, tag=8):
    """Jobs. Columns; `keys`, `ids` and `prints` may be empty as a whole. `stored`: (index, file): arguments that lie in
    the store of blobs; their payload is b""."""

    session: str
    computation: Digest
    options: JobOptions
    numbers: list[int]
    payloads: list[bytes]
    keys: list[str] = []
    ids: list[bytes] = []
    prints: list[bytes] = []
    stored: list[tuple[int, File]] = []
    epoch: int = 0
    ordinals: list[int] = []  # in which order all jobs came; a single one: the others follow; none: after all others


class Skipped(Struct, array_like=True, tag=9):
    """Numbers below this one are used up; those from `first` on (-1: none) by jobs that were refused."""

    session: str
    upto: int
    first: int = -1


class Named(Struct, array_like=True, tag=10):
    """What users call jobs, said later."""

    session: str
    numbers: list[int]
    ids: list[bytes]


class Granted(Struct, array_like=True, tag=11):
    """Jobs that must not start twice are about to go to a node: from now on they may have started there."""

    session: str
    node: str
    era: str
    numbers: list[int]
    tokens: list[int]


class Ungranted(Struct, array_like=True, tag=12):
    """They came back without having started."""

    session: str
    numbers: list[int]


class Spent(Struct, array_like=True, tag=13):
    """An attempt is over and its job is not. `blame`: it killed its worker; `retry`: it failed and is tried again;
    `told`: its token, if its node has told its end, and may do so again; `lost`: its token, if nobody has, for then it
    may come back."""

    session: str
    number: int
    attempt: Attempt
    blame: bool = False
    retry: bool = False
    told: int = 0
    lost: int = 0


class CancelAsked(Struct, array_like=True, tag=14):
    """Their user does not want them any more."""

    session: str
    numbers: list[int]


class Ended(Struct, array_like=True, tag=15):
    """Jobs have ended on one node, or nowhere. Columns as in wire Results; starts in ns since 1970. `files`: (index,
    files), all in the store of blobs; one without a path is the value. `lives`: to which of its lives the client may
    have been told, 0: to none yet."""

    session: str
    node: str
    numbers: list[int]
    states: list[int]
    statuses: list[int]
    starts_ns: list[int]
    durations_ns: list[int]
    attempts: list[int]
    lengths: list[int]
    body: bytes
    lives: list[int]
    files: list[tuple[int, list[File]]] = []


class Taken(Struct, array_like=True, tag=16):
    """User code has these results."""

    session: str
    numbers: list[int]


class TermsSet(Struct, array_like=True, tag=26):
    """How a session shares nodes with others. `since`: of the first job that comes after it, if it wants them all; 0:
    not now, for nobody is there and no job is left."""

    session: str
    weight: float = 1.0
    exclusive: bool = False
    since: int = 0


class Updated(Struct, array_like=True, tag=30):
    """A computation took the place of `old`: what is submitted from now on is of this epoch. `first`: the epoch of the
    first of the updates that led here, if those are written down no more."""

    session: str
    old: Digest
    computation: Digest
    epoch: int
    first: int = 0


class HostsSaid(Struct, array_like=True, tag=31):
    """What is to be done with machines from now on (wire ChangeHosts)."""

    action: str
    hosts: list[str]
    group: str = ""
    by: str = ""
    policy: SetPolicy | None = None


class Closing(Struct, array_like=True, tag=32):
    """A client wants the session to end: it does when its jobs have."""

    session: str


class Allotted(Struct, array_like=True, tag=33):
    """What NodeAllocate last said of a node: so many of its slots, 0: not used; and what the session has of its own
    there."""

    session: str
    node: str
    slots: int
    tailoring: Tailoring | None = None


class Unspent(Struct, array_like=True, tag=17):
    """An attempt that was lost is back: it is not over."""

    session: str
    number: int
    token: int


Fact: TypeAlias = (
    Began
    | NodeKnown
    | NodeGone
    | SessionOpened
    | SessionEnded
    | Wished
    | Defined
    | Submitted
    | Skipped
    | Named
    | Granted
    | Ungranted
    | Spent
    | CancelAsked
    | Ended
    | Taken
    | TermsSet
    | Updated
    | HostsSaid
    | Closing
    | Allotted
    | Unspent
)
