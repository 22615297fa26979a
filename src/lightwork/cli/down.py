"""`lightwork down` as a shell sees it; what it does is in up_command."""

from __future__ import annotations

from typing import Any

import click

_EPILOG = """
\b
It stops what `lightwork up FILE` has started, also on machines that stand in
the file no more. Without --force it waits for jobs that run.
Exit status: the number of machines where it failed; 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@click.argument("file")
@click.option("--force", is_flag=True, help="Wait for no job, and leave no process behind.")
@click.option("--ssh", "ssh_command", metavar="COMMAND", default="ssh", show_default=True, help="What to run as ssh.")
def down(**given: Any) -> int:
    """Stop the nodes that `lightwork up` has started."""
    from lightwork.cli import up_command

    return up_command.down(up_command.Down(**given))
