"""Listening and dialling on an asyncio loop, by address."""

from __future__ import annotations

import asyncio
import socket

from lightwork.config.timers import HELLO_S
from lightwork.model.errors import StartFailed, Unreachable
from lightwork.security.token_file import DIAL, LISTEN, Token
from lightwork.transport import loopback, unix
from lightwork.transport.address import BACKLOG, LOOPBACK, UNIX, demanding, split, target, with_proof
from lightwork.transport.link import Link, Receiver
from lightwork.transport.stream import StreamLink, settled
from lightwork.wire.connection import Connection
from lightwork.wire.dialogue import Check, accept
from lightwork.wire.messages import Hello


class Listener:
    """An open address. `close` takes no more links; those that are up stay."""

    def __init__(self, address: str, server: asyncio.Server, trace: unix.Trace) -> None:
        self.address = address
        self._server = server
        self._trace = trace

    def close(self) -> None:
        """Stop listening and remove the path."""
        self._trace.remove()
        self._server.close()


async def listen(address: str, receiver: Receiver, hello: Hello, check: Check = accept) -> Listener:
    """Listen at `unix:PATH` or `loopback:PATH`; `check` may refuse a hello."""
    kind, path = split(address)
    token: Token | None = None
    if kind == UNIX:
        sock = unix.open_listener(path)
    elif kind == LOOPBACK:
        sock = loopback.open_listener()
        token = loopback.announce(path, sock)
    else:
        raise StartFailed(f"cannot listen at {address}", hint="unix:/path or loopback:/path")
    hello = with_proof(hello, token, LISTEN)
    check = demanding(check, token, listening=True)
    loop = asyncio.get_running_loop()

    def accepted() -> StreamLink:
        return StreamLink(Connection(hello, listening=True, check=check, now=loop.time()), receiver, address)

    if kind == UNIX:
        server = await loop.create_unix_server(accepted, sock=sock, backlog=BACKLOG)
    else:
        server = await loop.create_server(accepted, sock=sock, backlog=BACKLOG)
    return Listener(address, server, unix.Trace(path))


async def connect(
    address: str, receiver: Receiver, hello: Hello, check: Check = accept, token: Token | None = None
) -> Link:
    """Dial `unix:PATH`, `loopback:PATH`, or `tcp:127.0.0.1:PORT` with its token; the link is up on return.

    Unreachable: nobody there. PeerError: there is, but it refused, or is none of ours.
    """
    _, where, token = target(address, token)
    connection = _dialler(with_proof(hello, token, DIAL), demanding(check, token, listening=False))
    loop = asyncio.get_running_loop()

    def made() -> StreamLink:
        return StreamLink(connection, receiver, address)

    dialling = (
        loop.create_connection(made, *where) if isinstance(where, tuple) else loop.create_unix_connection(made, where)
    )
    try:
        _, link = await asyncio.wait_for(dialling, HELLO_S)
    except OSError as error:  # a TimeoutError is one
        raise Unreachable(f"nobody answers at {address}: {str(error) or 'timeout'}") from None
    return await _settled(link)


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


def _dialler(hello: Hello, check: Check) -> Connection:
    return Connection(hello, listening=False, check=check, now=asyncio.get_running_loop().time())


async def _settled(link: StreamLink) -> Link:
    try:
        await settled(link)
    except asyncio.CancelledError:
        link.abort()
        raise
    return link
