"""The keywords of a cluster, turned at once into a few small frozen groups; every wrong value is refused here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from lightwork.model.errors import UserError
from lightwork.payload.sendable import check_options
from lightwork.wire.messages import JobOptions, Terms

RETRIES_MAX = 1000
PRIORITY_MAX = 1000
WEIGHT = 0.01, 100.0  # least and most
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Preparing(Struct, frozen=True):
    """What a node does before and after the jobs."""

    depends: tuple[Any, ...] = ()
    setup: Callable[..., Any] | None = None
    setup_args: tuple[Any, ...] = ()
    cleanup: Any = True
    dest_path: str = ""
    isolation: str = "worker"
    name: str = ""


class Reporting(Struct, frozen=True):
    """Whom the cluster tells, and where it puts what jobs send."""

    callback: Callable[[Any], Any] | None = None
    cluster_status: Callable[..., Any] | None = None
    directory: Path = Path()


class Placing(Struct, frozen=True):
    """When and where jobs run; as it travels."""

    priority: int = 0
    where: str = ""
    resources: tuple[tuple[str, int], ...] = ()
    wait_for_nodes: bool = False


ANYWHERE = Placing()


class Own(Struct, frozen=True):
    """What `options()` was given for some jobs alone."""

    depends: tuple[Any, ...] = ()
    timeout: float | None = None
    stdin: Any = None
    env: Mapping[str, str] | None = None
    node: str = ""
    retries: int | None = None
    priority: int | None = None
    where: str | None = None
    resources: Mapping[str, Any] | None = None
    wait_for_nodes: bool | None = None

    def changes(self) -> dict[str, Any]:
        """The fields of JobOptions that differ from the cluster's."""
        found: dict[str, Any] = {}
        if self.timeout is not None:
            found["timeout_ns"] = timeout_ns(self.timeout)
        if self.stdin is not None:
            found["stdin"] = stdin_of(self.stdin)
        if self.env is not None:
            found["env"] = environment_of(self.env)
        if self.node:
            found["node"] = self.node
        if self.retries is not None:
            found["retries"] = retries_of(self.retries)
        if self.priority is not None:
            found["priority"] = priority_of(self.priority)
        if self.where is not None:
            found["where"] = where_of(self.where)
        if self.resources is not None:
            found["resources"] = resources_of(self.resources)
        if self.wait_for_nodes is not None:
            found["wait_for_nodes"] = yes_or_no(self.wait_for_nodes, "wait_for_nodes")
        return found


def preparing(
    depends: Any, setup: Any, setup_args: Iterable[Any], cleanup: Any, directory: Any, isolation: str, name: str | None
) -> Preparing:
    """What a node does before and after the jobs."""
    return Preparing(
        depends=depends_of(depends),
        setup=callback_of(setup, "setup"),
        setup_args=tuple(setup_args),
        cleanup=cleanup,
        dest_path=os.fspath(directory) if directory is not None else "",
        isolation=isolation,
        name=name or "",
    )


def placing(
    priority: int, where: str | None, resources: Mapping[str, Any] | None, wait_for_nodes: bool = False
) -> Placing:
    """When and where jobs run."""
    return Placing(
        priority_of(priority), where_of(where), resources_of(resources), yes_or_no(wait_for_nodes, "wait_for_nodes")
    )


def reporting(callback: Any, cluster_status: Any, outputs_dir: str | os.PathLike[str] | None) -> Reporting:
    """Whom the cluster tells, and where it puts what jobs send."""
    return Reporting(
        callback=callback_of(callback, "callback"),
        cluster_status=callback_of(cluster_status, "cluster_status"),
        directory=Path(outputs_dir).absolute() if outputs_dir is not None else Path.cwd(),
    )


def one_of(first: Any, alias: Any, names: str) -> Any:
    """A keyword that has two names."""
    if first is not None and alias is not None:
        raise UserError(f"{names} are two names of one option; give one of them.")
    return alias if first is None else first


def depends_of(depends: Any) -> tuple[Any, ...]:
    """A single thing may stand for a list of it."""
    if depends is None:
        return ()
    if isinstance(depends, list | tuple | set | frozenset):
        return tuple(depends)
    return (depends,)


def setup_args_of(given: Any, how: Preparing) -> tuple[Any, ...]:
    """Other arguments for a setup that is there."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise UserError(f"setup_args must be a tuple of arguments, not {given!r}.")
    if how.setup is None and not callable(how.cleanup):
        raise UserError("There are setup_args, but the cluster has no setup.", hint="JobCluster(function, setup=...)")
    return tuple(given)


def callback_of(function: Any, name: str) -> Any:
    """A function to call, or None."""
    if function is not None and not callable(function):
        raise UserError(f"{name} must be a function, not {function!r}.")
    return function


def bytes_of(value: int | str | None, name: str) -> int:
    """A size in bytes: a number, or text such as "500M" or "8 GiB"; 0 for None."""
    if value is None:
        return 0
    number: float = -1
    if isinstance(value, int):
        number = value
    elif isinstance(value, str):
        text = value.strip().upper().removesuffix("B").removesuffix("I").strip()
        unit = text[-1:] if text[-1:] in _UNITS else ""
        try:
            number = float(text.removesuffix(unit)) * _UNITS[unit]
        except ValueError:
            number = -1
    if not 0 < number < 1 << 62:
        raise UserError(f"{name}={value!r} is no size.", hint='a number of bytes, or text such as "500M" or "8G"')
    return int(number)


def timeout_ns(timeout: float | None) -> int:
    """A job's time limit; 0 for None."""
    if timeout is None:
        return 0
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e9:
        raise UserError(f"timeout={timeout!r} must be a positive number of seconds.")
    return max(1, round(timeout * 1e9))


def retries_of(retries: int) -> int:
    """How often a job that fails is tried again."""
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= RETRIES_MAX:
        raise UserError(f"retries={retries!r} must be a number from 0 to {RETRIES_MAX:,}.")
    return retries


def priority_of(priority: int) -> int:
    """Larger ones go first."""
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > PRIORITY_MAX:
        raise UserError(
            f"priority={priority!r} must be a whole number from -{PRIORITY_MAX:,} to {PRIORITY_MAX:,}.",
            hint="0 is what jobs have by themselves; those with a larger number go first",
        )
    return priority


def weight_of(weight: float) -> float:
    """Of a session's share among others."""
    least, most = WEIGHT
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not least <= weight <= most:
        raise UserError(
            f"weight={weight!r} must be a number from {least:g} to {most:g}.",
            hint="1 is what sessions have by themselves; one with 2 gets twice the time of one with 1",
        )
    return float(weight)


def terms(weight: float | None, exclusive: bool, *, lasting: bool) -> Terms | None:
    """How the session shares nodes with others; None: it need not be said. A lasting one may have had others before."""
    found = Terms(1.0 if weight is None else weight_of(weight), yes_or_no(exclusive, "exclusive"))
    return found if lasting or found != Terms() else None


def where_of(where: str | None) -> str:
    """On which nodes jobs may run, in the form in which it travels; "": anywhere. WhereError shows what is wrong."""
    if where is None:
        return ""
    if not isinstance(where, str):
        raise UserError(
            f"where={where!r} must be text.",
            hint="""where='os == "linux" and memory >= 8G'; docs/where.md has it all""",
        )
    if not where.strip():
        return ""
    from lightwork.model.where import parse

    return parse(where).canonical


def resources_of(resources: Mapping[str, Any] | None) -> tuple[tuple[str, int], ...]:
    """What a job needs beside one slot, in the form in which it travels."""
    if resources is None:
        return ()
    from lightwork.model.resources import needed

    return needed(resources)


def yes_or_no(given: bool, name: str) -> bool:
    """A flag."""
    if not isinstance(given, bool):
        raise UserError(f"{name}={given!r} must be True or False.")
    return given


def environment_of(env: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Variables to set for jobs."""
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise UserError(f"env: {name!r}: {value!r} must be two strings.")
        if not name or "=" in name or "\0" in name + value:
            raise UserError(f"env: {name!r} cannot be set.")
    return tuple(sorted((env or {}).items()))


def stdin_of(stdin: Any) -> bytes:
    """What jobs read as standard input: bytes, text, or the path of a file whose content is meant."""
    if stdin is None:
        return b""
    if isinstance(stdin, bytes | bytearray | memoryview):
        return bytes(stdin)
    if isinstance(stdin, str):
        return stdin.encode("utf-8", "surrogateescape")
    if isinstance(stdin, os.PathLike):
        try:
            return Path(stdin).read_bytes()
        except OSError as error:
            raise UserError(f"stdin: {os.fspath(stdin)!r} cannot be read: {error.strerror or error}.") from None
    raise UserError(f"stdin must be bytes, text or a path, not {type(stdin).__name__}.")


def patterns_of(outputs: str | Iterable[str]) -> tuple[str, ...]:
    """Patterns of files that jobs bring back."""
    patterns = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
            raise UserError(f"outputs: {pattern!r} is no pattern of files below a job's directory.")
    return patterns


def job_options(
    timeout: float | None,
    memory: int | str | None,
    reentrant: bool | None,
    outputs: str | Iterable[str],
    output_limit: int | str,
    retries: int = 0,
    placing: Placing = ANYWHERE,
) -> JobOptions:
    """What all jobs of a cluster share."""
    if reentrant not in (None, True, False):
        raise UserError(f"reentrant={reentrant!r} must be None, True or False.")
    made = JobOptions(
        timeout_ns=timeout_ns(timeout),
        memory_bytes=bytes_of(memory, "memory"),
        reentrant=reentrant,
        outputs=patterns_of(outputs),
        output_limit_bytes=bytes_of(output_limit, "output_limit"),
        retries=retries_of(retries),
        priority=placing.priority,
        where=placing.where,
        resources=placing.resources,
        wait_for_nodes=placing.wait_for_nodes,
    )
    check_options(made)
    return made
