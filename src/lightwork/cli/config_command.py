"""What `lightwork config` does."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from lightwork.cli import output
from lightwork.cli.config_option import keys_of
from lightwork.cli.table import Column, table, width_of
from lightwork.cli.watching import FAILED, show_json
from lightwork.config import paths
from lightwork.config.checking import Value, check_all, settings
from lightwork.config.schema import TABLES
from lightwork.kit.text import count
from lightwork.model.errors import LightworkError
from lightwork.security import credential

COLUMNS = (Column("Key"), Column("Value", cut=True), Column("From", cut=True))
_DEFAULT = re.compile(r"\[([^\]]+)\]\s*$")  # at the end of an option's help
_FILES = ("secret_file", "certfile", "keyfile", "cafile")


class Line(NamedTuple):
    """What holds. `source`: FILE:LINE, "default", or where else it is found."""

    key: str
    value: str
    source: str


def check(files: Sequence[str], *, as_json: bool) -> int:
    """The exit status."""
    told = check_all(list(files))
    wrong = sum(len(problems) for _, problems in told)
    if as_json:
        show_json({"files": [{"file": str(path), "problems": [one._asdict() for one in some]} for path, some in told]})
        return FAILED if wrong else 0
    for path, problems in told:
        for problem in problems:
            where = f"{path}:{problem.line}: " if problem.line else ""
            output.error(f"{where}{problem.text}", hint=problem.hint)
    output.say(f"{count(wrong, 'mistake')} in {count(len(told), 'file')}" if wrong else "all right")
    return FAILED if wrong else 0


def show(program: str, file: str | None, *, as_json: bool) -> int:
    """The exit status. UserError: the file is wrong."""
    said = settings(file, program) if file else {}
    lines = [*_options(program, said, file or ""), *_credentials(program, said), *_places()]
    if as_json:
        show_json({"program": program, "file": file, "values": [line._asdict() for line in lines]})
        return 0
    print(table(COLUMNS, lines, width_of()))
    return 0


def command_of(program: str) -> click.Command:
    """The command whose options they are."""
    found = getattr(importlib.import_module(f"lightwork.cli.{program}"), program)
    assert isinstance(found, click.Command)
    return found


def _options(program: str, said: dict[str, Value], file: str) -> list[Line]:
    lines = []
    for parameter in command_of(program).params:
        [*known] = [key for key in keys_of(parameter) if key in _keys(program)]
        for key in known:
            if key in said:
                lines.append(Line(key, _text(said[key].value), f"{file}:{said[key].line}"))
            else:
                lines.append(Line(key, _default(parameter), "default"))
    return lines


def _keys(program: str) -> set[str]:
    return {name.replace("_", "-") for name in TABLES[program].__struct_fields__}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _default(parameter: click.Parameter) -> str:
    found = _DEFAULT.search(getattr(parameter, "help", "") or "")
    if found:
        return found[1]
    if getattr(parameter, "is_flag", False):
        return "no"
    return str(parameter.default) if isinstance(parameter.default, int | str) else ""


def _credentials(program: str, said: dict[str, Value]) -> list[Line]:
    """Where they are found; never what they are."""
    lines = []
    for kind in ("node_", "cluster_", "") if program == "scheduler" else ("",):
        given = {name: said[key].value for name in _FILES if (key := f"{kind}{name}".replace("_", "-")) in said}
        if kind and not given:
            continue
        try:
            found = credential.find(**given)
        except LightworkError as error:
            lines.append(Line(f"({kind.replace('_', ' ')}credential)", "unusable", str(error.args[0])))
            continue
        what = "none" if found is None else "a secret" if found.secrets else "a certificate"
        lines.append(Line(f"({kind.replace('_', ' ')}credential)", what, found.origin if found else "nowhere"))
    return lines


def _places() -> list[Line]:
    from lightwork.security.secret import secret_path

    return [
        Line("(saved secret)", str(secret_path()), "this user"),
        Line("(state directory)", str(paths.state_directory()), "this user"),
        Line("(runtime directory)", str(paths.runtime_directory()), "this user"),
    ]
