"""docs/command-line.md has every command, every option and every key of `--json`, and no other."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields
from typing import Any

import click
import pytest

from lightwork.cli import documents
from lightwork.cli.main import _COMMANDS
from lightwork.cli.watching import Where
from lightwork.wire.messages import Attempted, HostStatus, JobStatus, Logs, NodeStatus, SessionStatus, Status
from tests.house.helpers import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "command-line.md").read_text(encoding="utf-8")
SHARED = "Which scheduler"
OPTION = re.compile(r"`(--?[a-z][a-z-]*)")


def sections(page: str) -> dict[str, str]:
    """Text by heading of the second level."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def told(command: str) -> str:
    """What is said of a command, here and on the page that its section leads to."""
    text = sections(PAGE)[f"lightwork {command}"]
    link = re.search(r"\]\(([a-z]+\.md)[^)]*\) has its options", text)
    return text + (DOCS / link[1]).read_text(encoding="utf-8") if link else text


def options_in(text: str) -> set[str]:
    """Those of the tables: the first cells of their rows."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `-")]
    return {option for cell in cells for option in OPTION.findall(cell)}


def is_in(text: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){option}(?![\w-])", text) is not None


def loaded(command: str) -> click.Command:
    module, _, attribute = _COMMANDS[command][0].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, click.Command)
    return found


def parameters(command: click.Command) -> list[click.Parameter]:
    """Its own, and those of its subcommands."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return [*command.params, *(one for inner in below for one in parameters(inner))]


def has_shared(command: click.Command) -> bool:
    """Whether it has the options by which all that look into a scheduler choose one."""
    return {field.name for field in fields(Where)} <= {parameter.name for parameter in parameters(command)}


def test_every_command_has_its_section() -> None:
    found = {heading.removeprefix("lightwork ") for heading in sections(PAGE) if heading.startswith("lightwork ")}
    assert found == set(_COMMANDS)
    assert set(re.findall(r"\[`lightwork ([a-z]+)`\]\(#lightwork-\1\)", PAGE)) == set(_COMMANDS)


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_every_option_is_told_and_exists(name: str) -> None:
    command = loaded(name)
    visible = [one for one in parameters(command) if isinstance(one, click.Option) and not one.hidden]
    shared = {field.name for field in fields(Where)} if has_shared(command) else set()
    own = {text for one in visible if one.name not in shared for text in [*one.opts, *one.secondary_opts]}
    text = told(name)
    assert [
        one.opts for one in visible if one.name not in shared and not any(is_in(text, way) for way in one.opts)
    ] == []
    if name in (
        "status",
        "sessions",
        "jobs",
        "logs",
        "cancel",
        "doctor",
        "demo",
        "nodes",
        "hosts",
        "explain",
        "config",
    ):
        assert options_in(text) - own == set()


@pytest.mark.parametrize("name", ["hosts", "config"])
def test_every_subcommand_is_told(name: str) -> None:
    command = loaded(name)
    assert isinstance(command, click.Group)
    found = set(re.findall(rf"^\| `lightwork {name} ([a-z]+)", told(name), flags=re.MULTILINE))
    assert found | ({"list"} if name == "hosts" else set()) == set(command.commands)


def test_the_shared_options_are_told_once() -> None:
    command = loaded("status")
    own = {text for one in command.params for text in one.opts}
    assert options_in(sections(PAGE)[SHARED]) == own


def keys_of(row: str) -> set[str]:
    """The keys in the table row that begins with this cell."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {row} |")]
    return set(re.findall(r"`([a-z_]+)`", line.split("|", 2)[2]))


@pytest.mark.parametrize(
    ("row", "document"),
    [
        ("a node", documents.node(NodeStatus("n"))),
        ("a session", documents.session(SessionStatus("s"))),
        ("a job", documents.job(JobStatus("s", 1, 0, "f"))),
        ("a host", documents.host(HostStatus("h"))),
        ("`attempted`", documents.attempted(Attempted("a", "joined"))),
        ("`status`", documents.status(Status(1, [], 0, 0)) | dict.fromkeys(["schedulers", "address", "name"])),
        (
            "`logs`",
            documents.logs(Logs(1), b"", b"", (0, 0)) | dict.fromkeys(["address", "name", "session", "number"]),
        ),
    ],
)
def test_every_key_is_told(row: str, document: dict[str, Any]) -> None:
    assert keys_of(row) == set(document)
