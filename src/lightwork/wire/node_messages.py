"""What scheduler and node say to each other."""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.nouns import Computation, Digest, File, Hardware, JobOptions, Load, Name, Place


class Prepare(Struct, array_like=True, tag=60):
    """Get this computation ready for the jobs of `session`: fetch its files, run its setup. `epoch`: how often the
    session's computations were updated when this one was."""

    session: Name
    computation: Computation
    epoch: int = 0


class Assign(Struct, array_like=True, tag=61):
    """Attempts to make, in this order; body: arguments. `numbers` are the jobs', a single one the first of consecutive
    ones; `attempts` how often each job was tried with this, left out if that is once."""

    session: Name
    computation: Digest
    tokens: list[int]
    lengths: list[int]
    options: JobOptions
    places: list[Place] = []
    numbers: list[int] = []
    attempts: list[int] = []
    apart: list[Place] = []  # indices whose argument (of `size` bytes) is to be fetched: "argument", by its token


class Revoke(Struct, array_like=True, tag=62):
    """Give back those of these attempts that have not started. Answered by Returned."""

    tokens: list[int]


class Stop(Struct, array_like=True, tag=63):
    """Interrupt these attempts, then end them: 3 s, TERM, 1 s, KILL. `now`: KILL at once."""

    tokens: list[int]
    now: bool = False


class Free(Struct, array_like=True, tag=64):
    """Results of the arena (offsets) and spooled files (tokens) that nobody needs any more."""

    regions: list[int] = []
    spooled: list[int] = []


class Release(Struct, array_like=True, tag=65):
    """The session ended: run cleanups, end its workers, delete its files. Answered by Released."""

    session: Name


class Welcome(Struct, array_like=True, tag=66):
    """The scheduler's answer to NodeReady. `resumed`: the claim goes on, and of its counted messages so many have come
    (transport.outbox); if not, all that the node still has from before is nobody's, unless a durable scheduler `adopts`
    it: then Truth follows, and every end that is not Settled. `epoch`: its life; a node obeys none that is older."""

    resumed: bool
    received: int = 0
    adopts: bool = False
    epoch: int = 0


class SetSlots(Struct, array_like=True, tag=67):
    """Use so many slots from now on; attempts beyond are not ended, but no more are started."""

    slots: int


class PlaceFile(Struct, array_like=True, tag=68):
    """Fetch a blob and lay it into the directory of a computation that is prepared here. Answered by FilePlaced."""

    number: int
    session: Name
    computation: Digest
    file: File


class AskHeld(Struct, array_like=True, tag=69):
    """Which attempts are here? Answered by HeldNow."""

    number: int


class Settled(Struct, array_like=True, tag=70):
    """A durable scheduler has the ends of these attempts for good: their results and files may be forgotten."""

    tokens: list[int]


class AskOutput(Struct, array_like=True, tag=71):
    """What has this running attempt written so far, from these bytes of its streams on? Answered by OutputNow."""

    number: int
    token: int
    stdout_from: int = 0
    stderr_from: int = 0


class SetPolicy(Struct, array_like=True, tag=72):
    """What the node's owner lets it do, told from elsewhere: minutes since midnight there, -1: as it was started with,
    `service_end` -2: none; `clients` to serve from now on, -1: any number, -2: as it was. A `word` about clients that
    is told again begins no new count. `slots`: so many are used, None: as it was; that the scheduler sees to."""

    service_start: int = -1
    service_stop: int = -1
    service_end: int = -1
    clients: int = -2
    word: int = 0
    slots: int | None = None


class NodeReady(Struct, array_like=True, tag=80):
    """A node offers its slots."""

    name: Name
    address: str
    slots: int
    hardware: Hardware
    pid: int = 0
    identity: Name = ""  # of this node's directory: the same after a restart of the agent
    claim: Name = ""  # new whenever the node has let go of everything; "": links are not resumed
    received: int = 0  # counted messages that have come within the claim
    shares_memory: bool = False  # the arenas of the scheduler's clients are mapped here
    pythons: list[tuple[int, int]] = []  # minor versions whose workers it can run, preferred first
    labels: dict[str, str] = {}
    era: Name = (
        ""  # new whenever the node cannot know any more what it had started (its directory, or its power, was lost)
    )
    resources: dict[str, int] = {}  # beside slots: bytes of "memory", counts of "gpu", and what its owner named
    groups: list[str] = []
    weight: int = 0  # heavier nodes are filled first
    unwilling: str = ""  # why it takes no new jobs now; "": it does
    relay: str = ""  # the one that it is behind
    resized: bool = False  # it was told to use other slots than these, and does


class Heartbeat(Struct, array_like=True, tag=81):
    """The node's full truth."""

    number: int
    held: list[int]  # tokens not started
    running: list[int]  # tokens started
    load: Load
    workers: list[int] = []  # pids
    pids: dict[str, int] = {}
    epochs: dict[str, int] = {}  # by session: of the latest computation that is ready here
    unwilling: str = ""  # why it takes no new jobs now; "": it does


class Prepared(Struct, array_like=True, tag=82):
    """A computation is ready here, or failed."""

    session: Name
    computation: Digest
    ready: bool
    failure: dict[str, bytes] = {}
    epoch: int = 0


class Started(Struct, array_like=True, tag=83):
    """Attempts that have started, each so many nanoseconds ago."""

    tokens: list[int]
    ages_ns: list[int]


class Ended(Struct, array_like=True, tag=84):
    """Attempts that have ended, body: outcomes. `ages_ns`: since each one's start."""

    tokens: list[int]
    statuses: list[int]
    ages_ns: list[int]
    durations_ns: list[int]
    lengths: list[int]
    files: list[tuple[int, list[File]]] = []


class Returned(Struct, array_like=True, tag=85):
    """Attempts given back without having started. `reason`: revoked, worker died, retired, agent restarted."""

    tokens: list[int]
    reason: str


class Died(Struct, array_like=True, tag=86):
    """Attempts that ended without a word: `blame` if they killed their worker, else lost without fault.
    Body: one outcome each (an envelope with signal, peak memory, stderr tail)."""

    tokens: list[int]
    blame: bool
    ages_ns: list[int]
    lengths: list[int]


class AttemptProvisional(Struct, array_like=True, tag=87):
    """An intermediate result of a running attempt; body: a payload or arena reference."""

    token: int
    in_arena: bool = False


class AttemptFile(Struct, array_like=True, tag=88):
    """A file that a running attempt sends; it lies in the node's spool as `name`."""

    token: int
    name: str
    file: File


class Released(Struct, array_like=True, tag=89):
    """All traces of the session are gone from this node; problems of its cleanups."""

    session: Name
    problems: list[str] = []


class NodeNotice(Struct, array_like=True, tag=90):
    """Something the users of this node should read."""

    level: str
    text: str
    hint: str = ""
    session: str = ""


class Leaving(Struct, array_like=True, tag=91):
    """The node's owner wants it back: no new attempts; when those that run have ended it says goodbye."""

    reason: str = ""


class FilePlaced(Struct, array_like=True, tag=92):
    """Answer to PlaceFile."""

    number: int
    error: str = ""


class HeldNow(Struct, array_like=True, tag=93):
    """Answer to AskHeld: attempts not started, and started."""

    number: int
    held: list[int]
    running: list[int]


class Truth(Struct, array_like=True, tag=94):
    """All attempts that the node has of a scheduler that adopts them: whose they are (`sessions` by index), how far.
    `stages`: 0 held, 1 started, 2 ended (its end is sent again, behind this). `ages_ns`: since the start. `clearing`:
    sessions that it is about to forget (Released follows)."""

    sessions: list[str]
    tokens: list[int]
    session: list[int]
    jobs: list[int]
    stages: list[int]
    ages_ns: list[int]
    clearing: list[str] = []


class OutputNow(Struct, array_like=True, tag=95):
    """Answer to AskOutput: what was written, as far as it was read already and at most limits.OUTPUT_PIECE of each (see
    outcome.Stream.piece). `stdout_at`: of how many bytes the first one here stands."""

    number: int
    stdout: bytes = b""
    stderr: bytes = b""
    error: str = ""
    stdout_at: int = 0
    stderr_at: int = 0
