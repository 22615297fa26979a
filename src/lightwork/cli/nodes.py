"""`lightwork nodes` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching


@click.command()
@watching.options
@click.option("--group", metavar="GROUP", help="Only those that are in this group.")
def nodes(group: str | None, **given: Any) -> int:
    """Show the nodes of a scheduler, and what each has."""
    from lightwork.cli import nodes_command

    return watching.told(lambda: nodes_command.run(watching.split(given), group or ""))
