"""The command `lightwork`. A subcommand's module is loaded only when that command is called: `--help` stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from lightwork.cli import output
from lightwork.kit.version import __version__
from lightwork.model.errors import LightworkError, UserError

USAGE, OTHER, INTERRUPTED = 2, 255, 130  # exit statuses; 1 to 101 count failed jobs

_COMMANDS = {
    "cancel": ("lightwork.cli.cancel:cancel", "Cancel jobs of a scheduler."),
    "config": ("lightwork.cli.config:config", "Check configuration files, and show what holds."),
    "demo": ("lightwork.cli.demo:demo", "Show on this machine what Lightwork does, in under a minute."),
    "doctor": ("lightwork.cli.doctor:doctor", "Mend what a scheduler has on disk."),
    "down": ("lightwork.cli.down:down", "Stop the nodes that `lightwork up` has started."),
    "explain": ("lightwork.cli.explain:explain", "Say why a job waits."),
    "hosts": ("lightwork.cli.hosts:hosts", "Add, remove and drain machines of a scheduler, and group them."),
    "jobs": ("lightwork.cli.jobs:jobs", "Show jobs of a scheduler."),
    "logs": ("lightwork.cli.logs:logs", "Show what a job has written so far."),
    "node": ("lightwork.cli.node:node", "Let this machine run jobs of others."),
    "nodes": ("lightwork.cli.nodes:nodes", "Show the nodes of a scheduler."),
    "relay": ("lightwork.cli.relay:relay", "Carry the nodes of another network over one link."),
    "run": ("lightwork.cli.run:run", "Run a program once for each set of arguments."),
    "scheduler": ("lightwork.cli.scheduler:scheduler", "Keep jobs safe and hand them to nodes."),
    "secret": ("lightwork.cli.secret:secret", "Make the secret by which machines trust each other."),
    "sessions": ("lightwork.cli.sessions:sessions", "Show whose jobs a scheduler has."),
    "status": ("lightwork.cli.status:status", "Show nodes, and how many jobs run and wait."),
    "up": ("lightwork.cli.up:up", "Start nodes on the machines of a file, over ssh."),
}


class _Group(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise click.Abort from None  # before click answers with an empty line

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in sorted(_COMMANDS)])


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lightwork")
def group() -> None:
    """Run Python functions and standalone programs on every machine you can reach."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; our own errors are told in words, never as a traceback."""
    try:
        status = group.main(arguments, prog_name="lightwork", standalone_mode=False, windows_expand_args=False)
    except click.exceptions.NoArgsIsHelpError as error:
        output.say(error.format_message())
        return USAGE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "lightwork"
        output.error(error.format_message(), hint=f"see `{where} --help`")
        return USAGE
    except click.ClickException as error:
        output.error(error.format_message())
        return USAGE
    except LightworkError as error:
        output.error(str(error.args[0] if error.args else error), hint=error.hint)
        return USAGE if isinstance(error, UserError) else OTHER
    except click.Abort:
        if output.on_terminal():
            output.say("")  # below the terminal's own ^C
        output.error("interrupted")
        return INTERRUPTED
    return status if isinstance(status, int) else 0
