"""What `lightwork relay` does before the relay itself: it reads the options, and chooses how to run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lightwork.config import paths
from lightwork.model.errors import UserError

WHAT = "relay"
QUOTA = "16G"


@dataclass(frozen=True)
class Options:
    """The command line, option by option."""

    scheduler: str | None = None
    listen: str | None = None
    nodes: tuple[str, ...] = ()
    no_discovery: bool = False
    name: str | None = None
    store: str | None = None
    store_quota: str = QUOTA
    secret_file: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    cafile: str | None = None
    weak_secret: bool = False
    detach: bool = False
    service: bool = False
    detached: bool = False


def run(options: Options) -> int:
    """The exit status. LightworkError: it cannot start."""
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
    if not options.scheduler:
        raise UserError("a relay needs to know its scheduler", hint="--scheduler HOST, where that one runs")
    if options.detach and options.service:
        raise UserError("--detach and --service: a service stays in the foreground of systemd", hint="leave out one")
    if options.name:
        paths.check_node_name(options.name, WHAT)
    size(options.store_quota)


def _serve(options: Options) -> int:
    from lightwork.cli.detach import Report
    from lightwork.cli.node_command import Foreground
    from lightwork.cli.scheduler_command import listed
    from lightwork.kit.loop import run_loop
    from lightwork.relay.service.program import ProgramOptions, RelayProgram
    from lightwork.security.credential import find

    os.umask(0o077)
    given = ProgramOptions(
        scheduler=options.scheduler or "",
        name=options.name or "",
        listen=options.listen or "",
        nodes=listed(options.nodes),
        discovery=not options.no_discovery,
        credential=find(
            secret_file=options.secret_file,
            certfile=options.certfile,
            keyfile=options.keyfile,
            cafile=options.cafile,
        ),
        weak_secret=options.weak_secret,
        store=Path(_absolute(options.store)) if options.store else None,
        quota=size(options.store_quota),
    )
    report = Report(WHAT) if options.detached else Foreground()
    program = RelayProgram(given, report)
    return run_loop(program.run(), uvloop=False if os.environ.get("LIGHTWORK_NO_UVLOOP") == "1" else None)


def size(text: str) -> int:
    """`2G` in bytes; 0: nothing is kept longer than it is read. UserError."""
    from lightwork.model.where_words import number_of

    found = number_of(text)
    if found is None or found != int(found) or found < 0:
        raise UserError(f"--store-quota {text}: that is no size", hint="a number of bytes, or such as 500M or 8G")
    return int(found)


def arguments(options: Options) -> list[str]:
    """The command line again, as another process in another directory may be given it."""
    from lightwork.cli.scheduler_command import listed

    words = []
    for name in ("scheduler", "listen", "name"):
        if value := getattr(options, name):
            words += [f"--{name}", value]
    words += [word for node in listed(options.nodes) for word in ("--nodes", node)]
    words += ["--store-quota", options.store_quota] if options.store_quota != QUOTA else []
    for name in ("store", "secret_file", "certfile", "keyfile", "cafile"):
        if value := getattr(options, name):
            words += [f"--{name.replace('_', '-')}", _absolute(value)]
    flags = ("no_discovery", "weak_secret")
    return words + [f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)]


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
