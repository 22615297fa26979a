"""Listening TCP sockets that others reach."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence

from lightwork.config.ports import TRIED
from lightwork.model.errors import StartFailed
from lightwork.transport.address import ALL, BACKLOG, join_host_port
from lightwork.transport.lookup import Address

_TAKEN = (errno.EADDRINUSE, *((errno.EACCES,) if sys.platform == "win32" else ()))
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_CHOICES = 20  # of a free port that must be free for IPv4 and IPv6


def open_listeners(host: str, port: int, places: Sequence[Address], free: bool) -> list[socket.socket]:
    """Sockets at all places, on one port; with `free` the next free port from the wanted one. StartFailed: cannot."""
    tries = range(port, min(port + TRIED, 1 << 16)) if free and port else [port] * (1 if port else _CHOICES)
    for number in tries:
        try:
            return _open_all(places, number, optional=host == ALL)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise _failed(host, number, error) from None
    last = tries[-1]
    what = f"port {port} is" if last == port else f"ports {port} to {last} are"
    raise StartFailed(
        f"cannot listen on {join_host_port(host, port)}: {what} in use", hint="give another port, or stop who has it"
    )


def everywhere(port: int) -> list[Address]:
    """All addresses of this machine."""
    ours = [Address(socket.AF_INET, ("0.0.0.0", port))]
    return [Address(socket.AF_INET6, ("::", port)), *ours] if socket.has_ipv6 else ours


def port_of(sock: socket.socket) -> int:
    """The real one."""
    return int(sock.getsockname()[1])


def _open_all(places: Sequence[Address], port: int, optional: bool) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for family, sockaddr in places:
            try:
                opened.append(_open(family, (sockaddr[0], port_of(opened[0]) if opened else port, *sockaddr[2:])))
            except OSError as error:
                if not (optional and family == socket.AF_INET6 and error.errno in _NO_FAMILY):
                    raise
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def _open(family: int, sockaddr: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # Windows lets others in without it
        if exclusive is not None:
            sock.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(sockaddr)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _failed(host: str, port: int, error: OSError) -> StartFailed:
    where = join_host_port(host, port)
    if error.errno == errno.EADDRNOTAVAIL:
        return StartFailed(f"cannot listen on {where}: that is no address of this machine", hint=f"{ALL}:{port} is all")
    if error.errno == errno.EACCES:
        return StartFailed(f"cannot listen on {where}: not allowed", hint="ports from 1024 up need no privilege")
    return StartFailed(f"cannot listen on {where}: {error.strerror or error}")
