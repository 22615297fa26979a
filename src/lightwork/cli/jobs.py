"""`lightwork jobs` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching

LIMIT = 100
_STATES = ("queued", "running", "ended", "finished", "failed", "cancelled", "timed_out", "lost", "poisoned")
_EPILOG = """
\b
SESSION is a name that `lightwork sessions` shows; without it, all sessions.
Jobs that have ended are shown as long as their results are kept for a program
that has not taken them, or under a key.
"""


@click.command(epilog=_EPILOG)
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only these; can be repeated.")
@click.option("--limit", type=click.IntRange(0), default=LIMIT, metavar="N", help=f"At most so many.  [{LIMIT}]")
@watching.options
@click.argument("session", required=False, default="")
def jobs(session: str, states: tuple[str, ...], limit: int, **given: Any) -> int:
    """Show jobs, the oldest first."""
    from lightwork.cli import jobs_command

    return watching.told(lambda: jobs_command.run(watching.split(given), session, states, limit))
