"""What `lightwork scheduler` does before the scheduler itself: it reads the options, and chooses how to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightwork.cli import credentials, starting
from lightwork.config import paths

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
    starting.check(options)
    if options.name:
        paths.check_node_name(options.name, WHAT)
    resources(options.resources)
    return starting.start(WHAT, options, arguments(options), lambda: _serve(options))


def _serve(options: Options) -> int:
    from lightwork.scheduler.service.program import SchedulerProgram
    from lightwork.scheduler.service.program_options import ProgramOptions

    credential, clients = credentials.of(options)
    given = ProgramOptions(
        name=options.name or "",
        state=Path(starting.absolute(options.state)) if options.state else None,
        listen=options.listen or "",
        nodes=starting.listed(options.nodes),
        hosts=Path(starting.absolute(options.hosts)) if options.hosts else None,
        credential=credential,
        clients=clients,
        weak_secret=options.weak_secret,
        order=options.order,
        resources=resources(options.resources),
        cooperative=options.cooperative,
    )
    return starting.run(SchedulerProgram(given, starting.report(WHAT, options)).run())


def resources(given: tuple[str, ...]) -> dict[str, int]:
    """`("licence=5",)` as numbers by name. UserError."""
    if not given:
        return {}
    from lightwork.model.resources import assigned

    return assigned(list(given), option="--resource")


def arguments(options: Options) -> list[str]:
    """The command line again, as another process in another directory may be given it."""
    of_kinds = [f"{kind}_{name}" for kind in (credentials.NODE, credentials.CLUSTER) for name in credentials.FILES]
    return [
        *starting.values(options, ("listen", "name")),
        *starting.each("--nodes", starting.listed(options.nodes)),
        *starting.each("--resource", options.resources),
        *(["--order", options.order] if options.order != Options.order else []),
        *starting.files(options, ("state", "hosts", *credentials.FILES, *of_kinds)),
        *starting.flags(options, ("cooperative", "weak_secret")),
    ]
