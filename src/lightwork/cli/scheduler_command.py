"""What `lightwork scheduler` does before the scheduler itself: it reads the options, and chooses how to run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lightwork.cli import credentials
from lightwork.config import paths
from lightwork.model.errors import UserError

WHAT = "scheduler"


@dataclass(frozen=True)
class Options:
    """The command line, option by option."""

    listen: str | None = None
    state: str | None = None
    name: str | None = None
    nodes: tuple[str, ...] = ()
    hosts: str | None = None
    order: str = "fair"
    resources: tuple[str, ...] = ()
    cooperative: bool = False
    secret_file: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cafile: str | None = None
    node_secret_file: str | None = None
    node_certfile: str | None = None
    node_keyfile: str | None = None
    node_cafile: str | None = None
    cluster_secret_file: str | None = None
    cluster_certfile: str | None = None
    cluster_keyfile: str | None = None
    cluster_cafile: str | None = None
    weak_secret: bool = False
    detach: bool = False
    service: bool = False
    detached: bool = False


def run(options: Options) -> int:
    """The exit status. LightworkError: it cannot start, or go on."""
    _check(options)
    if options.service:
        from lightwork.cli.service import print_unit

        return print_unit(arguments(options), WHAT)
    if options.detach:
        from lightwork.cli.detach import start

        return start(arguments(options), WHAT)
    return _serve(options)


def _check(options: Options) -> None:
    """What can be told at once."""
    if options.detach and options.service:
        raise UserError("--detach and --service: a service stays in the foreground of systemd", hint="leave out one")
    if options.name:
        paths.check_node_name(options.name, WHAT)
    resources(options.resources)


def _serve(options: Options) -> int:
    from lightwork.cli.detach import Report
    from lightwork.cli.node_command import Foreground
    from lightwork.kit.loop import run_loop
    from lightwork.scheduler.service.program import SchedulerProgram
    from lightwork.scheduler.service.program_options import ProgramOptions

    os.umask(0o077)
    credential, clients = credentials.of(options)
    given = ProgramOptions(
        name=options.name or "",
        state=Path(_absolute(options.state)) if options.state else None,
        listen=options.listen or "",
        nodes=listed(options.nodes),
        hosts=Path(_absolute(options.hosts)) if options.hosts else None,
        credential=credential,
        clients=clients,
        weak_secret=options.weak_secret,
        order=options.order,
        resources=resources(options.resources),
        cooperative=options.cooperative,
    )
    report = Report(WHAT) if options.detached else Foreground()
    program = SchedulerProgram(given, report)
    return run_loop(program.run(), uvloop=False if os.environ.get("LIGHTWORK_NO_UVLOOP") == "1" else None)


def listed(given: tuple[str, ...]) -> tuple[str, ...]:
    """`("a,b", "c")` as three, each once."""
    return tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))


def resources(given: tuple[str, ...]) -> dict[str, int]:
    """`("licence=5",)` as numbers by name. UserError."""
    if not given:
        return {}
    from lightwork.model.resources import assigned

    return assigned(list(given), option="--resource")


def arguments(options: Options) -> list[str]:
    """The command line again, as another process in another directory may be given it."""
    words = []
    for name in ("listen", "name"):
        if value := getattr(options, name):
            words += [f"--{name}", value]
    words += [word for node in listed(options.nodes) for word in ("--nodes", node)]
    words += [word for text in options.resources for word in ("--resource", text)]
    words += ["--order", options.order] if options.order != Options.order else []
    of_kinds = [f"{kind}_{name}" for kind in (credentials.NODE, credentials.CLUSTER) for name in credentials.FILES]
    for name in ("state", "hosts", *credentials.FILES, *of_kinds):
        if value := getattr(options, name):
            words += [f"--{name.replace('_', '-')}", _absolute(value)]
    flags = ("cooperative", "weak_secret")
    return words + [f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)]


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
