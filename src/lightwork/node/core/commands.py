"""What the agent's core wants done: commands, imperative. The service obeys; it decides nothing."""

from __future__ import annotations

from msgspec import Struct

from lightwork.node.core.interpreters import OWN
from lightwork.wire.messages import Computation, File, FromNode, JobOptions


class Command(Struct):
    """Base of all commands."""


class Send(Command):
    """Tell the scheduler."""

    message: FromNode
    body: bytes = b""


# --- preparing ---


class PlaceFiles(Command):
    """Fetch what is missing and lay the computation's files into the environment's directory. `python`: the interpreter
    of that environment's workers."""

    session: str
    computation: Computation
    environment: str
    python: int = OWN


class RunSetup(Command):
    """Make the environment's template process and run setup there."""

    session: str
    computation: Computation
    environment: str
    slot: int


class FetchJobFiles(Command):
    """Have the files of a held batch in the cache."""

    batch: int
    session: str
    files: tuple[File, ...]


class FetchArgument(Command):
    """Have the argument of a held batch, which is one attempt, on this machine."""

    batch: int
    token: int
    size: int


class FreeArgument(Command):
    """An attempt whose argument was, or is being, fetched is no more: it is not needed, however far it is."""

    token: int


class CleanSession(Command):
    """Run cleanups, end templates, delete files."""

    session: str


# --- workers ---


class Fork(Command):
    """Make a worker of an interpreter; from the template of this environment if it has one (`template`), else a blank
    one."""

    worker: int
    session: str = ""
    environment: str = ""
    template: bool = False
    python: int = OWN


class Load(Command):
    """Let a worker load a computation under `slot`; `setup`: it has no template and runs setup itself."""

    worker: int
    slot: int
    session: str
    computation: Computation
    environment: str
    setup: bool = False


class Unload(Command):
    """This number is free again: these workers, who have the computation loaded, forget it."""

    slot: int
    session: str
    environment: str
    workers: list[int]


class Run(Command):
    """Send attempts to a worker. `gpus`: those that are theirs meanwhile."""

    worker: int
    slot: int
    tokens: list[int]
    lengths: list[int]
    options: JobOptions
    body: bytes | memoryview
    gpus: tuple[int, ...] = ()


class SpawnProgram(Command):
    """Start a program; body: its arguments."""

    worker: int
    token: int
    session: str
    computation: Computation
    environment: str
    options: JobOptions
    length: int
    body: bytes | memoryview
    gpus: tuple[int, ...] = ()


class TakeBack(Command):
    """Set the revoke word up to `serial`; answered by TakenBack."""

    worker: int
    serial: int


class Claim(Command):
    """Read the output of this running attempt from now on; `limit` bytes are kept at each end."""

    worker: int
    token: int
    limit: int = 1 << 20


class Interrupt(Command):
    """Set the cancel word, then SIGINT to the process group."""

    worker: int
    token: int


class Terminate(Command):
    """SIGTERM to the process group."""

    worker: int


class Kill(Command):
    """End the whole process tree at once."""

    worker: int


class Quit(Command):
    """The worker is idle and no longer needed."""

    worker: int


class MeasureMemory(Command):
    """Say how much memory the process tree of this attempt has; exactly only if that may be over `limit_bytes`."""

    worker: int
    token: int
    limit_bytes: int


class CollectOutputs(Command):
    """Put the files that an ended attempt left into the spool."""

    token: int
    patterns: tuple[str, ...]


class ForgetJob(Command):
    """Delete the working directory of an ended attempt."""

    token: int
