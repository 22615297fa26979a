"""What `lightwork relay` does before the relay itself: it reads the options, and chooses how to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightwork.cli import starting
from lightwork.cli.credentials import FILES
from lightwork.cli.node_rules import size
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
    if not options.scheduler:
        raise UserError("a relay needs to know its scheduler", hint="--scheduler HOST, where that one runs")
    starting.check(options)
    if options.name:
        paths.check_node_name(options.name, WHAT)
    quota = size(options.store_quota, "--store-quota", least=0)
    return starting.start(WHAT, options, arguments(options), lambda: _serve(options, quota))


def _serve(options: Options, quota: int) -> int:
    from lightwork.relay.service.program import ProgramOptions, RelayProgram
    from lightwork.security.credential import find

    given = ProgramOptions(
        scheduler=options.scheduler or "",
        name=options.name or "",
        listen=options.listen or "",
        nodes=starting.listed(options.nodes),
        discovery=not options.no_discovery,
        credential=find(**{name: getattr(options, name) for name in FILES}),
        weak_secret=options.weak_secret,
        store=Path(starting.absolute(options.store)) if options.store else None,
        quota=quota,
    )
    return starting.run(RelayProgram(given, starting.report(WHAT, options)).run())


def arguments(options: Options) -> list[str]:
    """The command line again, as another process in another directory may be given it."""
    return [
        *starting.values(options, ("scheduler", "listen", "name")),
        *starting.each("--nodes", starting.listed(options.nodes)),
        *(["--store-quota", options.store_quota] if options.store_quota != QUOTA else []),
        *starting.files(options, ("store", *FILES)),
        *starting.flags(options, ("no_discovery", "weak_secret")),
    ]
