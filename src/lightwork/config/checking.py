"""A configuration file held against the schema: what is right of it, and each mistake as a sentence with its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lightwork.config import document, hosts_file
from lightwork.config.document import Document, Problem
from lightwork.config.schema import TABLES
from lightwork.config.words import words_of
from lightwork.model.errors import UserError

KNOWN = (*TABLES, "host", "defaults")
_SECRET_KEYS = ("secret", "node-secret", "cluster-secret", "password", "passphrase", "phrase")
_SECRET = re.compile(r"lw-[0-9a-zA-Z]{5}(-[0-9a-zA-Z]{5}){2,}|-----BEGIN ", re.IGNORECASE)
_NAME_A_FILE = "others may read or copy it: put the secret into a file of yours alone (chmod 600), and name that: {}"


class Value(NamedTuple):
    """What a key says, and on which line."""

    value: Any
    line: int


class Checked(NamedTuple):
    """Of one file: values by table and key, as far as they are right, and what is not."""

    path: Path
    tables: dict[str, dict[str, Value]]
    hosts: list[hosts_file.Host]
    problems: list[Problem]


def check(path: str | Path) -> Checked:
    """UserError: it cannot be read, or is no TOML."""
    found = document.read(path)
    problems: list[Problem] = []
    tables: dict[str, dict[str, Value]] = {}
    for name, said in found.data.items():
        line = found.line((name,))
        if name in TABLES and isinstance(said, dict):
            tables[name] = _table(found, name, said, problems)
        elif name in TABLES and not (name == "scheduler" and isinstance(said, str)):  # that is of a file of hosts
            problems.append(Problem(line, f"{name} is no table", f"write [{name}] above what it says"))
        elif name not in KNOWN:
            problems.append(_stranger(line, name, KNOWN, "table" if isinstance(said, dict) else "table or key"))
    hosts, wrong = hosts_file.hosts_of(found)
    problems += wrong
    secrets = _secrets(found)
    lines = {problem.line for problem in secrets}  # what else is wrong there would repeat them
    problems = secrets + [problem for problem in problems if problem.line not in lines]
    return Checked(found.path, tables, hosts, sorted(set(problems)))


def settings(path: str | Path, table: str) -> dict[str, Value]:
    """What a file says for one program. UserError: the first thing that is wrong with it, anywhere."""
    found = check(path)
    document.raise_first(found.path, found.problems)
    return found.tables.get(table, {})


def _table(found: Document, name: str, said: dict[str, Any], problems: list[Problem]) -> dict[str, Value]:
    kinds = {one.encode_name: one.type for one in msgspec.structs.fields(TABLES[name])}
    values: dict[str, Value] = {}
    for key, value in said.items():
        line = found.line((name, key))
        if key not in kinds:
            problems.append(_stranger(line, key, tuple(kinds), f"key of [{name}]"))
            continue
        try:
            values[key] = Value(_absolute(msgspec.convert(value, kinds[key]), kinds[key], found.path), line)
        except msgspec.ValidationError as error:
            inner, text = words_of(error, value, kinds[key])
            problems.append(Problem(found.line((name, key, *inner)), f"{key}: {text}"))
    return values


def _stranger(line: int, name: str, known: tuple[str, ...], what: str) -> Problem:
    if name.replace("_", "-") in _SECRET_KEYS:
        return Problem(line, f"{name}: a secret does not belong into this file", _NAME_A_FILE.format(_option(name)))
    return Problem(line, *document.unknown(name, known, what))


def _option(name: str) -> str:
    kind = name.replace("_", "-").partition("-secret")[0]
    return f'{kind}-secret-file = "..."' if kind in ("node", "cluster") else 'secret-file = "..."'


def _secrets(found: Document) -> list[Problem]:
    """Whatever looks like one, wherever it stands, however deep. It is not repeated."""
    problems = []
    parts: list[tuple[tuple[str | int, ...], Any]] = [((), found.data)]
    while parts:
        where, said = parts.pop()
        if isinstance(said, str) and _SECRET.search(said):
            what = f"{where[-1]}: this is a secret, which does not belong into this file"
            problems.append(Problem(found.line(where), what, _NAME_A_FILE.format('secret-file = "..."')))
        steps = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
        parts += [((*where, step), part) for step, part in steps]
    return problems


def _absolute(value: Any, kind: Any, path: Path) -> Any:
    """Paths are relative to the directory of the file, or begin with ~."""
    meta = msgspec.inspect.type_info(kind)
    kinds = meta.types if isinstance(meta, msgspec.inspect.UnionType) else (meta,)
    if not any(isinstance(one, msgspec.inspect.Metadata) and (one.extra or {}).get("path") for one in kinds):
        return value
    return str(path.absolute().parent / Path(value).expanduser())


def is_plain(path: Path) -> bool:
    """Whether it has lines `host[:port]`, and is no TOML: by its name, or by its first words."""
    if path.suffix.lower() == hosts_file.TOML:
        return False
    words = (line.partition("#")[0].strip() for line in document.text_of(path).splitlines())
    first = next(filter(None, words), "")
    return "=" not in first and not re.match(r"\[\[?[A-Za-z_-]", first)


def check_all(paths: list[str]) -> list[tuple[Path, list[Problem]]]:
    """Of several files; one that cannot be read has one problem, without a line."""
    told = []
    for path in paths:
        try:
            if is_plain(Path(path)):
                told.append((Path(path), hosts_file.plain(Path(path))[1]))
                continue
            found = check(path)
            told.append((found.path, found.problems))
        except UserError as error:
            told.append((Path(path), [Problem(0, str(error.args[0]), error.hint)]))
    return told
