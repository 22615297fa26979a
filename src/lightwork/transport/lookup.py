"""Names to addresses without blocking a loop, and never longer than the caller waits.

The system's look-up cannot be interrupted: with a dead name server it takes half a minute. So each name that is no
number is asked for in a daemon thread of its own, one at a time for each name; who waits in vain goes away.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from typing import Any, NamedTuple

from lightwork.transport import reach


class Address(NamedTuple):
    """What a socket connects to."""

    family: int
    sockaddr: tuple[Any, ...]

    @property
    def number(self) -> str:
        """As people write it, without the port."""
        return str(self.sockaddr[0])


_running: dict[tuple[str, int], Future[list[Address]]] = {}
_lock = threading.Lock()


def resolve(host: str, port: int, timeout: float) -> list[Address]:
    """The addresses of a host, in the order to try. Unreachable: none, or none in time."""
    found = numeric(host, port)
    if found is not None:
        return found
    try:
        return in_order(ask(host, port).result(max(0.0, timeout)))
    except TimeoutError:
        raise reach.slow_lookup(host) from None
    except (OSError, UnicodeError) as error:
        raise reach.no_such_host(host, error) from None


def numeric(host: str, port: int) -> list[Address] | None:
    """A host that is a number is its own address."""
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found))


def ask(host: str, port: int) -> Future[list[Address]]:
    """The look-up that runs for this name, or a new one."""
    with _lock:
        asked = _running.get((host, port))
        if asked is None:
            asked = _running[host, port] = Future()
            asked.set_running_or_notify_cancel()  # who goes away does not take it from the others
            threading.Thread(target=_ask, args=(host, port, asked), name=f"look-up of {host}", daemon=True).start()
        return asked


def _ask(host: str, port: int, asked: Future[list[Address]]) -> None:
    try:
        found = _addresses(host, port)
    except Exception as error:  # noqa: BLE001  # those who wait get it
        _forget(host, port)
        asked.set_exception(error)
    else:
        _forget(host, port)
        asked.set_result(found)


def _forget(host: str, port: int) -> None:
    with _lock:
        del _running[host, port]


def in_order(found: list[Address]) -> list[Address]:
    """Families take turns, beginning with the one that the system prefers: one that leads nowhere costs little."""
    first = [address for address in found if address.family == found[0].family]
    rest = [address for address in found if address.family != found[0].family]
    out: list[Address] = []
    while first or rest:
        out += first[:1] + rest[:1]
        first, rest = first[1:], rest[1:]
    return out
