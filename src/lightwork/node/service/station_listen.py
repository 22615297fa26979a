"""A node that listens, and what its owner reads about it: where, and what to write elsewhere to use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lightwork.config import ports
from lightwork.kit.text import count, listed
from lightwork.node.service.station import Station
from lightwork.transport.address import ALL, TCP, join_host_port, names_port, split, split_host_port
from lightwork.transport.beacon import Answerer
from lightwork.transport.endpoint import Listener, listen
from lightwork.transport.interfaces import Interface, interfaces, reachable

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

SHOWN_MAX = 6


class Door:
    """The open address of a node; if others reach it, it also answers those who ask the network who is there."""

    def __init__(self, listener: Listener, answerer: Answerer | None) -> None:
        self.address = listener.address
        self._listener = listener
        self._answerer = answerer

    @property
    def problems(self) -> list[str]:
        """Why some that ask the network will not find us."""
        return self._answerer.problems if self._answerer is not None else []

    def close(self) -> None:
        """Nobody new comes in."""
        if self._answerer is not None:
            self._answerer.close()
            self._answerer = None
        self._listener.close()


async def open_door(station: Station, address: str, encryption: Encryption | None, *, free: bool) -> Door:
    """Listen; `free`: if the port is taken, at the next free one. StartFailed, UserError."""
    listener = await listen(address, station, station.hello(), station.check, encryption=encryption, free=free)
    kind, rest = split(listener.address)
    answerer = None
    if kind == TCP:
        host, port = split_host_port(rest)
        answerer = Answerer(port, host=host)
        await answerer.start()
    return Door(listener, answerer)


def port_is_free_to_choose(text: str) -> bool:
    """Whether the owner named no port: then the next free one will do."""
    return not names_port(text)


def listening_line(name: str, slots: int, address: str, here: Callable[[], list[Interface]] = interfaces) -> str:
    """The one line that says where a node listens, and what to write elsewhere."""
    kind, rest = split(address)
    with_slots = f"node {name}, {count(slots, 'slot')}, listens"
    if kind != TCP:
        return f'{with_slots} for this user on this machine only: JobCluster(f, nodes=["{address}"])'
    host, port = split_host_port(rest)
    hosts = reachable(here()) if host in (ALL, "0.0.0.0", "::") else [host]
    at = listed([join_host_port(one, port) for one in hosts], SHOWN_MAX)
    ways = [f'nodes=["{one if port == ports.NODE else join_host_port(one, port)}"]' for one in hosts[:SHOWN_MAX]]
    return f"{with_slots} at {at}: JobCluster(f, {' or '.join(ways)})"
