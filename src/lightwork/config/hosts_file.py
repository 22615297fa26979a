"""Files that list machines: TOML with a [[host]] for each, or plain lines `host[:port]  # comment`.

scheduler = "lab0:9700"      # whom their nodes join (`lightwork up`)

[defaults]                   # for what a host leaves out
user = "ann"

[[host]]
address = "bob"              # all else may be left out
port = 9701
groups = ["fast"]
labels = { disk = "ssd" }
slots = 8
resources = { gpu = 2, scratch = "200G" }
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lightwork.config import document
from lightwork.config.document import Document, Problem
from lightwork.config.words import words_of
from lightwork.model.errors import UserError

TOML = ".toml"
HOSTS_MAX = 100_000
_KNOWN_TABLES = ("scheduler", "node", "relay", "host", "defaults")

Port = Annotated[int, Meta(ge=0, le=65535)]
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=255)]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A machine. `port`: where its node listens, 0: as usual; `line`: where it stands in the file."""

    address: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Port = 0
    name: str = ""  # of its node; "": that of the host
    user: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._@\\-]*)?\$?$", max_length=255)] = ""  # for ssh
    ssh_port: Port = 0
    groups: tuple[Word, ...] = ()
    labels: dict[Word, str] = {}
    slots: Annotated[int, Meta(ge=-65536, le=65536)] | None = None
    weight: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    resources: dict[Word, int | str] = {}
    python: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """As a node is named elsewhere: `bob`, `bob:9705`, `[::1]:9705`."""
        if not self.port:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class HostsFile(msgspec.Struct):
    """What such a file says; `scheduler`: whom the nodes join, "": nothing is said."""

    hosts: list[Host]
    scheduler: str = ""


def read(path: Path) -> HostsFile:
    """TOML if its name ends in .toml, else plain lines. UserError: with the file and the line."""
    path = Path(path).expanduser()
    if path.exists() and not path.is_file():  # a pipe would let us wait for ever
        raise UserError(f"cannot read {path}: it is no plain file")
    if path.suffix.lower() != TOML:
        hosts, problems = plain(path)
        document.raise_first(path, problems)
        return HostsFile(hosts)
    found = document.read(path)
    hosts, problems = hosts_of(found)
    problems += [
        Problem(found.line((name,)), *document.unknown(name, _KNOWN_TABLES, "table"))
        for name in found.data
        if name not in _KNOWN_TABLES
    ]
    document.raise_first(path, problems)
    return HostsFile(hosts, _scheduler_of(found))


def hosts_of(found: Document) -> tuple[list[Host], list[Problem]]:
    """The [[host]]s of a document, and all that is wrong with them and with [defaults]."""
    problems: list[Problem] = []
    defaults = _table(found, ("defaults",), found.data.get("defaults", {}), problems, without=("address", "name"))
    listed = found.data.get("host", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        problems.append(Problem(found.line(("host",)), "host is no list of tables", "write [[host]] above each"))
        return [], problems
    hosts: dict[str, Host] = {}
    for number, table in enumerate(listed[:HOSTS_MAX]):
        where = ("host", number)
        known = len(problems)
        fields = _table(found, where, table, problems)
        if "address" not in table and len(problems) == known:  # else it may be there, misspelt
            problems.append(Problem(found.line(where), "this host has no address", 'address = "bob"'))
        if "address" in fields:
            _add(hosts, {**defaults, **fields}, found.line(where), problems)
    if len(listed) > HOSTS_MAX:
        problems.append(Problem(found.line(("host", HOSTS_MAX)), f"there are more than {HOSTS_MAX:,} hosts"))
    return list(hosts.values()), problems


def _scheduler_of(found: Document) -> str:
    """`scheduler = "lab0"`, or what a [node] joins."""
    said: Any = found.data.get("scheduler", "")
    node: Any = found.data.get("node", {})
    if not isinstance(said, str):
        said = node.get("join", "") if isinstance(node, dict) else ""
    return said if isinstance(said, str) else ""


def _table(
    found: Document, where: tuple[str | int, ...], table: Any, problems: list[Problem], without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The fields of one table that are right; the others are problems."""
    if not isinstance(table, dict):
        problems.append(Problem(found.line(where), f"{where[0]} is no table", f"write [{where[0]}] above it"))
        return {}
    kinds = {_key(one.name): one for one in msgspec.structs.fields(Host) if one.name not in (*without, "line")}
    fields: dict[str, Any] = {}
    for key, value in table.items():
        line = found.line((*where, key))
        if key not in kinds:
            problems.append(Problem(line, *document.unknown(key, kinds, f"key of [{where[0]}]")))
            continue
        try:
            fields[kinds[key].name] = msgspec.convert(value, kinds[key].type)
        except msgspec.ValidationError as error:
            inner, text = words_of(error, value)
            problems.append(Problem(found.line((*where, key, *inner)), f"{key}: {text}"))
    return fields


def _add(hosts: dict[str, Host], fields: dict[str, Any], line: int, problems: list[Problem]) -> None:
    try:
        address, port = split(fields["address"])
    except ValueError as error:
        problems.append(Problem(line, str(error), _AS))
        return
    if port and fields.get("port", port) != port:
        problems.append(Problem(line, f"{fields['address']} names another port than port = {fields['port']}"))
        return
    host = Host(**{**fields, "address": address, "port": port or fields.get("port", 0), "line": line})
    called = host.name or host.place  # one machine may have several nodes, each with a name
    first = hosts.setdefault(called, host)
    if first is not host:
        problems.append(Problem(line, f"{called} is there already, on line {first.line}"))


def plain(path: Path) -> tuple[list[Host], list[Problem]]:
    """What plain lines say, and all that is wrong with them."""
    hosts: dict[str, Host] = {}
    problems: list[Problem] = []
    for number, text in enumerate(document.text_of(path).splitlines(), 1):
        if said := text.partition("#")[0].strip():
            _add(hosts, {"address": said}, number, problems)
        if len(hosts) > HOSTS_MAX:
            problems.append(Problem(number, f"there are more than {HOSTS_MAX:,} hosts"))
            break
    return list(hosts.values()), problems


_AS = "a line is HOST or HOST:PORT, and a comment begins with #"
_BRACKETS = re.compile(r"\[([^\[\]\s]+)\](?::(\d+))?")
_NAME = re.compile(r"((?!-)[^\s:\[\]/@,;\"'=`$|&<>(){}\\]+)(?::(\d+))?")  # nothing that a shell could make more of


def split(text: str) -> tuple[str, int]:
    """`bob:9705` as host and port; port 0: none is said. ValueError: it is neither."""
    if text.count(":") > 1 and not text.startswith("["):
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ValueError(f"not HOST[:PORT]: {text}") from None
        return text, 0
    found = _BRACKETS.fullmatch(text) or _NAME.fullmatch(text)
    if found is None:
        raise ValueError(f"not HOST[:PORT]: {text}")
    port = int(found[2] or 0)
    if port > 65535 or (found[2] and not port):
        raise ValueError(f"{text}: ports are 1 to 65535")
    return found[1], port


def _key(field: str) -> str:
    return field.replace("_", "-")
