"""What clients tell the scheduler's core; see `events`."""

from __future__ import annotations

from lightwork.scheduler.core.event import Event
from lightwork.wire.messages import Computation, File, JobOptions, Place, SetPolicy, Tailoring, Wanted


class ClientJoined(Event):
    """A client opened a session, or is back; `incarnation` 0: a new life of it. `lasting`: it outlives clients."""

    session: str
    incarnation: int = 0
    lasting: bool = False
    user: str = ""
    host: str = ""


class ClientLost(Event):
    """A client's link broke without a goodbye."""

    session: str


class ClientAway(Event):
    """A durable session's client is not connected at the moment; it may come back."""

    session: str


class ClientDetached(Event):
    """A client leaves; its session goes on."""

    session: str


class ResultsTaken(Event):
    """User code has these results (to a durable scheduler)."""

    session: str
    jobs: list[int]


class ResultsRecalled(Event):
    """A client wants the results of these jobs of earlier lives."""

    session: str
    jobs: list[int]


class JobsNamed(Event):
    """What users call these jobs."""

    session: str
    jobs: list[int]
    ids: list[bytes]


class StorageFull(Event):
    """There is no room to write down more jobs; or there is again."""

    full: bool


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
    keys: list[str] = []
    ids: list[bytes] = []
    prints: list[bytes] = []
    stored: list[tuple[int, File]] = []  # index, blob of ours that the argument is in
    problem: str = ""  # why what they need could not be stored


class JobsCancelled(Event):
    """The user no longer wants these jobs."""

    session: str
    jobs: list[int]


class NodesWanted(Event):
    """A client wishes for nodes; `now`: the network is asked at once, and nothing added to its wishes."""

    session: str
    number: int
    wanted: list[Wanted]
    now: bool = False
    only: bool = False  # and no other nodes


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


class FileGiven(Event):
    """A client wants a file in a computation's directory on a node."""

    session: str
    number: int
    node: str
    computation: str
    file: File


class FilesTaken(Event):
    """A client has fetched what these attempts left on their nodes."""

    session: str
    tokens: list[int]


class TermsTold(Event):
    """How a session shares nodes with others (wire Terms)."""

    session: str
    weight: float = 1.0
    exclusive: bool = False


class ComputationUpdated(Event):
    """A client wants this computation in the place of `old`, from its next submit on."""

    session: str
    number: int
    old: str
    computation: Computation


class ReadyAwaited(Event):
    """A client waits until these computations are prepared on all its nodes, or on so many."""

    session: str
    number: int
    computations: list[str]
    nodes: int = 0


class HostsChanged(Event):
    """Somebody wants something done with machines, for all sessions (wire ChangeHosts). `session` "": no client."""

    session: str
    number: int
    action: str
    hosts: list[str]
    group: str = ""
    now: bool = False
    by: str = ""
    policy: SetPolicy | None = None
