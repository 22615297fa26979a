"""What `lightwork up` has started, by its file: so that `down` finds it, also when it stands in the file no more.

<state directory>/up/HASH.json    {"file": PATH, "hosts": [Host...], "processes": {NAME: PID}}
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lightwork.config import paths
from lightwork.config.hosts_file import Host
from lightwork.model.errors import UserError


class Record(msgspec.Struct, kw_only=True):
    """Of one file."""

    file: str
    hosts: dict[str, Host] = {}  # by the node's name
    processes: dict[str, int] = {}  # pids over there

    def started(self, host: Host, process: int) -> None:
        """There is a node now."""
        self.hosts[name_of(host)] = host
        self.processes[name_of(host)] = process

    def stopped(self, host: Host) -> None:
        """There is none."""
        self.hosts.pop(name_of(host), None)
        self.processes.pop(name_of(host), None)

    def save(self) -> None:
        """Whole or not at all; nothing is left of one that is empty. OSError."""
        path = _path_of(self.file)
        if not self.hosts:
            path.unlink(missing_ok=True)
            return
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self))
        os.replace(draft, path)


def load(file: Path) -> Record:
    """What is known of it; an empty one if nothing is."""
    name = os.path.realpath(file)
    try:
        return msgspec.json.decode(_path_of(name).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):  # nothing was started by it, or not by this version
        return Record(file=name)


def name_of(host: Host) -> str:
    """What its node is called."""
    return host.name or re.sub(r"[^A-Za-z0-9._-]+", "-", host.address).strip("-.")


def check_names(file: Path, hosts: Iterable[Host]) -> None:
    """UserError: two nodes would be called the same."""
    found: dict[str, Host] = {}
    for host in hosts:
        first = found.setdefault(name_of(host), host)
        if first is not host:
            raise UserError(
                f"{file}:{host.line}: the node would be called {name_of(host)}, as that of line {first.line}",
                hint='give each a name of its own: name = "..." below [[host]]',
            )


def _path_of(name: str) -> Path:
    found = hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()
    return paths.private(paths.state_directory() / "up") / f"{found}.json"
