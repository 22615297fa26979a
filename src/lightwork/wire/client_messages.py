"""What client and scheduler say to each other."""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.nouns import Computation, Digest, File, JobOptions, NodeStatus, Place


class Define(Struct, array_like=True, tag=20):
    """A computation that jobs will name."""

    computation: Computation


class Submit(Struct, array_like=True, tag=21):
    """Jobs first, first+1, ... of one computation with one set of options; body: their arguments.

    An argument that lies in the client's arena has its reference as its bytes, and a row in `places`.
    """

    computation: Digest
    first: int
    lengths: list[int]
    options: JobOptions
    places: list[Place] = []


class Cancel(Struct, array_like=True, tag=22):
    """The user no longer wants these jobs."""

    jobs: list[int]


class Taken(Struct, array_like=True, tag=23):
    """User code has the results of all batches up to `sequence`; also frees regions of the node's arena."""

    sequence: int
    regions: list[int] = []  # offsets
    spooled: list[int] = []  # tokens whose files have arrived


class AskStatus(Struct, array_like=True, tag=24):
    """Answered by Status."""

    number: int


class Close(Struct, array_like=True, tag=25):
    """The session ends; `cancel`: what has not ended is cancelled first. Answered by Goodbye once cleanups ran."""

    cancel: bool = False


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
    tokens: list[int] = []  # for those with files


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


class ComputationState(Struct, array_like=True, tag=48):
    """A computation is prepared on a node, or could not be: then `failure` says why (fields of outcome.py)."""

    computation: Digest
    node: str
    ready: bool
    failure: dict[str, bytes] = {}
