"""The command `lightwork`. A subcommand's module is loaded only when that command is called: `--help` stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from lightwork.cli import output
from lightwork.kit.version import __version__
from lightwork.model.errors import LightworkError, UserError

USAGE, OTHER, INTERRUPTED = 2, 255, 130  # exit statuses; 1 to 101 count failed jobs

_SECTIONS = {
    "Run jobs": {
        "run": ("lightwork.cli.run:run", "Run a program once for each set of arguments."),
        "node": ("lightwork.cli.node:node", "Let this machine run jobs of others."),
        "scheduler": ("lightwork.cli.scheduler:scheduler", "Keep jobs safe and hand them to nodes, for many programs."),
        "up": ("lightwork.cli.up:up", "Start nodes on the machines of a file, over ssh."),
        "down": ("lightwork.cli.down:down", "Stop the nodes that `lightwork up` has started."),
        "relay": ("lightwork.cli.relay:relay", "Carry the nodes of another network over one link."),
    },
    "Look into a scheduler": {
        "status": ("lightwork.cli.status:status", "Show nodes, and how many jobs run and wait."),
        "sessions": ("lightwork.cli.sessions:sessions", "Show whose jobs it has."),
        "jobs": ("lightwork.cli.jobs:jobs", "Show its jobs."),
        "logs": ("lightwork.cli.logs:logs", "Show what a job has written so far."),
        "explain": ("lightwork.cli.explain:explain", "Say why a job waits."),
        "cancel": ("lightwork.cli.cancel:cancel", "Cancel jobs."),
        "nodes": ("lightwork.cli.nodes:nodes", "Show its nodes, and what each has."),
        "hosts": ("lightwork.cli.hosts:hosts", "Add, remove and drain machines, and group them."),
    },
    "Keep house": {
        "secret": ("lightwork.cli.secret:secret", "Make the secret by which machines trust each other."),
        "config": ("lightwork.cli.config:config", "Check configuration files, and show what holds."),
        "doctor": ("lightwork.cli.doctor:doctor", "Mend what a scheduler has on disk."),
        "demo": ("lightwork.cli.demo:demo", "Show on this machine what Lightwork does, in under a minute."),
    },
}
_COMMANDS = {name: where for section in _SECTIONS.values() for name, where in section.items()}
_EPILOG = """
\b
A cluster in three lines; then `lightwork run` and your programs use all of it:
    lightwork secret --save             # here
    lightwork secret --read --save      # on each other machine: paste the line
    lightwork node                      # there, too

`lightwork COMMAND --help` tells more.
"""


class _Group(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in _COMMANDS or name.startswith("-"):
            return super().resolve_command(context, args)
        import difflib

        near = difflib.get_close_matches(name, _COMMANDS, 1)
        raise click.UsageError(f"No such command '{name}'." + (f" Did you mean '{near[0]}'?" if near else ""), context)

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
        width = max(map(len, _COMMANDS))
        for title, section in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", said) for name, (_, said) in section.items()])


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
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
