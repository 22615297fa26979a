"""A TOML file as it was read: its values, the line of each, and what is wrong with it in sentences."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lightwork.config import toml_lines
from lightwork.model.errors import UserError

SIZE_MAX = 4 << 20
_WHERE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")


class Problem(NamedTuple):
    """What is wrong on a line."""

    line: int
    text: str
    hint: str = ""


class Document:
    """What a file says."""

    def __init__(self, path: Path, data: dict[str, Any], lines: dict[toml_lines.Path, int]) -> None:
        self.path = path
        self.data = data
        self._lines = lines

    def line(self, where: toml_lines.Path) -> int:
        """Of this value, or of what it is in."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)


def read(path: str | Path) -> Document:
    """UserError: it cannot be read, or is no TOML, on which line."""
    path = Path(path).expanduser()
    text = text_of(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = _WHERE.search(str(error))
        line = int(where[1]) if where and where[1] else text.rstrip().count("\n") + 1
        what = _WHERE.sub("", str(error))
        raise UserError(f"{path}:{line}: this is no TOML: {what[:1].lower()}{what[1:]}", hint=_QUOTES) from None
    except RecursionError:
        raise UserError(f"{path}: lists and tables are nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{path}: this cannot be read: {error}") from None
    return Document(path, data, toml_lines.lines(text))


_QUOTES = 'texts are in quotes: listen = "*:9700"; lists in brackets: nodes = ["bob", "cyd"]'


def text_of(path: Path) -> str:
    """UserError: it cannot be had."""
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:  # a NUL in its name
        raise UserError(f"{str(path)!r} is no name of a file") from None
    if len(data) > SIZE_MAX:
        raise UserError(f"{path} is too large")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text") from None


def raise_first(path: Path, problems: Iterable[Problem]) -> None:
    """UserError: the first, and how many more there are."""
    found = sorted(problems)
    if found:
        first = found[0]
        more = f" (and {len(found) - 1:,} more: `lightwork config check {path}`)" if len(found) > 1 else ""
        raise UserError(f"{path}:{first.line}: {first.text}{more}", hint=first.hint)


def unknown(name: str, known: Collection[str], what: str) -> tuple[str, str]:
    """The sentence about a name that nobody knows, and a hint with the nearest one, or all."""
    near = difflib.get_close_matches(name.replace("_", "-").lower(), known, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    return f"there is no {what} {name!r}", hint
