"""`lightwork up` as a shell sees it; what it does is in up_command."""

from __future__ import annotations

from typing import Any

import click

_EPILOG = """
\b
FILE has a line for each machine (host, perhaps :port, # comment), or is TOML:
    scheduler = "lab0"          # whom the nodes join; without it, they listen
    [defaults]
    groups = ["lab"]
    [[host]]
    address = "lab1"
    slots = 4
    python = "/opt/python3.12/bin/python"
The rest is in docs/up.md; `lightwork config check FILE` looks it over.

\b
It uses this system's ssh, with your keys and your configuration, and never asks
for a password. The secret goes in on the other side's standard input.

\b
It stays and follows the file: a machine that is added is started, one that is
removed is stopped when its jobs have ended. Ctrl-C: it goes, the nodes stay;
`lightwork down FILE` stops them. Exit status: the number of machines that
failed (with --once), else 0; 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@click.argument("file")
@click.option("--once", is_flag=True, help="Start the nodes and end; do not follow the file.")
@click.option("--install", is_flag=True, help="Install Lightwork, as it is here, where it is missing.")
@click.option("--scheduler", metavar="HOST[:PORT]", help="Whom the nodes join, instead of what the file says.")
@click.option("--ssh", "ssh_command", metavar="COMMAND", default="ssh", show_default=True, help="What to run as ssh.")
@click.option("--secret-file", metavar="FILE", help="Where the secret of the nodes is; readable by you alone.")
@click.option("--weak-secret", is_flag=True, help="Use a secret that could be guessed, all the same.")
def up(**given: Any) -> int:
    """Start nodes on the machines of a file, over ssh."""
    from lightwork.cli import up_command

    return up_command.up(up_command.Up(**given))
