"""What a job can ask and tell while it runs: `lightwork.current_job()` and its kin.

Cheap to import anywhere; outside a job each function raises NotInJob.
"""

from __future__ import annotations

import os
from typing import Any, Optional, Protocol, Tuple


class JobInfo:
    """The job that is running here.

    `uid` is SESSION/NUMBER; `number` and `attempt` (1 for the first) are None where they were not told; `token` names
    this attempt; `node` and `address` tell where it runs; `directory` is its working directory; `computation` the name
    of what it runs.
    """

    __slots__ = ("address", "attempt", "computation", "directory", "node", "number", "session", "token", "uid")

    def __init__(self, number: Optional[int], token: int, attempt: Optional[int], session: str) -> None:
        self.number, self.token, self.attempt, self.session = number, token, attempt, session
        self.uid = "%s/%s" % (session, "?" if number is None else number)
        self.node = self.address = self.directory = self.computation = ""

    def __repr__(self) -> str:
        return "<job %s of %s, attempt %s on %s>" % (self.uid, self.computation, self.attempt, self.node)


class Host(Protocol):
    """What a worker offers to this module."""

    def job(self) -> Optional[JobInfo]:
        """The running job."""

    def value(self) -> Any:
        """What setup returned."""

    def provisional(self, value: Any) -> None:
        """Send an intermediate result."""

    def file(self, path: str, name: str) -> None:
        """Send a file under a relative name."""

    def log(self, text: str) -> None:
        """Write to the node's log."""


NODE_PROCESS = "LIGHTWORK_NODE_PROCESS"  # the variable that names the process of a node that jobs may stop
host: Optional[Host] = None  # set by the worker
module: Any = None  # of the node's owner (node_module.py)


def _not_in_job(function: str) -> Exception:
    message = "%s works only inside a running job." % function
    hint = "call it in the function that the cluster runs, in the job's own process"
    errors = _model_errors()
    if errors is None:
        return NotInJobHere("%s\nhint: %s" % (message, hint))
    error: Exception = errors.NotInJob(message, hint=hint)
    return error


def _model_errors() -> Any:
    """The module of our errors, or None under an interpreter that is too old for it."""
    from importlib import import_module

    try:
        return import_module("lightwork.model.errors")
    except Exception:  # whatever an old interpreter does not like about it
        return None


class NotInJobHere(RuntimeError):
    """NotInJob, under a Python that our own processes do not support."""


def _job(function: str) -> Tuple[Host, JobInfo]:
    info = host.job() if host is not None else None
    if host is None or info is None:
        raise _not_in_job(function)
    return host, info


def current_job() -> JobInfo:
    """The job that calls this: who it is and where it runs."""
    return _job("current_job()")[1]


def node_value() -> Any:
    """What the computation's `setup` returned on this node; None without setup."""
    return _job("node_value()")[0].value()


def node_module() -> Any:
    """The module that the node's owner gave it (`lightwork node --init FILE`): what it defines are its attributes. For
    jobs and `setup`; elsewhere, and on nodes without one, a UserError."""
    if module is None:
        raise _user_error(
            "node_module(): there is no such module here",
            "jobs have it on nodes that were started with `lightwork node --init FILE`",
        )
    return module


def send_provisional(value: Any) -> None:
    """Send an intermediate result to the client; the job goes on."""
    _job("send_provisional()")[0].provisional(value)


def send_file(path: "str | os.PathLike[str]") -> None:
    """Send a file, as it is now, to the client; the client finds it under the same path, relative to the job's
    directory. A path outside that directory is refused with UserError."""
    worker, info = _job("send_file()")
    full = os.path.realpath(os.path.join(os.getcwd(), os.fspath(path)))
    for base in (info.directory, os.getcwd()):
        name = os.path.relpath(full, os.path.realpath(base)) if _same_drive(full, base) else os.pardir
        if not name.startswith(os.pardir):
            worker.file(full, name.replace(os.sep, "/"))
            return
    raise _user_error(
        "send_file(%r): the file lies outside the job's directory %s" % (os.fspath(path), info.directory),
        "write it into the job's working directory, or copy it there first",
    )


def _same_drive(first: str, second: str) -> bool:
    return os.path.splitdrive(first)[0].lower() == os.path.splitdrive(os.path.realpath(second))[0].lower()


def _user_error(message: str, hint: str) -> Exception:
    errors = _model_errors()
    if errors is None:
        return ValueError("%s\nhint: %s" % (message, hint))
    error: Exception = errors.UserError(message, hint=hint)
    return error


def node_shutdown() -> None:
    """Ask the node to stop, as its owner would: what runs may end, nothing new starts. For jobs, `setup` and `cleanup`
    on nodes whose owner allows it (`lightwork node --client-shutdown`); elsewhere a UserError."""
    import signal

    process = os.environ.get(NODE_PROCESS, "")
    if not process.isdigit() or not hasattr(signal, "SIGUSR1"):
        raise _user_error(
            "node_shutdown(): only its owner may stop this node", "start it with `lightwork node --client-shutdown`"
        )
    os.kill(int(process), signal.SIGUSR1)


def node_log(text: str) -> None:
    """Write a line to the log of the node, not to the job's output."""
    _job("node_log()")[0].log(str(text))
