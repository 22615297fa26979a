"""UDP sockets on the loop: how the beacon's are opened, and what each system wants to be told for that."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from lightwork.transport.interfaces import Interface

GROUP4 = "239.255.76.87"  # of this site only; 76 and 87 are L and W
GROUP6 = "ff02::4c57"  # of this link only
Where: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
_BUFFER = 128 << 10  # what a flood may leave in the kernel


class Datagrams(asyncio.DatagramProtocol):
    """One socket. `received(data, host, where, socket)` hears of each datagram; `broken` wants to be opened anew."""

    def __init__(self, sock: socket.socket, received: Callable[[bytes, str, Where, Datagrams], None]) -> None:
        self.broken = False
        self._sock = sock
        self._received = received
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is on the loop."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Somebody sent something."""
        self._received(data, host_of(addr), addr, self)

    def error_received(self, exc: Exception) -> None:
        """The system has something to complain about; on some of them nothing is heard any more after that."""
        self.broken = True

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self.broken = True

    def send(self, data: bytes, where: Where) -> None:
        """Send now or never; OSError says why it cannot be."""
        if self.broken:
            return
        try:
            self._sock.sendto(data, where)
        except BlockingIOError:  # the card is busy: a datagram may get lost anywhere
            pass

    def join(self, interface: Interface) -> None:
        """Hear what is sent to our group on this network; OSError."""
        if interface.v6:
            request = socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("@I", interface.number)
            self._join(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        else:
            request = socket.inet_aton(GROUP4) + socket.inet_aton(interface.address)
            self._join(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)

    def _join(self, level: int, option: int, request: bytes) -> None:
        try:
            self._sock.setsockopt(level, option, request)
        except OSError as error:
            if not _already(error):
                raise

    def close(self) -> None:
        """At once."""
        self.broken = True
        if self._transport is not None:
            self._transport.close()


async def open_shared(
    v6: bool, port: int, received: Callable[[bytes, str, Where, Datagrams], None], host: str = ""
) -> Datagrams:
    """A socket at a port that several programs of this machine share: each hears broadcasts and multicasts."""
    sock = _socket(v6)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port_option = getattr(socket, "SO_REUSEPORT", None)
        if (
            port_option is not None and sys.platform != "linux"
        ):  # there it would deal unicasts out, among one user's only
            sock.setsockopt(socket.SOL_SOCKET, port_option, 1)
        sock.bind(place(host or ("::" if v6 else "0.0.0.0"), port))
    except OSError:
        sock.close()
        raise
    return await _on_loop(sock, received)


async def open_sender(
    interface: Interface | None, v6: bool, received: Callable[[bytes, str, Where, Datagrams], None]
) -> Datagrams:
    """A socket at a port of its own. With an interface: what is sent to all leaves by it, from its address."""
    sock = _socket(v6)
    try:
        if interface is None:
            sock.bind(("::" if v6 else "0.0.0.0", 0))
        elif v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.number)
            sock.bind((interface.address, 0, 0, interface.number if interface.link_local else 0))
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface.address))
            sock.bind((interface.address, 0))
    except OSError:
        sock.close()
        raise
    return await _on_loop(sock, received)


def place(host: str, port: int) -> Where:
    """What `send` and `bind` call a numeric host, %scope and all; ValueError if it is none."""
    import ipaddress

    parsed = ipaddress.ip_address(host)
    if isinstance(parsed, ipaddress.IPv4Address):
        return host, port
    bare, _, scope = host.partition("%")
    try:
        index = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope) if scope else 0
    except OSError:
        raise ValueError(f"{host}: there is no network card {scope!r}") from None
    return bare, port, 0, index


def host_of(where: tuple[Any, ...]) -> str:
    """The host of a sender's address, with %scope where it means nothing without."""
    host = str(where[0]).partition("%")[0]
    if len(where) < 4 or not where[3] or not host.startswith("fe80:"):
        return host
    if sys.platform == "win32":  # it calls cards by number in addresses
        return f"{host}%{where[3]}"
    try:
        return f"{host}%{socket.if_indextoname(where[3])}"
    except OSError:  # the card went away in this moment
        return f"{host}%{where[3]}"


def _socket(v6: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    except OSError:
        sock.close()
        raise
    return sock


async def _on_loop(sock: socket.socket, received: Callable[[bytes, str, Where, Datagrams], None]) -> Datagrams:
    loop = asyncio.get_running_loop()
    try:
        _, datagrams = await loop.create_datagram_endpoint(lambda: Datagrams(sock, received), sock=sock)
    except BaseException:
        sock.close()
        raise
    return datagrams


def _already(error: OSError) -> bool:
    import errno

    return error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE))
