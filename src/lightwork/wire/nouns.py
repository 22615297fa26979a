"""What messages speak of: files, options, computations, machines. Structs as arrays; see `messages`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(max_length=255)]
Digest = Annotated[str, Meta(max_length=64)]

FUNCTION, PROGRAM, MODULE = "function", "program", "module"  # kinds of computations


class File(Struct, array_like=True, frozen=True, gc=False):
    """A file that a computation or job depends on, or that a job sends back. `path` is relative, with `/`."""

    path: str
    digest: Digest
    size: int
    mode: int = 0o644
    modified_ns: int = 0
    sent: bool = False  # by a running job, and told at its end once more


class JobOptions(Struct, array_like=True, frozen=True, gc=False):
    """How a job is run; the jobs of one cluster mostly share one. No limit: 0 or empty."""

    timeout_ns: int = 0
    memory_bytes: int = 0
    reentrant: bool | None = None
    stdin: bytes = b""
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] = ()
    injected: bytes = b""
    outputs: tuple[str, ...] = ()
    output_limit_bytes: int = 1 << 20
    chunk: bool = False  # the one argument is a list of argument tuples; the result is the list of results
    node: Name = ""  # runs there and nowhere else
    retries: int = 0  # how often it is tried again after it reported a failure by itself
    priority: int = 0  # larger ones go first
    where: str = ""  # on which nodes it may run: model.where, in its canonical form
    resources: tuple[tuple[str, int], ...] = ()  # needed, by name: "cpus" in thousandths of a slot, bytes, counts
    wait_for_nodes: bool = False  # a node that can run it may come later


class Computation(Struct, array_like=True, frozen=True):
    """A function or program with what it depends on, named by the digest of all this."""

    digest: Digest
    kind: str
    name: str
    payload: bytes = b""  # function: a pickle; if large, a file below .lightwork/payloads/ instead
    argv: tuple[str, ...] = ()  # program: its first arguments (argv[0] is a path on the node or a shipped file's path)
    files: tuple[File, ...] = ()
    setup: bytes = b""
    cleanup: bytes = b""
    keep_files: bool = False
    dest_path: str = ""
    isolation: str = "worker"  # or "process"
    environment: Digest = ""  # workers are shared by computations of one session with the same environment
    python: tuple[int, int] = (0, 0)  # the client's; (0, 0): any, it is a program
    source: bytes = b""  # function: the same as source text, for workers of other minor versions; see payload.source
    untravellable: str = ""  # why there is no source; then (and only then) just workers of `python` may run it
    setup_source: bytes = b""  # an envelope whose setup and cleanup stand in place of those of `source`


class Place(Struct, array_like=True, gc=False):
    """Job `index` of a batch has its arguments in the client's arena."""

    index: int
    offset: int
    size: int


class Hardware(Struct, array_like=True, frozen=True):
    """What a machine is. Bytes."""

    system: str = ""
    architecture: str = ""
    python: str = ""
    cores: int = 0
    memory_bytes: int = 0
    gpus: tuple[str, ...] = ()


class Load(Struct, array_like=True, frozen=True):
    """What a machine has left: cpu 0-100 percent free, memory and disk bytes free, swap percent free."""

    cpu_free_percent: float = 0.0
    memory_free_bytes: int = 0
    disk_free_bytes: int = 0
    swap_free_percent: float = 0.0
    load_average: float = 0.0


class Wanted(Struct, array_like=True, frozen=True):
    """Nodes that a client wants: a host, or all that match a pattern and answer on this network.

    `host`: name, address, or a pattern with `*` for names and addresses ("*": whoever answers); an address of
    transport.address such as "unix:/path" means just that. `port` 0: the default one, and whatever answers from there.
    `slots`: at most so many; negative: leave so many free; 0: all. `spec`: the client's number of a NodeAllocate
    that wants to decide for itself when a node is there; -1: none.
    """

    host: str
    port: int = 0
    slots: int = 0
    spec: int = -1


class Attempt(Struct, array_like=True, frozen=True):
    """One try of a job that is over: where, since when (ns since 1970; 0: never started), how long, how it ended.

    `how`: the end kind of wire.outcome; `text`: a sentence about it, for people.
    """

    node: str
    start_ns: int
    duration_ns: int
    how: int
    text: str = ""


class SessionStatus(Struct, array_like=True):
    """A session as `lightwork sessions` shows it. Jobs are counted by state; times are seconds ago."""

    name: str
    user: str = ""
    host: str = ""
    attached: bool = False
    lasting: bool = False
    queued: int = 0
    running: int = 0
    ended: int = 0  # whose results are kept
    finished: int = 0  # all that ever ended here, since this life of the scheduler began
    age_s: float = 0.0
    away_s: float = 0.0  # how long no client has been there; 0: one is
    weight: float = 1.0
    exclusive: bool = False
    slot_time_s: float = 0.0  # that its jobs have had


class JobStatus(Struct, array_like=True):
    """A job as `lightwork jobs` shows it. `start_ns` since 1970; 0: it never started."""

    session: str
    number: int
    state: int
    computation: str  # its name
    node: str = ""
    start_ns: int = 0
    duration_ns: int = 0
    attempts: int = 0
    key: str = ""
    text: str = ""  # why it waits or how it ended, for people
    priority: int = 0


class HostStatus(Struct, array_like=True):
    """A machine as `lightwork hosts` shows it. `state`: of the node there, or "removed", "not connected"."""

    name: str
    address: str = ""
    state: str = ""
    groups: tuple[str, ...] = ()
    by: str = ""  # who drained or removed it
    text: str = ""  # what went wrong, for people
    policy: dict[str, str | int] = {}  # what was said by `host_policy`, in its words: {"service_start": "20:00"}


class Attempted(Struct, array_like=True, frozen=True):
    """What became of looking for nodes at one address. `state`: trying, joined, busy, refused, unreachable, silent."""

    address: str
    state: str
    text: str = ""
    hint: str = ""


class Tailoring(Struct, array_like=True, frozen=True):
    """What a session's computations have on one node in place of, or beside, their own: setup with other arguments,
    further files. `environment` is mixed into theirs, so that it differs; `setup_source` holds setup and cleanup."""

    environment: Digest = ""
    setup: bytes = b""
    setup_source: bytes = b""
    cleanup: bytes = b""
    files: tuple[File, ...] = ()


class NodeStatus(Struct, array_like=True):
    """A node as `cluster.status()` and callbacks show it."""

    name: str
    address: str = ""
    slots: int = 0
    busy: int = 0
    jobs_done: int = 0
    job_time_ns: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    workers: list[int] = []  # pids
    hardware: Hardware | None = None
    load: Load | None = None
    state: str = "ready"
    pythons: tuple[str, ...] = ()  # minor versions whose workers it can run, preferred first: "3.11"
    labels: tuple[tuple[str, str], ...] = ()
    offered: int = 0  # slots that it has, of which `slots` are used
    groups: tuple[str, ...] = ()
    weight: int = 0  # heavier nodes are filled first
    resources: tuple[tuple[str, int], ...] = ()  # all that it has, beside slots: bytes, counts
    relay: str = ""  # the one that it is behind
