"""`lightwork cancel` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching

_EPILOG = """
\b
SESSION/17 is one job, SESSION/10-19 are ten, SESSION alone is all of them.
Those that wait end at once; those that run are interrupted, and killed a few
seconds later with every process that they started.
"""


@click.command(epilog=_EPILOG)
@click.option("--yes", is_flag=True, help="Do not ask before all jobs of a session are cancelled.")
@watching.options
@click.argument("jobs", nargs=-1, required=True, metavar="SESSION[/NUMBER[-NUMBER]]...")
def cancel(jobs: tuple[str, ...], yes: bool, **given: Any) -> int:
    """Cancel jobs."""
    from lightwork.cli import cancel_command

    return watching.told(lambda: cancel_command.run(watching.split(given), jobs, yes=yes))
