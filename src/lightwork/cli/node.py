"""`lightwork node` as a shell sees it; what it does is in node_command, loaded when the command line is right."""

from __future__ import annotations

from typing import Any

import click

from lightwork.cli import config_option

_EPILOG = """
\b
Without --listen and --join: with a secret the node listens on all addresses
and is found by those who have the same secret; without one it works for this
user on this machine only.

\b
The secret is looked for in --secret-file, LIGHTWORK_SECRET, and the file that
`lightwork secret --save` writes. It is never an argument: others could read it.

\b
TERM or Ctrl-C: what runs may end, nothing new starts. A second time: at once.
Exit status: 0 stopped in order, 1 ended or cannot start, 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; * is all addresses.  [*:9701]")
@click.option(
    "--join", metavar="HOST:PORT", help="Dial this scheduler or relay, again and again, instead of listening."
)
@click.option("--slots", type=int, metavar="N", help="So many jobs run at once; -1: all cores but one.  [cores]")
@click.option("--name", metavar="NAME", help="What the node is called.  [the host's name]")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="For where='label.NAME == \"VALUE\"', and node.labels.",
)
@click.option("--python", "pythons", multiple=True, metavar="PATH", help="A further interpreter for jobs.")
@click.option(
    "--nice",
    type=click.IntRange(0, 19),
    default=19,
    show_default=True,
    metavar="N",
    help="Of the jobs; 19: all others first.",
)
@click.option("--resource", "resources", multiple=True, metavar="NAME=AMOUNT", help="What jobs need: gpu=2, tape=1.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group of nodes that it belongs to.")
@click.option("--weight", type=int, default=0, metavar="N", help="Heavier nodes are filled first.  [0]")
@click.option("--service-start", metavar="TIME", help="From then on it takes jobs, each day: 20:00, or +2h from now.")
@click.option("--service-stop", metavar="TIME", help="From then on it takes none; those that run may end.")
@click.option("--service-end", metavar="TIME", help="Then those are ended, and run elsewhere.")
@click.option("--serve", type=click.IntRange(0), metavar="N", help="End when so many clients were served.")
@click.option("--init", metavar="FILE", help="Python file run before all jobs; they see it as lightwork.node_module().")
@click.option("--job-user", metavar="NAME", help="Who jobs run as, if root starts the node.")
@click.option("--max-file-size", metavar="SIZE", help="Refuse larger files, to and from jobs: 500M, 2G.")
@click.option("--cache-quota", metavar="SIZE", help="Keep so much of files for later; those in use stay anyway.  [16G]")
@click.option("--directory", metavar="DIR", help="Where it keeps all files, its own and those of jobs.  [/var/tmp]")
@click.option("--clean", is_flag=True, help="First remove what an earlier such node left; --serve 0: only that.")
@click.option("--secret-file", metavar="FILE", help="Where the secret is; readable by you alone.")
@click.option("--certfile", metavar="FILE", help="Use your own certificate instead of a secret.")
@click.option("--keyfile", metavar="FILE", help="Its private key, unless --certfile holds both.")
@click.option("--cafile", metavar="FILE", help="Whose certificates are accepted.  [the chain in --certfile]")
@click.option("--weak-secret", is_flag=True, help="Use a secret that could be guessed, all the same.")
@click.option("--client-shutdown", is_flag=True, help="Let jobs stop the node, by lightwork.node_shutdown().")
@click.option("--single", is_flag=True, help="Do not start beside a node of the same name.")
@click.option("--stop", is_flag=True, help="Stop the node of this name, once its jobs have ended, and do nothing else.")
@click.option("--now", is_flag=True, help="With --stop: wait for no job, and leave no process behind.")
@config_option.option("node")
@click.option("--detach", is_flag=True, help="Go to the background once it is up.")
@click.option("--service", is_flag=True, help="Print a systemd unit that starts the node like this.")
@click.option("--detached", is_flag=True, hidden=True)  # we are the process in the background
def node(**given: Any) -> int:
    """Let this machine run jobs of others."""
    from lightwork.cli import node_command

    return node_command.run(node_command.Options(**given))
