"""`--config FILE` of `lightwork scheduler|node|relay`: what the command line leaves out is taken from the file.

The file becomes click's map of defaults, so that each of its values is checked as if it had been typed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])
META = "lightwork.config"  # of a click context: the file, absolute


def option(table: str) -> Callable[[F], F]:
    """The option, for the command whose values are in this table of the file."""

    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is None or context.resilient_parsing:
            return
        from lightwork.config.checking import settings

        path = os.path.abspath(os.path.expanduser(value))
        context.meta[META] = path
        context.default_map = defaults(context.command, {key: one.value for key, one in settings(path, table).items()})

    return click.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=read,
        help=f"Take what is not given here from [{table}] of this TOML file.",
    )


def defaults(command: click.Command, values: dict[str, Any]) -> dict[str, Any]:
    """Values by key, as click has them: by the parameter's name."""
    found = {}
    for parameter in command.params:
        for key in keys_of(parameter):
            if key in values:
                value = values[key]
                found[parameter.name or key] = (
                    [f"{name}={one}" for name, one in value.items()] if isinstance(value, dict) else value
                )
    return found


def keys_of(parameter: click.Parameter) -> list[str]:
    """What an option is called in a file."""
    return [opt[2:] for opt in parameter.opts if opt.startswith("--")]


def for_a_service(words: list[str]) -> list[str]:
    """The command line of a service: with a file, that file and what was typed beside it, so that edits count."""
    context = click.get_current_context(silent=True)
    path = context.meta.get(META) if context is not None else None
    if context is None or path is None:
        return words
    typed = [
        parameter
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.name is not None
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    flags = {opt for one in context.command.params if getattr(one, "is_flag", False) for opt in one.opts}
    wanted = {opt for one in typed for opt in one.opts}
    kept, found, rest = ["--config", path], set(), iter(words)
    for word in rest:
        values = [] if word in flags else [next(rest, "")]
        if word in wanted:
            kept += [word, *values]
            found.add(word)
    for one in typed:  # given as what it is without: words do not repeat that, but the file may say otherwise
        if not one.is_flag and not found & set(one.opts) and isinstance(context.params.get(one.name or ""), int | str):
            kept += [one.opts[-1], str(context.params[one.name or ""])]
    return kept
