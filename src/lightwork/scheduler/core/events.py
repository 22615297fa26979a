"""What the scheduler's core is told: events, past tense, in batches. Times are monotonic nanoseconds."""

from __future__ import annotations

from lightwork.scheduler.core.client_events import (
    ClientAway as ClientAway,
    ClientCongested as ClientCongested,
    ClientDetached as ClientDetached,
    ClientDrained as ClientDrained,
    ClientJoined as ClientJoined,
    ClientLost as ClientLost,
    CloseAsked as CloseAsked,
    ComputationDefined as ComputationDefined,
    ComputationUpdated as ComputationUpdated,
    FileGiven as FileGiven,
    FilesTaken as FilesTaken,
    HostsChanged as HostsChanged,
    JobsCancelled as JobsCancelled,
    JobsNamed as JobsNamed,
    JobsSubmitted as JobsSubmitted,
    NodeAllotted as NodeAllotted,
    NodeControlled as NodeControlled,
    NodeJobsAsked as NodeJobsAsked,
    NodesWanted as NodesWanted,
    NodeTailored as NodeTailored,
    ReadyAwaited as ReadyAwaited,
    ResultsRecalled as ResultsRecalled,
    ResultsTaken as ResultsTaken,
    StorageFull as StorageFull,
    TermsTold as TermsTold,
)
from lightwork.scheduler.core.event import Event as Event
from lightwork.wire.messages import File, Hardware, Load


class NodeJoined(Event):
    """A node offers its slots, for the first time or again. `via`: the address that we dialled; `resumed`: nothing
    that was under way between us is lost; `shares_memory`: the clients' arenas are mapped there; `adopting`: NodeTruth
    tells what it has, and until then it gets nothing."""

    node: str
    slots: int
    address: str = ""
    hardware: Hardware = Hardware()
    via: str = ""
    resumed: bool = False
    shares_memory: bool = True
    pythons: list[tuple[int, int]] = []
    labels: dict[str, str] = {}
    identity: str = ""
    era: str = ""
    adopting: bool = False
    resources: dict[str, int] = {}
    groups: list[str] = []
    weight: int = 0
    unwilling: str = ""
    relay: str = ""
    lease_ns: int = 0  # that it was told by its relay; 0: as everybody
    resized: bool = False  # it uses other slots than these: somebody, perhaps an earlier life of ours, had said so


class NodeTruth(Event):
    """All attempts that a node has, from this life of ours or an earlier one (columns: wire Truth)."""

    node: str
    sessions: list[str]
    tokens: list[int]
    session: list[int]
    jobs: list[int]
    stages: list[int]
    ages_ns: list[int]
    clearing: list[str] = []


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
    epochs: dict[str, int] = {}  # by session: the latest one that it is in step with
    unwilling: str = ""  # why it takes no new jobs now


class ComputationReady(Event):
    """A computation is prepared on a node, by a Prepare of this epoch."""

    node: str
    session: str
    computation: str
    epoch: int = 0


class ComputationFailed(Event):
    """A computation cannot be prepared on a node; fields as in wire.outcome."""

    node: str
    session: str
    computation: str
    failure: dict[str, bytes] = {}
    epoch: int = 0


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


class HeldTold(Event):
    """A node says which attempts it has."""

    node: str
    number: int
    held: list[int]
    running: list[int]


class FilePlaced(Event):
    """A node has laid a file where it belongs, or could not."""

    node: str
    number: int
    error: str = ""


class NodesSpoke(Event):
    """Bytes came from these nodes since the last look at the clock."""

    nodes: list[str]


class WeSlept(Event):
    """This process did not run for so long (stopped, or the machine slept)."""

    slept_ns: int


class TimePassed(Event):
    """Nothing happened but time; leases and waits are looked at."""
