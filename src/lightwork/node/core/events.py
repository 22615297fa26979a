"""What the agent's core is told: events, past tense, in batches. Times are monotonic nanoseconds."""

from __future__ import annotations

from msgspec import Struct

from lightwork.node.core.interpreters import OWN
from lightwork.wire.messages import Computation, File, JobOptions, Load
from lightwork.wire.outcome import EMPTY, Stream


class Event(Struct):
    """Base of all events."""


# --- from the scheduler ---


class ComputationGiven(Event):
    """The scheduler wants this computation ready."""

    session: str
    computation: Computation
    epoch: int = 0


class AttemptsAssigned(Event):
    """The scheduler wants these attempts made, in this order. IN_ARENA_BIT in a length: the payload is a reference.
    `apart`: attempts whose arguments are still to be fetched, with their sizes; their payloads are empty."""

    session: str
    computation: str
    tokens: list[int]
    lengths: list[int]
    options: JobOptions = JobOptions()
    body: bytes | memoryview = b""
    apart: dict[int, int] = {}


class ReturnAsked(Event):
    """The scheduler wants those back that have not started."""

    tokens: list[int]


class StopAsked(Event):
    """The scheduler wants these attempts ended: held ones at once, running ones by interrupt, or killed `now`."""

    tokens: list[int]
    now: bool = False


class SessionEnded(Event):
    """The scheduler wants all traces of a session removed."""

    session: str


class SlotsSet(Event):
    """The scheduler wants so many slots used."""

    slots: int


class LeaveAsked(Event):
    """The node's owner wants it back: what runs may end, nothing else starts."""

    reason: str = ""


class Ousted(Event):
    """The node's owner wants it empty: what runs is ended, nobody's fault, and nothing is kept of what waits."""

    reason: str


# --- preparing ---


class FilesPlaced(Event):
    """The files of a computation lie in its directory."""

    session: str
    computation: str


class SetupDone(Event):
    """The environment's setup ran; workers can be forked from its template."""

    session: str
    environment: str


class SetupFailed(Event):
    """The environment's setup raised, or its process died. Fields as in wire.outcome."""

    session: str
    environment: str
    failure: dict[str, bytes]


class PreparationFailed(Event):
    """Files of a computation could not be had. Fields as in wire.outcome."""

    session: str
    computation: str
    failure: dict[str, bytes]


class JobFilesFetched(Event):
    """The files of one held batch are in the cache, or cannot be had."""

    batch: int
    failure: dict[str, bytes] = {}


class ArgumentFetched(Event):
    """The argument of a held batch is here: `payload`, or what that refers to; or it cannot be had."""

    batch: int
    payload: bytes = b""
    in_arena: bool = False
    failure: dict[str, bytes] = {}


class SessionCleaned(Event):
    """Cleanups of a session ran, and its files are gone."""

    session: str
    problems: list[str] = []


# --- from workers and keepers ---


class WorkerBorn(Event):
    """A worker or program has this process now."""

    worker: int
    pid: int


class LoadFailed(Event):
    """A worker cannot load a computation; what was sent for it ends through the ring."""

    worker: int
    slot: int
    failure: dict[str, bytes]


class JobsEnded(Event):
    """Records from a worker's ring, in its order. `body`: the outcomes one after another."""

    worker: int
    tokens: list[int]
    starts_ns: list[int]
    durations_ns: list[int]
    lengths: list[int]
    statuses: list[int]
    body: bytes


class TakenBack(Event):
    """The revoke word of a worker has been set long enough. `started`: its word; `ended`: what lies in its ring
    undrained, without what it skipped."""

    worker: int
    serial: int
    started: int
    ended: list[int] = []


class WorkerRetired(Event):
    """A worker takes no more jobs; what it did not start is free again. Its ring has been drained."""

    worker: int
    reason: str = ""


class RingCorrupted(Event):
    """What a worker's ring says cannot be true: a job has written there."""

    worker: int


class Attached(Event):
    """The link to the scheduler is up."""


class Death(Struct, frozen=True):
    """What is known of a process that ended: exit code or signal, its peak memory, the output nobody had taken."""

    exit_code: int = 0
    signal: int = 0
    peak_bytes: int = 0
    stdout: Stream = EMPTY
    stderr: Stream = EMPTY


class WorkerDied(Event):
    """A worker or program is gone and its ring drained. `started`: its word; `with_keeper`: nobody's fault."""

    worker: int
    started: int
    started_ns: int
    death: Death = Death()
    with_keeper: bool = False


class RunFailed(Event):
    """Attempts could not be sent to their worker: their directory or files cannot be made."""

    worker: int
    tokens: list[int]
    failure: dict[str, bytes]


class SpawnFailed(Event):
    """A program could not be started."""

    worker: int
    failure: dict[str, bytes]


class TemplateDied(Event):
    """A template is gone. Its workers have been reported."""

    session: str
    environment: str


class KeeperDied(Event):
    """The keeper of an interpreter is gone, and so are its workers, templates and programs."""

    python: int = OWN


class OutputsCollected(Event):
    """The files that an ended attempt left are in the spool; or why they must not be sent."""

    token: int
    files: list[File]
    failure: dict[str, bytes] = {}


class FileSending(Event):
    """A running attempt sends a file, which is being read; its end waits for that."""

    token: int


class FileSent(Event):
    """The file lies in the spool as `name`; without one it could not be read."""

    token: int
    name: str = ""
    file: File | None = None


class ProvisionalSent(Event):
    """A running attempt sent an intermediate result."""

    token: int
    body: bytes
    in_arena: bool = False


# --- from the clock ---


class Word(Struct):
    """What a busy worker's words say."""

    worker: int
    started: int
    started_ns: int


class Ticked(Event):
    """Time passed while attempts were in flight."""

    words: list[Word]


class MemoryMeasured(Event):
    """The memory of a running attempt's process tree."""

    worker: int
    token: int
    size_bytes: int


class BeatDue(Event):
    """It is time to tell the scheduler the truth; for the first time after we joined it also what is held. `unwilling`:
    why the node's owner wants nothing new to start from now on; what has not started is given back."""

    number: int
    words: list[Word]
    load: Load
    pids: dict[str, int] = {}
    first: bool = False
    unwilling: str = ""


class HeldAsked(Event):
    """The scheduler wants to know what is here."""

    number: int
    words: list[Word]
