"""`lightwork run` as a shell sees it; what it does is in `runner`, which is loaded when the command line is right."""

from __future__ import annotations

from typing import Any

import click

_EPILOG = """
\b
Each -a, and each line of --args-from, is one job. Words are split as a shell
does. In ARG, {} stands for the whole line and {1}, {2}... for its words;
without any of them the words follow ARG. With neither -a nor --args-from there
is one job, with ARG as it is.

\b
Exit status: 0 all went well, 1 to 100 so many jobs failed, 101 more than that
did, 2 wrong usage, 130 interrupted, 255 the cluster failed.

\b
Without -n: this machine and, if there is a secret (LIGHTWORK_SECRET, or saved
by `lightwork secret --save`), the nodes that answer on the network.
"""


@click.command(context_settings={"allow_interspersed_args": False}, epilog=_EPILOG)
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Send this file or directory along.")
@click.option("-a", "--args", "args", multiple=True, metavar="ARGS", help="The arguments of one job.")
@click.option("--args-from", metavar="FILE", help="The arguments of a job from each line; - is stdin.")
@click.option("-j", "--jobs", "slots", type=click.IntRange(1), metavar="SLOTS", help="So many run at once here.")
@click.option("--stdin", metavar="FILE", help="What each job reads as its standard input; - is ours.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set a variable for the jobs.")
@click.option("--outputs", multiple=True, metavar="PATTERN", help="Bring files that match back, such as '*.png'.")
@click.option("--outputs-dir", default="outputs", metavar="DIR", help="Where to: DIR/1/, DIR/2/... by job.  [outputs]")
@click.option("--output-limit", default="64M", metavar="SIZE", help="So much of a job's output is kept.  [64M]")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End a job after this.")
@click.option("--memory", metavar="SIZE", help="End a job that uses more, such as 500M.")
@click.option("-n", "--nodes", multiple=True, metavar="NODE", help="Run there: host, host:port, '192.168.3.*', local.")
@click.option("--retries", type=click.IntRange(0), default=0, metavar="N", help="Try a failed job so often again.")
@click.option("--priority", type=click.IntRange(-1000, 1000), default=0, metavar="N", help="Larger ones go first.  [0]")
@click.option("--where", metavar="EXPRESSION", help="On which nodes, such as 'os == \"linux\" and memory >= 8G'.")
@click.option("--resource", "resources", multiple=True, metavar="NAME=AMOUNT", help="Each job needs: cpus=2, gpu=1...")
@click.option("--wait-for-nodes", is_flag=True, help="Wait for a node that can run the jobs, if none could now.")
@click.option("--scheduler", metavar="ADDRESS", help="Run on a shared scheduler: host, host:port, unix:/path.")
@click.option("--listen", metavar="HOST:PORT", help="Where nodes may join, such as '*:9700'.")
@click.option("--secret-file", metavar="FILE", help="The secret that all nodes know is in this file.")
@click.option("--certfile", metavar="FILE", help="Our certificate, instead of a secret; may hold the key too.")
@click.option("--keyfile", metavar="FILE", help="Its key.")
@click.option("--cafile", metavar="FILE", help="Who must have signed the nodes' certificates.")
@click.option("--weak-secret", is_flag=True, help="Use a secret that can be guessed beyond this machine too.")
@click.option("--ordered/--unordered", default=True, help="Output in order of submission (default), or as jobs end.")
@click.option("--name", metavar="NAME", help="What to call this run.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no closing line; errors are still told.")
@click.argument("program")
@click.argument("template", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def run(**given: Any) -> int:
    """Run PROGRAM once for each set of arguments.

    PROGRAM is an executable or a script: a path, or a name that is on the PATH. Files given with -f lie beside it.
    """
    from lightwork.cli import runner

    return runner.run(runner.Options(**given))
