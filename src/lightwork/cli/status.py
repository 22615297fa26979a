"""`lightwork status` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching


@click.command()
@watching.options
def status(**given: Any) -> int:
    """Show nodes, how many jobs run and wait, and why the oldest waiting ones do."""
    from lightwork.cli import status_command

    return watching.told(lambda: status_command.run(watching.split(given)))
