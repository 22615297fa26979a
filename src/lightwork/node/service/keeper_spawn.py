"""Start a keeper: the first act of whoever hosts an agent, before it imports anything heavy.

Keep the imports here small: each one delays the first result of every program.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from lightwork.kit.process import start_of
from lightwork.transport.descriptors import Socket, pair

if TYPE_CHECKING:
    from lightwork.node.service.job_user import JobUser

# malloc shall keep and reuse large blocks: fresh pages cost more than all else we do with a large result.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


class KeeperProcess(NamedTuple):
    """A keeper that was started: its process, and our end of its channel."""

    pid: int
    channel: Socket


class Arenas(NamedTuple):
    """Where large arguments and results lie: `fd:N` or a path each; empty: nowhere."""

    args: str = ""
    results: str = ""

    def options(self) -> list[str]:
        """As boot.py wants to be told."""
        return [
            *(["--args-arena", self.args] if self.args else []),
            *(["--results-arena", self.results] if self.results else []),
        ]

    def descriptors(self) -> list[int]:
        """Those to be inherited."""
        return [int(place[3:]) for place in self if place.startswith("fd:")]


NO_ARENAS = Arenas()

BELOW = "LIGHTWORK_BELOW"  # as in worker.boot: the variable that says below which agent a process runs

# What a process was born with is found in its memory for ever, and that of all that are forked from it.
_SECRETS = ("LIGHTWORK_SECRET",)
_OF_OUR_OWN = ("PYTHONHOME", "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "__PYVENV_LAUNCHER__")


def boot_path() -> str:
    """The door of all processes that run users' code."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.join(os.path.dirname(os.path.dirname(here)), "worker", "boot.py")


def environment_under(python: str) -> dict[str, str]:
    """The variables for a process of this interpreter: no secrets, and not those that say where our own library is."""
    dropped = _SECRETS if python == sys.executable else _SECRETS + _OF_OUR_OWN
    return {name: value for name, value in os.environ.items() if name not in dropped} | {BELOW: mark()}


def mark() -> str:
    """What BELOW says in all that runs below us: by that our successor knows who got away when all above it died."""
    return f"{os.getpid()}:{start_of(os.getpid())}"


def lent_to(python: str) -> tuple[str, ...]:
    """Options of boot.py for an interpreter that is not ours: whatever is installed there, it gets our cloudpickle."""
    if python == sys.executable:
        return ()
    from importlib.util import find_spec  # it is not imported: what unpickles is no part of an agent

    spec = find_spec("cloudpickle")
    if spec is None or spec.origin is None:
        return ()
    return "--cloudpickle", os.path.dirname(os.path.dirname(spec.origin))


def start_keeper(python: str = "", arenas: Arenas = NO_ARENAS, user: JobUser | None = None) -> KeeperProcess:
    """Start a keeper with this interpreter (default: our own), whose jobs run as `user`. OSError: it cannot be."""
    if sys.platform == "win32":
        raise OSError("there is no keeper on this system")
    python = python or sys.executable
    ours, theirs = pair()
    descriptors = [theirs.fileno(), *arenas.descriptors()]
    kept = [descriptor for descriptor in descriptors if not os.get_inheritable(descriptor)]
    try:
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        argv = [python, boot_path(), "keeper", "--channel", str(theirs.fileno()), *arenas.options(), *lent_to(python)]
        variables = {**environment_under(python), **_ENVIRONMENT}
        if user is not None:
            argv += ["--user", user.option()]
            variables |= user.environment()
        pid = os.posix_spawn(python, argv, variables, setpgroup=0)
    except OSError:
        ours.close()
        raise
    finally:
        for descriptor in kept:
            os.set_inheritable(descriptor, False)
        theirs.close()
    return KeeperProcess(pid, ours)
