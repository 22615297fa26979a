"""`lightwork scheduler` as a shell sees it; what it does is in scheduler_command, loaded when the line is right."""

from __future__ import annotations

from typing import Any

import click

_EPILOG = """
\b
It keeps all jobs on disk, in --state: killed or restarted, it goes on where it
was, and what runs on nodes meanwhile goes on, too. Programs use it by
    SharedJobCluster(f, scheduler="HOST")
and nodes join it by `lightwork node --join HOST:9700`, or are named by --nodes.

\b
Without --listen: with a secret it listens on all addresses; without one it
works for this user on this machine only. On this machine this user always
reaches it, by its socket.

\b
The secret is looked for in --secret-file, LIGHTWORK_SECRET, and the file that
`lightwork secret --save` writes. It is never an argument: others could read it.

\b
TERM or Ctrl-C: it stops, all is kept; jobs on nodes run on. A second time: at
once. Exit status: 0 stopped in order, 1 stopped at once, 2 wrong usage, 255
cannot start or cannot go on.
"""


@click.command(epilog=_EPILOG)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; * is all addresses.  [*:9700]")
@click.option("--state", metavar="DIR", help="Where its jobs are kept: on a disk of this machine.")
@click.option("--name", metavar="NAME", help="What the scheduler is called.  [the host's name]")
@click.option(
    "--nodes", multiple=True, metavar="HOST[:PORT],...", help="Dial these nodes, which listen, again and again."
)
@click.option("--secret-file", metavar="FILE", help="Where the secret is; readable by you alone.")
@click.option("--certfile", metavar="FILE", help="Use your own certificate instead of a secret.")
@click.option("--keyfile", metavar="FILE", help="Its private key, unless --certfile holds both.")
@click.option("--cafile", metavar="FILE", help="Whose certificates are accepted.  [the chain in --certfile]")
@click.option("--weak-secret", is_flag=True, help="Use a secret that could be guessed, all the same.")
@click.option("--detach", is_flag=True, help="Go to the background once it is up.")
@click.option("--service", is_flag=True, help="Print a systemd unit that starts the scheduler like this.")
@click.option("--detached", is_flag=True, hidden=True)  # we are the process in the background
def scheduler(**given: Any) -> int:
    """Keep jobs safe and hand them to nodes, for programs that come and go."""
    from lightwork.cli import scheduler_command

    return scheduler_command.run(scheduler_command.Options(**given))
