"""What the scheduler's core wants done: commands, imperative. The service obeys; it decides nothing.

`after`: the number of the last fact (`Record`) that must be on disk before this is done; 0: none. What goes to the same
client or node later waits behind it.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.scheduler.core.facts import Fact
from lightwork.wire.messages import Attempt, Computation, File, JobOptions, NodeStatus, Place, SetPolicy as Policy


class Command(Struct):
    """Base of all commands."""


class Record(Command):
    """Write this fact down. They are numbered from 1 in each life."""

    number: int
    fact: Fact


class WakeAt(Command):
    """Feed the core again, with nothing if nothing happens, as soon as this time is reached (monotonic). It takes the
    place of what was said before."""

    at_ns: int


class Discard(Command):
    """Nobody needs these blobs any more."""

    digests: list[str]
    after: int = 0


# --- to nodes ---


class Prepare(Command):
    """Get a computation ready."""

    node: str
    session: str
    computation: Computation
    epoch: int = 0
    after: int = 0


class Assign(Command):
    """Make these attempts, in this order. `numbers` of the jobs; `attempts`: each one's count, unless all are first."""

    node: str
    session: str
    computation: str
    tokens: list[int]
    payloads: list[bytes]
    options: JobOptions
    places: list[Place] = []
    numbers: list[int] = []
    attempts: list[int] = []
    apart: list[Place] = []  # those whose arguments the node fetches
    after: int = 0


class Revoke(Command):
    """Give back those that have not started."""

    node: str
    tokens: list[int]


class Stop(Command):
    """Interrupt and end these attempts; `now`: kill at once."""

    node: str
    tokens: list[int]
    now: bool = False
    after: int = 0


class Free(Command):
    """Results in the arena (offsets) and files in the spool (tokens) that nobody will ask for."""

    node: str
    regions: list[int] = []
    spooled: list[int] = []


class Settle(Command):
    """We have the ends of these attempts for good: forget them."""

    node: str
    tokens: list[int]
    after: int = 0


class Release(Command):
    """Remove all traces of a session."""

    node: str
    session: str


class Drop(Command):
    """A node's lease is over: close its link."""

    node: str


class HangUp(Command):
    """A node is no longer wanted: say goodbye to it, so that it is free for others."""

    node: str
    reason: str


class SetSlots(Command):
    """A node shall use so many of its slots."""

    node: str
    slots: int


class SetPolicy(Command):
    """A node shall do as its owner says from elsewhere."""

    node: str
    policy: Policy
    after: int = 0


class PlaceFile(Command):
    """A node shall lay a file into the directory of a computation."""

    node: str
    number: int
    session: str
    computation: str
    file: File


class AskHeld(Command):
    """A node shall say which attempts it has."""

    node: str
    number: int


# --- to the network ---


class Dial(Command):
    """Try to reach a node there; NodeJoined or NodeUnreached follows."""

    address: str


class AskNetwork(Command):
    """Ask who is there: everybody on our networks, and these hosts; NodeHeard follows for each answer. Of a node with
    several addresses, one that fits a pattern is preferred."""

    hosts: list[str]
    patterns: list[str] = []


# --- to clients ---


class Deliver(Command):
    """Jobs that ended. Columns; `body`: the outcomes one after another; starts are monotonic ns, 0: never started."""

    session: str
    node: str
    jobs: list[int]
    states: list[int]
    statuses: list[int]
    starts_ns: list[int]
    durations_ns: list[int]
    attempts: list[int]
    lengths: list[int]
    body: bytes
    files: list[tuple[int, list[File]]] = []
    tokens: list[int] = []
    again: list[int] = []
    histories: list[tuple[int, list[Attempt]]] = []
    after: int = 0


class Open(Command):
    """A durable session is open for this life of its client; `earlier` jobs are told of before anything else."""

    session: str
    incarnation: int
    next_number: int
    earlier: int = 0
    after: int = 0


class TellEarlier(Command):
    """Jobs of earlier lives; columns of wire Earlier, and their arguments."""

    session: str
    computations: list[tuple[str, str, str]]
    jobs: list[int]
    computation: list[int]
    states: list[int]
    keys: list[str]
    ids: list[bytes]
    prints: list[bytes]
    again: list[bool]
    payloads: list[bytes]
    after: int = 0


class Accept(Command):
    """All jobs below this number are on disk."""

    session: str
    upto: int
    after: int = 0


class RefuseJobs(Command):
    """These jobs are not taken."""

    session: str
    jobs: list[int]
    error: str
    hint: str = ""


class TellRunning(Command):
    """Jobs that are running since `starts_ns` (monotonic)."""

    session: str
    node: str
    jobs: list[int]
    starts_ns: list[int]


class TellRequeued(Command):
    """Jobs that ran and wait again."""

    session: str
    jobs: list[int]
    reason: str


class TellProvisional(Command):
    """An intermediate result."""

    session: str
    job: int
    body: bytes
    in_arena: bool = False


class TellFile(Command):
    """A file that a running job sent."""

    session: str
    node: str
    job: int
    token: int
    name: str
    file: File


class TellComputation(Command):
    """A computation became ready, or failed, on a node."""

    session: str
    computation: str
    node: str
    ready: bool
    failure: dict[str, bytes] = {}


class TellNode(Command):
    """A node came, went, or reported its load (a ClusterEvent number)."""

    session: str
    event: int
    node: NodeStatus


class Warn(Command):
    """Something the user of a session should read."""

    session: str
    level: str
    text: str
    hint: str = ""


class EndSession(Command):
    """A session is over and all nodes have forgotten it: say goodbye."""

    session: str
    after: int = 0


class OfferNode(Command):
    """The client's NodeAllocate number `spec` is to decide about a node."""

    session: str
    spec: int
    node: NodeStatus


class Answer(Command):
    """What a client asked for is done, or cannot be."""

    session: str
    number: int
    error: str = ""
    hint: str = ""
    jobs: list[int] = []
    nodes: list[str] = []
    after: int = 0
    total: int = 0
