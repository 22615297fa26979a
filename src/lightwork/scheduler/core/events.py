"""What the scheduler's core is told: events, past tense, in batches. Times are monotonic nanoseconds."""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.messages import Computation, File, Hardware, JobOptions, Load, Place, Tailoring, Wanted


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
    """A node offers its slots, for the first time or again. `via`: the address that we dialled; `resumed`: nothing
    that was under way between us is lost; `shares_memory`: the clients' arenas are mapped there."""

    node: str
    slots: int
    address: str = ""
    hardware: Hardware = Hardware()
    via: str = ""
    resumed: bool = False
    shares_memory: bool = True
    pythons: list[tuple[int, int]] = []
    labels: dict[str, str] = {}


class NodeLost(Event):
    """A node's link broke. Its attempts are settled when it comes back, or when its lease is over; if it `left` with a
    goodbye, at once."""

    node: str
    left: bool = False


class NodeDraining(Event):
    """A node's owner wants it back: no new attempts."""

    node: str
    reason: str = ""


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


class NodesWanted(Event):
    """A client wishes for nodes; `now`: the network is asked at once, and nothing added to its wishes."""

    session: str
    number: int
    wanted: list[Wanted]
    now: bool = False


class NodeHeard(Event):
    """Somebody on this network says that a node listens there. `names`: what users call that host."""

    host: str
    port: int
    names: list[str] = []


class NodeUnreached(Event):
    """Dialling an address came to nothing. `state`: busy, refused, unreachable."""

    address: str
    state: str
    text: str
    hint: str = ""


class StrangerRefused(Event):
    """Somebody dialled us, and was turned away or gave up."""

    address: str
    text: str
    hint: str = ""


class NodeAllotted(Event):
    """A client's word on an offered node: so many of its slots; 0: not used."""

    session: str
    node: str
    slots: int


class NodeTailored(Event):
    """What a session's computations have of their own on a node."""

    session: str
    node: str
    tailoring: Tailoring


class NodeControlled(Event):
    """A client wants something done with a node (wire ControlNode)."""

    session: str
    number: int
    node: str
    action: str
    value: int = 0
    cancel: bool = False


class NodeJobsAsked(Event):
    """A client wants to know which of its jobs are on a node; `from_node`: by the node's own word."""

    session: str
    number: int
    node: str
    from_node: bool = False


class HeldTold(Event):
    """A node says which attempts it has."""

    node: str
    number: int
    held: list[int]
    running: list[int]


class FileGiven(Event):
    """A client wants a file in a computation's directory on a node."""

    session: str
    number: int
    node: str
    computation: str
    file: File


class FilePlaced(Event):
    """A node has laid a file where it belongs, or could not."""

    node: str
    number: int
    error: str = ""


class NodesSpoke(Event):
    """Bytes came from these nodes since the last look at the clock."""

    nodes: list[str]


class FilesTaken(Event):
    """A client has fetched what these attempts left on their nodes."""

    session: str
    tokens: list[int]


class WeSlept(Event):
    """This process did not run for so long (stopped, or the machine slept)."""

    slept_ns: int


class TimePassed(Event):
    """Nothing happened but time; leases and waits are looked at."""
