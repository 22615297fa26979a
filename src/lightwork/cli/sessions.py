"""`lightwork sessions` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching

_EPILOG = """
\b
A session is what a program opens on a scheduler. One with recover= outlives
its program: its jobs go on, and its results are kept for 7 days.
"""


@click.command(epilog=_EPILOG)
@watching.options
def sessions(**given: Any) -> int:
    """Show whose jobs a scheduler has."""
    from lightwork.cli import sessions_command

    return watching.told(lambda: sessions_command.run(watching.split(given)))
