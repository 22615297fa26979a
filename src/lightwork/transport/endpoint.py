"""Listening and dialling on an asyncio loop, by address."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from lightwork.config import timers
from lightwork.config.timers import HELLO_S
from lightwork.model.errors import LightworkError, StartFailed, Unreachable
from lightwork.security.token_file import DIAL, LISTEN, Token
from lightwork.transport import loopback, reach, soon, tcp, unix
from lightwork.transport.acceptor import Acceptor
from lightwork.transport.address import (
    ALL,
    LOOPBACK,
    TCP,
    UNIX,
    demanding,
    join_host_port,
    split,
    split_host_port,
    target,
    with_proof,
)
from lightwork.transport.link import Link, Receiver, broken
from lightwork.transport.stream import StreamLink, settled
from lightwork.wire.connection import Connection
from lightwork.wire.dialogue import Check, accept
from lightwork.wire.messages import Hello

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

_CLOSING_TURNS = 3  # of the loop, until a listener that was closed just now has let go of its port


class Listener:
    """An open address. `close` takes no more links; those that are up stay."""

    def __init__(self, address: str, acceptor: Acceptor, trace: unix.Trace | None = None) -> None:
        self.address = address  # with the real port
        self._acceptor = acceptor
        self._trace = trace

    def close(self) -> None:
        """Stop listening and remove the path."""
        if self._trace is not None:
            self._trace.remove()
        self._acceptor.close()


async def listen(
    address: str,
    receiver: Receiver,
    hello: Hello,
    check: Check = accept,
    *,
    encryption: Encryption | None = None,
    free: bool = False,
    links: type[StreamLink] = StreamLink,
) -> Listener:
    """Listen at `unix:PATH`, `loopback:PATH`, or `tcp:HOST:PORT` with encryption; `check` may refuse a hello.

    With `free`, the next free port if this one is taken. StartFailed: it cannot be.
    """
    kind, rest = split(address)
    token, trace = None, None
    if kind == UNIX:
        sockets = [unix.open_listener(rest)]
        trace = unix.Trace(rest)
    elif kind == LOOPBACK:
        sockets = [loopback.open_listener()]
        token = loopback.announce(rest, sockets[0])
        trace = unix.Trace(rest)
    else:
        sockets = await _network_listeners(rest, free, encryption)
        address = f"{TCP}:{join_host_port(split_host_port(rest)[0], tcp.port_of(sockets[0]))}"
    hello = with_proof(hello, token, LISTEN)
    check = demanding(check, token, listening=True)
    cipher = encryption if kind == TCP else None
    loop = asyncio.get_running_loop()

    def accepted() -> StreamLink:
        talk = links.talks(hello, listening=True, check=check, now=loop.time())
        return links(talk, receiver, address, cipher)

    def refused(error: LightworkError) -> None:
        receiver.link_refused(address, error)

    return Listener(address, Acceptor(sockets, accepted, refused), trace)


async def _network_listeners(rest: str, free: bool, encryption: Encryption | None) -> list[socket.socket]:
    host, port = split_host_port(rest)
    if encryption is None:
        raise StartFailed(
            f"cannot listen on {rest} without a credential", hint="`lightwork secret --save` makes one for this user"
        )
    places = tcp.everywhere(port) if host == ALL else await soon.resolve_soon(host, port, timers.CONNECT_S)
    for _ in range(_CLOSING_TURNS):
        try:
            return tcp.open_listeners(host, port, places, free=False)
        except StartFailed:
            await asyncio.sleep(0)
    return tcp.open_listeners(host, port, places, free)


async def connect(
    address: str,
    receiver: Receiver,
    hello: Hello,
    check: Check = accept,
    token: Token | None = None,
    *,
    encryption: Encryption | None = None,
    links: type[StreamLink] = StreamLink,
) -> Link:
    """Dial `unix:PATH`, `loopback:PATH`, or `tcp:HOST:PORT` with encryption (or on 127.0.0.1 with its token).

    The link is up on return. Unreachable: nobody there. PeerError: there is, but it refused, or is none of ours.
    """
    if encryption is not None and split(address)[0] == TCP:
        return await _connect_encrypted(split(address)[1], receiver, hello, check, encryption, links)
    _, where, token = target(address, token)
    connection = _dialler(with_proof(hello, token, DIAL), demanding(check, token, listening=False), links)
    loop = asyncio.get_running_loop()

    def made() -> StreamLink:
        return links(connection, receiver, address)

    dialling = (
        loop.create_connection(made, *where) if isinstance(where, tuple) else loop.create_unix_connection(made, where)
    )
    try:
        _, link = await asyncio.wait_for(dialling, HELLO_S)
    except OSError as error:  # a TimeoutError is one
        if isinstance(where, str):
            raise reach.no_socket(where, error) from None
        raise Unreachable(f"nobody answers at {address}: {str(error) or 'timeout'}") from None
    return await _settled(link)


async def _connect_encrypted(
    where: str, receiver: Receiver, hello: Hello, check: Check, encryption: Encryption, links: type[StreamLink]
) -> Link:
    """All within CONNECT_S. A listener whose certificate we cannot verify is asked for its other one, to learn why."""
    from lightwork.transport.tls_errors import NotVerified, told_at_last

    end = asyncio.get_running_loop().time() + timers.CONNECT_S
    try:
        return await _try_encrypted(where, receiver, hello, check, encryption, end, links)
    except NotVerified as error:
        first, second = error, None
    try:
        link = await _try_encrypted(where, Receiver(), hello, reach.only_asks, encryption.turned(), end)
        link.abort()
    except LightworkError as error:
        second = error
    raise told_at_last(first, second, encryption.credential.origin)


async def _try_encrypted(
    where: str,
    receiver: Receiver,
    hello: Hello,
    check: Check,
    encryption: Encryption,
    end: float,
    links: type[StreamLink] = StreamLink,
) -> Link:
    loop = asyncio.get_running_loop()
    host, port = split_host_port(where)
    addresses = await soon.resolve_soon(host, port, end - loop.time())
    sock = await soon.connect_soon(where, addresses, end - loop.time())
    connection = _dialler(hello, check, links)
    try:
        _, link = await loop.create_connection(lambda: links(connection, receiver, where, encryption), sock=sock)
    except OSError as error:  # it has gone again
        sock.close()
        raise reach.not_up(where, False, broken(str(error))) from None
    except BaseException:
        sock.close()
        raise
    try:
        async with asyncio.timeout_at(end):
            await _settled(link)
    except TimeoutError:
        raise reach.says_nothing(where, link.heard) from None
    except LightworkError as error:
        if connection.peer is not None:  # our own receiver closed it as it came up
            raise
        raise reach.not_up(where, link.heard, error) from None
    return link


async def adopt(sock: socket.socket, receiver: Receiver, hello: Hello, check: Check = accept) -> Link:
    """A link over a connected socket, as its dialler."""
    loop, connection = asyncio.get_running_loop(), _dialler(hello, check)

    def made() -> StreamLink:
        return StreamLink(connection, receiver, "socket")

    if sock.family == getattr(socket, "AF_UNIX", None):
        _, link = await loop.create_unix_connection(made, sock=sock)
    else:
        _, link = await loop.create_connection(made, sock=sock)
    return await _settled(link)


def _dialler(hello: Hello, check: Check, links: type[StreamLink] = StreamLink) -> Connection:
    return links.talks(hello, listening=False, check=check, now=asyncio.get_running_loop().time())


async def _settled(link: StreamLink) -> Link:
    try:
        await settled(link)
    except asyncio.CancelledError:
        link.abort()
        raise
    return link
