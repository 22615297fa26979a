"""`lightwork config` as a shell sees it."""

from __future__ import annotations

import click

_EPILOG = """
\b
A file has tables [scheduler], [node] and [relay], whose keys are the options of
these commands without their dashes, and [[host]] for each machine:
    [scheduler]
    listen = "*:9700"
    node-secret-file = "nodes.secret"
    resource = { licence = 5 }
`lightwork scheduler --config FILE` reads it; what is typed beside it counts more.
"""


@click.group(epilog=_EPILOG)
def config() -> None:
    """Check configuration files, and show what holds."""


@config.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def check(files: tuple[str, ...], as_json: bool) -> int:
    """Say all that is wrong with these files, each with its line. Exit status 1: something is."""
    from lightwork.cli import config_command

    return config_command.check(files, as_json=as_json)


@config.command()
@click.argument("program", type=click.Choice(["scheduler", "node", "relay"]), default="scheduler")
@click.option("--config", "file", metavar="FILE", help="As it would be read by that program.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def show(program: str, file: str | None, as_json: bool) -> int:
    """Show what holds for a program started now, and where each value comes from."""
    from lightwork.cli import config_command

    return config_command.show(program, file, as_json=as_json)
