"""The ways into a scheduler program, and what its owner reads about them.

    this user, this machine     unix:<runtime directory>/scheduler-HASH.sock    clients, watchers, nodes
    others                      tcp:*:9700, mutual TLS 1.3                      the same, with the credential

HASH is that of the state directory, so that the way in is the same in all lives of the scheduler. So is the port, if
the owner named none and it is free: who knows the scheduler by it finds it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lightwork.config import paths, ports
from lightwork.kit.text import listed
from lightwork.model.errors import StartFailed
from lightwork.transport.address import (
    ALL,
    TCP,
    join_host_port,
    local_address,
    names_port,
    network_address,
    split,
    split_host_port,
)
from lightwork.transport.endpoint import Listener, listen
from lightwork.transport.interfaces import Interface, address_to_tell, interfaces, reachable
from lightwork.transport.link import Receiver
from lightwork.wire.dialogue import Check
from lightwork.wire.messages import Hello

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

SHOWN_MAX = 6
EVERYWHERE = (ALL, "0.0.0.0", "::")


class Doors:
    """What is open."""

    def __init__(self, receiver: Receiver, hello: Hello) -> None:
        self._receiver = receiver
        self._hello = hello
        self._open: list[Listener] = []
        self.address = ""  # of this user's own way in
        self.public: list[str] = []  # the others, with their real ports

    async def open_local(self, address: str, check: Check) -> None:
        """For this user. StartFailed."""
        self._open.append(await listen(address, self._receiver, self._hello, check))
        self.address = address

    async def open_public(
        self, address: str, check: Check, encryption: Encryption | None, *, free: bool, memory: Path
    ) -> None:
        """For others; `free`: if the port is taken, at the next free one. `memory`: the file that knows the port of the
        last life. StartFailed, UserError."""
        cipher = encryption if split(address)[0] == TCP else None
        last = _remembered(address, memory) if free or address.endswith(":0") else ""
        try:
            if not last:
                raise StartFailed("no port is remembered")
            listener = await listen(last, self._receiver, self._hello, check, encryption=cipher)
        except StartFailed:
            listener = await listen(address, self._receiver, self._hello, check, encryption=cipher, free=free)
        self._open.append(listener)
        self.public.append(listener.address)
        with contextlib.suppress(OSError):  # no room: then the next life may have another port
            memory.write_text(listener.address + "\n", encoding="ascii")

    def close(self) -> None:
        """Nobody new comes in."""
        for listener in self._open:
            listener.close()
        self._open.clear()

    def to_write(self) -> list[str]:
        """The open addresses as they are written on other machines."""
        return [_to_write(address) for address in self.public]


def _remembered(address: str, memory: Path) -> str:
    """The same host with the port of the last life; "": there was none."""
    try:
        last = memory.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):  # the first life, or nothing that can be used
        return ""
    same = last.rpartition(":")[0] == address.rpartition(":")[0]
    return last if same and last.rpartition(":")[2].isdecimal() else ""


def local_place(state: Path, prefix: str = "scheduler") -> str:
    """The address of this user's way in to the scheduler of this state directory."""
    return local_address(paths.runtime_directory(), f"{prefix}-{hash_of(state)}")


def hash_of(state: Path) -> str:
    """A short name of a state directory."""
    return hashlib.blake2b(os.fsencode(os.path.realpath(state)), digest_size=6).hexdigest()


def public_place(given: str, *, credential: bool) -> tuple[str, bool]:
    """Where to listen, and whether the next free port will do; "": nowhere."""
    if given:
        return network_address(given, ports.SCHEDULER, listening=True), not names_port(given)
    return (f"{TCP}:{ALL}:{ports.SCHEDULER}", True) if credential else ("", False)


def listening_line(name: str, doors: Doors, here: Callable[[], list[Interface]] = interfaces) -> str:
    """The one line that says where a scheduler listens, and what to write elsewhere."""
    if not doors.public:
        way = f'SharedJobCluster(f, scheduler="{doors.address}")'
        return f"scheduler {name} listens for this user on this machine only: {way}"
    kind, rest = split(doors.public[0])
    if kind != TCP:
        return f'scheduler {name} listens: SharedJobCluster(f, scheduler="{doors.public[0]}")'
    host, port = split_host_port(rest)
    hosts = reachable(here()) if host in EVERYWHERE else [host]
    at = listed([join_host_port(one, port) for one in hosts], SHOWN_MAX)
    ways = [f'scheduler="{_shortest(one, port)}"' for one in hosts[:SHOWN_MAX]]
    return f"scheduler {name} listens at {at}: SharedJobCluster(f, {' or '.join(ways)})"


def joining_hint(doors: Doors) -> str:
    """How nodes come to it."""
    where = doors.to_write()[0] if doors.public else doors.address
    return f"nodes join it by `lightwork node --join {where}`"


def _shortest(host: str, port: int) -> str:
    return host if port == ports.SCHEDULER else join_host_port(host, port)


def _to_write(address: str) -> str:
    kind, rest = split(address)
    if kind != TCP:
        return address
    host, port = split_host_port(rest)
    return join_host_port(address_to_tell() if host in EVERYWHERE else host, port)
