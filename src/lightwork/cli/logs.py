"""`lightwork logs` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching

_EPILOG = """
\b
What the job wrote to its standard output goes to ours, its standard error to
ours; with --stdout or --stderr that one alone, to standard output. Of very
long output the middle is left out, and that is told.
"""


@click.command(epilog=_EPILOG)
@click.option("--stdout", "only", flag_value="stdout", help="Only its standard output.")
@click.option("--stderr", "only", flag_value="stderr", help="Only its standard error, on our standard output.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@watching.options
@click.argument("job", metavar="SESSION/NUMBER")
def logs(job: str, only: str | None, follow: bool, **given: Any) -> int:
    """Show what a job has written so far."""
    from lightwork.cli import logs_command

    return watching.told(lambda: logs_command.run(watching.split(given), job, only or "", follow=follow))
