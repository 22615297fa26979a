"""`lightwork explain` as a shell sees it."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import watching


@click.command()
@watching.options
@click.argument("job", metavar="SESSION/NUMBER")
def explain(job: str, **given: Any) -> int:
    """Say why a job waits: what each node has against it, and whose turn it is."""
    from lightwork.cli import explain_command

    return watching.told(lambda: explain_command.run(watching.split(given), job))
