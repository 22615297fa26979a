"""`lightwork scheduler` as a shell sees it; what it does is in scheduler_command, loaded when the line is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lightwork.cli import config_option

F = TypeVar("F", bound=Callable[..., Any])

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
With a secret for nodes and another for programs (--node-secret-file,
--cluster-secret-file), who has the one cannot pass for the other.

\b
TERM or Ctrl-C: it stops, all is kept; jobs on nodes run on. A second time: at
once. Exit status: 0 stopped in order, 1 stopped at once, 2 wrong usage, 255
cannot start or cannot go on.
"""

ORDERS = ("fair", "submitted", "oldest")  # as in scheduler.core.policies


def _for(kind: str, whom: str) -> Callable[[F], F]:
    """The credential of nodes, or of programs, alone."""

    def add(command: F) -> F:
        command = click.option(f"--{kind}-cafile", metavar="FILE", help=f"Whose certificates {whom} may show.")(command)
        command = click.option(f"--{kind}-keyfile", metavar="FILE", help="Its private key.")(command)
        command = click.option(f"--{kind}-certfile", metavar="FILE", help=f"The certificate for {whom}.")(command)
        return click.option(f"--{kind}-secret-file", metavar="FILE", help=f"The secret of {whom} alone.")(command)

    return add


@click.command(epilog=_EPILOG)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; * is all addresses.  [*:9700]")
@click.option("--state", metavar="DIR", help="Where its jobs are kept: on a disk of this machine.")
@click.option("--name", metavar="NAME", help="What the scheduler is called.  [the host's name]")
@click.option(
    "--nodes", multiple=True, metavar="HOST[:PORT],...", help="Dial these nodes, which listen, again and again."
)
@click.option("--hosts", metavar="FILE", help="The same for the hosts in this file, which may change meanwhile.")
@click.option("--order", type=click.Choice(ORDERS), default=ORDERS[0], help="Whose job is next.  [fair]")
@click.option(
    "--resource", "resources", multiple=True, metavar="NAME=AMOUNT", help="All nodes share so many of it: licences..."
)
@click.option("--cooperative", is_flag=True, help="Let programs change how many slots of a node are used.")
@click.option("--secret-file", metavar="FILE", help="Where the secret is; readable by you alone.")
@click.option("--certfile", metavar="FILE", help="Use your own certificate instead of a secret.")
@click.option("--keyfile", metavar="FILE", help="Its private key, unless --certfile holds both.")
@click.option("--cafile", metavar="FILE", help="Whose certificates are accepted.  [the chain in --certfile]")
@_for("node", "nodes")
@_for("cluster", "programs")
@click.option("--weak-secret", is_flag=True, help="Use a secret that could be guessed, all the same.")
@config_option.option("scheduler")
@click.option("--detach", is_flag=True, help="Go to the background once it is up.")
@click.option("--service", is_flag=True, help="Print a systemd unit that starts the scheduler like this.")
@click.option("--detached", is_flag=True, hidden=True)  # we are the process in the background
def scheduler(**given: Any) -> int:
    """Keep jobs safe and hand them to nodes, for programs that come and go."""
    from lightwork.cli import scheduler_command

    return scheduler_command.run(scheduler_command.Options(**given))
