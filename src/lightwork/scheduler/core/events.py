"""What the scheduler's core is told: events, past tense, in batches. Times are monotonic nanoseconds."""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.messages import Computation, File, Hardware, JobOptions, Load, Place


class Event(Struct):
    """Base of all events."""


class ClientJoined(Event):
    """A client opened a session."""

    session: str


class ClientLost(Event):
    """A client's link broke without a goodbye."""

    session: str


class ClientCongested(Event):
    """A client takes its results more slowly than they come: so much waits that nothing more shall start."""

    session: str


class ClientDrained(Event):
    """A congested client has taken what waited for it."""

    session: str


class CloseAsked(Event):
    """A client wants to end its session; `cancel` what has not ended."""

    session: str
    cancel: bool = False


class ComputationDefined(Event):
    """A client described a computation."""

    session: str
    computation: Computation


class JobsSubmitted(Event):
    """Jobs first, first+1, ... with these arguments; `places`: those whose arguments lie in the client's arena."""

    session: str
    computation: str
    first: int
    payloads: list[bytes]
    options: JobOptions = JobOptions()
    places: list[Place] = []


class JobsCancelled(Event):
    """The user no longer wants these jobs."""

    session: str
    jobs: list[int]


class NodeJoined(Event):
    """A node offers its slots, for the first time or again."""

    node: str
    slots: int
    address: str = ""
    hardware: Hardware = Hardware()


class NodeLost(Event):
    """A node's link broke. Its attempts are settled when it comes back, or when its lease is over."""

    node: str


class NodeBeat(Event):
    """A heartbeat: the node's full truth."""

    node: str
    held: list[int] = []
    running: list[int] = []
    load: Load = Load()
    workers: list[int] = []


class ComputationReady(Event):
    """A computation is prepared on a node."""

    node: str
    session: str
    computation: str


class ComputationFailed(Event):
    """A computation cannot be prepared on a node; fields as in wire.outcome."""

    node: str
    session: str
    computation: str
    failure: dict[str, bytes] = {}


class AttemptsStarted(Event):
    """Attempts are running since so many nanoseconds."""

    node: str
    tokens: list[int]
    ages_ns: list[int]


class AttemptsEnded(Event):
    """Attempts told how they ended. `body`: their outcomes one after another."""

    node: str
    tokens: list[int]
    statuses: list[int]
    ages_ns: list[int]
    durations_ns: list[int]
    lengths: list[int]
    body: bytes
    files: list[tuple[int, list[File]]] = []


class AttemptsReturned(Event):
    """Attempts came back without having started."""

    node: str
    tokens: list[int]
    reason: str = ""


class AttemptsDied(Event):
    """Attempts ended without a word: by their own fault (`blame`) or with their agent, keeper or node."""

    node: str
    tokens: list[int]
    blame: bool
    ages_ns: list[int]
    lengths: list[int]
    body: bytes


class AttemptSpoke(Event):
    """A running attempt sent an intermediate result."""

    node: str
    token: int
    body: bytes
    in_arena: bool = False


class AttemptSentFile(Event):
    """A running attempt sent a file, which lies in the node's spool as `name`."""

    node: str
    token: int
    name: str
    file: File


class SessionReleased(Event):
    """A node has removed all traces of a session."""

    node: str
    session: str
    problems: list[str] = []


class TimePassed(Event):
    """Nothing happened but time; leases and waits are looked at."""
