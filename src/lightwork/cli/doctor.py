"""`lightwork doctor` as a shell sees it."""

from __future__ import annotations

import click

from lightwork.cli import watching

_EPILOG = """
\b
A scheduler that finds its journal damaged does not start, and names the record.
--recover makes a new journal of all records before that one, and puts the
damaged files aside, as they are. Stop the scheduler first.
"""


@click.command(epilog=_EPILOG)
@click.option("--recover", required=True, metavar="DIRECTORY", help="A scheduler's state directory, to be mended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def doctor(recover: str, as_json: bool) -> int:
    """Mend what a scheduler has on disk."""
    from lightwork.cli import doctor_command

    return watching.told(lambda: doctor_command.run(recover, as_json=as_json))
