"""What `lightwork node` does before the node itself: it reads the options, and chooses how to run."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from lightwork.cli import node_rules, output, starting
from lightwork.cli.credentials import FILES
from lightwork.config import paths
from lightwork.model.errors import LightworkError, UserError

WHAT = "node"
FAILED = 1


@dataclass(frozen=True)
class Options:
    """The command line, option by option."""

    listen: str | None = None
    join: str | None = None
    slots: int | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    nice: int = 19
    secret_file: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cafile: str | None = None
    weak_secret: bool = False
    client_shutdown: bool = False
    resources: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    weight: int = 0
    service_start: str | None = None
    service_stop: str | None = None
    service_end: str | None = None
    serve: int | None = None
    init: str | None = None
    job_user: str | None = None
    max_file_size: str | None = None
    cache_quota: str | None = None
    directory: str | None = None
    clean: bool = False
    single: bool = False
    stop: bool = False
    now: bool = False
    detach: bool = False
    service: bool = False
    detached: bool = False


def run(options: Options) -> int:
    """The exit status."""
    _check(options)
    try:
        if options.stop and not options.service:
            return _stop(options)
        return starting.start(WHAT, options, arguments(options), lambda: _serve(options))
    except UserError:
        raise
    except LightworkError as error:
        output.error(str(error.args[0] if error.args else error), hint=error.hint)
        return FAILED


def _check(options: Options) -> None:
    """What can be told at once."""
    if options.listen and options.join:
        raise UserError("a node listens or joins, not both", hint="leave out --listen or --join")
    if options.now and not options.stop:
        raise UserError("--now is of --stop", hint="--stop --now")
    starting.check(options)
    slots(options.slots)
    labels(options.labels)
    node_rules.check(options)
    if options.name:
        paths.check_node_name(options.name)


def _serve(options: Options) -> int:
    from lightwork.node.service.station_agents import StationOptions
    from lightwork.node.service.station_program import Program, ProgramOptions
    from lightwork.security.credential import find

    if options.clean and _clean(options):
        return 0
    station = StationOptions(
        slots=slots(options.slots),
        labels=labels(options.labels),
        pythons=tuple(map(_absolute, options.pythons)),
        nice=options.nice,
        rules=node_rules.rules(options),
        portable=os.environ.get("LIGHTWORK_PORTABLE") == "1" or sys.platform == "win32",
    )
    given = ProgramOptions(
        name=options.name or "",
        listen=options.listen or "",
        join=options.join or "",
        credential=find(**{name: getattr(options, name) for name in FILES}),
        weak_secret=options.weak_secret,
        client_shutdown=options.client_shutdown,
        single=options.single,
        base=options.directory or "",
        station=station,
    )
    if not options.job_user:
        _warn_root()
    return starting.run(Program(given, starting.report(WHAT, options)).run())


def _stop(options: Options) -> int:
    from lightwork.node.service import stopping
    from lightwork.node.service.base import base_of

    name = options.name or paths.node_name()
    stopped = stopping.stop(name, output.say, now=options.now, base=base_of(options.directory or ""))
    output.say(f"node {name} is stopped" if stopped else f"no node {name} of yours runs here")
    return 0


def _clean(options: Options) -> bool:
    """What an earlier node of this name has left goes. Whether that was all."""
    from lightwork.node.service.base import base_of
    from lightwork.node.service.clean_up import clean_up

    name, user = options.name or paths.node_name(), node_rules.rules(options).user
    for line in clean_up(name, user, base_of(options.directory or "", user)):
        output.say(line)
    return options.serve == 0


def _warn_root() -> None:
    if sys.platform != "win32" and os.geteuid() == 0:
        hint = "--job-user NAME lets them run as another user"
        output.warning("jobs of this node run as root: they may do anything here", hint=hint)


# --- values ---


def slots(given: int | None) -> int:
    """How many jobs run at once. Negative: all cores but so many."""
    cores = os.cpu_count() or 1
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    if given is None:
        return cores
    if given == 0 or cores + given < 1:
        left = f"this machine has {cores}" if given else "jobs need at least one"
        raise UserError(f"--slots {given} leaves no slot: {left}", hint="--slots 2: two; --slots -1: all cores but one")
    return given if given > 0 else cores + given


def labels(given: tuple[str, ...]) -> dict[str, str]:
    """`("disk=ssd",)` as a mapping."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"not NAME=VALUE: {text}", hint="write it as --label NAME=VALUE")
        found[name] = value
    return found


def arguments(options: Options) -> list[str]:
    """The command line again, as another process in another directory may be given it."""
    return [
        *starting.values(options, ("listen", "join", "name")),
        *(["--slots", str(options.slots)] if options.slots is not None else []),
        *starting.each("--label", options.labels),
        *starting.each("--python", map(_absolute, options.pythons)),
        *(["--nice", str(options.nice)] if options.nice != Options.nice else []),
        *starting.files(options, (*FILES, "directory")),
        *node_rules.words(options),
        *starting.flags(options, ("weak_secret", "client_shutdown", "single")),
    ]


def _absolute(path: str) -> str:
    """A path, or a name that is looked for on the PATH."""
    path = os.path.expanduser(path)
    return os.path.abspath(path) if os.path.dirname(path) else path
