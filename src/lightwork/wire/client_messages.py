"""What client and scheduler say to each other."""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.nouns import (
    Attempt,
    Attempted,
    Computation,
    Digest,
    File,
    JobOptions,
    Name,
    NodeStatus,
    Place,
    Tailoring,
    Wanted,
)


class Define(Struct, array_like=True, tag=20):
    """A computation that jobs will name."""

    computation: Computation


class Submit(Struct, array_like=True, tag=21):
    """Jobs first, first+1, ... of one computation with one set of options; body: their arguments.

    An argument that lies in the client's arena has its reference as its bytes, and a row in `places`. To a durable
    scheduler: `keys`, `ids` (what users call them, packed by the client) and `prints` (of the arguments), one for each
    job or none at all ("" and b"": has none); `apart`: large arguments that it is to fetch ("argument", the number).
    """

    computation: Digest
    first: int
    lengths: list[int]
    options: JobOptions
    places: list[Place] = []
    keys: list[str] = []
    ids: list[bytes] = []
    prints: list[bytes] = []
    apart: list[Place] = []


class Cancel(Struct, array_like=True, tag=22):
    """The user no longer wants these jobs."""

    jobs: list[int]


class Taken(Struct, array_like=True, tag=23):
    """User code has the results of all batches up to `sequence`; also frees regions of the node's arena."""

    sequence: int
    regions: list[int] = []  # offsets
    spooled: list[int] = []  # tokens whose files have arrived
    jobs: list[int] = []  # to a durable scheduler: the jobs themselves


class AskStatus(Struct, array_like=True, tag=24):
    """Answered by Status."""

    number: int


class Close(Struct, array_like=True, tag=25):
    """The session ends; `cancel`: what has not ended is cancelled first. Answered by Goodbye once cleanups ran."""

    cancel: bool = False


class Seek(Struct, array_like=True, tag=26):
    """Look for these nodes, besides those wanted before; `now`: ask the network at once, add nothing to the wishes.
    Answered by Answer, with the nodes that are connected. `only`: of a scheduler that others share, the session uses no
    node that it does not wish for, from now on."""

    number: int
    wanted: list[Wanted]
    now: bool = False
    only: bool = False


class Allot(Struct, array_like=True, tag=27):
    """The client's word on an offered node: so many of its slots (0: none, it is not used)."""

    node: Name
    slots: int


class Tailor(Struct, array_like=True, tag=28):
    """What computations have on this node in place of their own, from their next preparation on."""

    node: Name
    tailoring: Tailoring


class ControlNode(Struct, array_like=True, tag=29):
    """Something to be done with a node; answered by Answer when it is done. `action`:

    allocate    use it again after deallocate
    deallocate  no new jobs there; what runs goes on, the node stays ours
    close       the same, and give it back when its jobs have ended
    resetup     run cleanup, forget what is prepared, prepare (setup) again; its jobs end first
    slots       use `value` of its slots; negative: leave so many free
    `cancel`: jobs that are there are cancelled first, instead of waited for (close, resetup)
    """

    number: int
    node: Name
    action: str
    value: int = 0
    cancel: bool = False


class AskNodeJobs(Struct, array_like=True, tag=30):
    """Which jobs of this session are on the node now? Answered by Answer. `from_node`: the node itself is asked."""

    number: int
    node: Name
    from_node: bool = False


class SendFile(Struct, array_like=True, tag=31):
    """Put a file that the client offers into the computation's directory on a node. Answered by Answer."""

    number: int
    node: Name
    computation: Digest
    file: File


class Detach(Struct, array_like=True, tag=32):
    """The client leaves, its session goes on. Answered by Goodbye."""


class Named(Struct, array_like=True, tag=33):
    """What users call these jobs, said after they were submitted."""

    jobs: list[int]
    ids: list[bytes]


class Recall(Struct, array_like=True, tag=34):
    """The results of these ended jobs of earlier lives are wanted: Results follow."""

    jobs: list[int]


class Terms(Struct, array_like=True, tag=100):
    """How the session shares nodes with others; said right after the hello, unless it is the default. `weight`: of its
    share among sessions of equal priority; `exclusive`: it waits until all earlier jobs of others have ended, and then
    has all nodes for itself."""

    weight: float = 1.0
    exclusive: bool = False


class Update(Struct, array_like=True, tag=101):
    """The computation takes the place of `old`: every node gets it at once, and runs no job submitted later before it
    has it. The session's epoch grows by one. Answered by Answer, with the epoch as `total`."""

    number: int
    old: Digest
    computation: Computation


class AwaitReady(Struct, array_like=True, tag=102):
    """Prepare these computations on all nodes that the session uses, and answer (by Answer, with the nodes) when all of
    them, or `nodes` of them if that is not 0, have them."""

    number: int
    computations: list[Digest]
    nodes: int = 0


class Results(Struct, array_like=True, tag=40):
    """Jobs that ended on one node (or nowhere: node ""), body: outcomes. `states` are JobState numbers,
    `statuses` end kinds and bits of outcome.py. Starts: ns since 1970 by the scheduler's clock; 0: never started."""

    sequence: int
    node: str
    jobs: list[int]
    states: list[int]
    statuses: list[int]
    starts_ns: list[int]
    durations_ns: list[int]
    attempts: list[int]
    lengths: list[int]
    files: list[tuple[int, list[File]]] = []  # index in the columns, files kept in the node's spool
    tokens: list[int] = []  # for those with files; 0: the scheduler has these files, ask it for the "blob" by digest
    again: list[int] = []  # indices of those that an earlier life of the client may have seen
    histories: list[tuple[int, list[Attempt]]] = []  # index, its attempts before the last


class Running(Struct, array_like=True, tag=41):
    """Jobs whose attempts have started (those that run longer than a moment)."""

    node: str
    jobs: list[int]
    starts_ns: list[int]


class Requeued(Struct, array_like=True, tag=42):
    """Jobs that were RUNNING and wait again, because `reason`."""

    jobs: list[int]
    reason: str


class Provisional(Struct, array_like=True, tag=43):
    """An intermediate result; body: a payload, or an arena reference."""

    job: int
    in_arena: bool = False


class SentFile(Struct, array_like=True, tag=44):
    """A file that a running job sent; the client fetches "spool" `token/number`."""

    job: int
    name: str
    file: File


class Notice(Struct, array_like=True, tag=45):
    """Something the user should read. `level`: info, warning, error."""

    level: str
    text: str
    hint: str = ""


class NodeNews(Struct, array_like=True, tag=46):
    """A node came, went or reported its load. `event` is a ClusterEvent number."""

    event: int
    node: NodeStatus


class Status(Struct, array_like=True, tag=47):
    """Answer to AskStatus: the nodes, jobs not ended, and why the oldest waiting ones wait."""

    number: int
    nodes: list[NodeStatus]
    queued: int
    running: int
    waiting: list[str] = []
    pids: dict[str, int] = {}  # host, agent, keeper
    attempted: list[Attempted] = []  # where nodes were looked for
    twins_started: int = 0
    twins_won: int = 0
    retried: int = 0  # attempts after a failure that the job itself reported
    slow: list[str] = []  # jobs that run far longer than their like


class ComputationState(Struct, array_like=True, tag=48):
    """A computation is prepared on a node, or could not be: then `failure` says why (fields of outcome.py)."""

    computation: Digest
    node: str
    ready: bool
    failure: dict[str, bytes] = {}


class Answer(Struct, array_like=True, tag=49):
    """Answer to Seek, ControlNode, AskNodeJobs, SendFile and CancelJobs. `error`: it could not be done, because;
    `total`: how many jobs it was, if there are too many to name them all."""

    number: int
    error: str = ""
    hint: str = ""
    jobs: list[int] = []
    nodes: list[str] = []
    total: int = 0


class OfferNode(Struct, array_like=True, tag=50):
    """A node is there that the client's NodeAllocate number `spec` wants to decide about. Answered by Allot."""

    spec: int
    node: NodeStatus


class Opened(Struct, array_like=True, tag=51):
    """A durable scheduler's first word: the session is on disk. Jobs of this life are counted from `next_number`; those
    of earlier lives follow, as so many `Earlier`."""

    incarnation: int
    next_number: int
    earlier: int = 0


class Accepted(Struct, array_like=True, tag=52):
    """All jobs below this number are on disk: the client may forget their arguments."""

    upto: int


class RefusedJobs(Struct, array_like=True, tag=53):
    """These jobs were not taken (the disk is full, a key that other arguments have): they end here."""

    jobs: list[int]
    error: str
    hint: str = ""


class Earlier(Struct, array_like=True, tag=54):
    """Jobs of earlier lives, body: their arguments (b"": apart, "argument" by number). `computations`: digest, name and
    kind by index, which the column `computation` points into; `again`: an earlier life may have seen the result;
    results come by Recall."""

    computations: list[tuple[str, str, str]]
    jobs: list[int]
    computation: list[int]
    states: list[int]
    keys: list[str]
    ids: list[bytes]
    prints: list[bytes]
    again: list[bool]
    lengths: list[int]
