"""`lightwork relay` as a shell sees it; what it does is in relay_command, loaded when the line is right."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import config_option

_EPILOG = """
\b
Run it on a gateway of the other network, or on any machine there that can
reach the scheduler. Nodes join it as if it were the scheduler:
    lightwork node --join RELAY:9702
Nodes that listen are found by asking the network, or are named by --nodes;
those on the scheduler's own network are left to it.

\b
Files that jobs need cross the link to the scheduler once, and are kept in
--store for all nodes. If the link is lost, nodes go on for a minute with what
they have; within that time nothing is lost, and nothing is run twice.

\b
The secret is that of nodes. It is looked for in --secret-file,
LIGHTWORK_SECRET, and the file that `lightwork secret --save` writes.

\b
TERM or Ctrl-C: it stops; nodes wait a minute for it, or for another one.
Exit status: 0 stopped in order, 2 wrong usage, 255 cannot start.
"""


@click.command(epilog=_EPILOG)
@config_option.option("relay")
@click.option("--scheduler", metavar="HOST[:PORT]", help="The scheduler that it dials, again and again.  [port 9700]")
@click.option("--listen", metavar="HOST:PORT", help="Where nodes join it; * is all addresses.  [*:9702]")
@click.option(
    "--nodes", multiple=True, metavar="HOST[:PORT],...", help="Dial only these nodes; 10.5.0.* are those found there."
)
@click.option("--no-discovery", is_flag=True, help="Do not ask the network for nodes that listen.")
@click.option("--name", metavar="NAME", help="What the relay is called.  [the host's name]")
@click.option("--store", metavar="DIR", help="Where it keeps files for its nodes.")
@click.option("--store-quota", metavar="SIZE", default="16G", show_default=True, help="So much of them.")
@click.option("--secret-file", metavar="FILE", help="Where the secret is; readable by you alone.")
@click.option("--certfile", metavar="FILE", help="Use your own certificate instead of a secret.")
@click.option("--keyfile", metavar="FILE", help="Its private key, unless --certfile holds both.")
@click.option("--cafile", metavar="FILE", help="Whose certificates are accepted.  [the chain in --certfile]")
@click.option("--weak-secret", is_flag=True, help="Use a secret that could be guessed, all the same.")
@click.option("--detach", is_flag=True, help="Go to the background once it has tried to reach its scheduler.")
@click.option("--service", is_flag=True, help="Print a systemd unit that starts the relay like this.")
@click.option("--detached", is_flag=True, hidden=True)  # we are the process in the background
def relay(**given: Any) -> int:
    """Carry the nodes of another network over one link to a scheduler."""
    from lightwork.cli import relay_command

    return relay_command.run(relay_command.Options(**given))
