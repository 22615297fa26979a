"""Dialling without a loop."""

from __future__ import annotations

import socket
import time

from lightwork.config.timers import HELLO_S
from lightwork.model.errors import Unreachable
from lightwork.security.token_file import DIAL, Token
from lightwork.transport.address import demanding, target, with_proof
from lightwork.transport.blocking import BlockingLink
from lightwork.wire.connection import Connection
from lightwork.wire.dialogue import Check, accept
from lightwork.wire.messages import Hello


def connect(
    address: str, hello: Hello, check: Check = accept, token: Token | None = None, timeout: float = HELLO_S
) -> BlockingLink:
    """Dial `unix:PATH`, `loopback:PATH`, or `tcp:127.0.0.1:PORT` with its token; the link is up on return.

    Unreachable: nobody there. PeerError: there is, but it refused, or is none of ours.
    """
    family, where, token = target(address, token)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(where)
    except OSError as error:
        sock.close()
        raise Unreachable(f"nobody answers at {address}: {error}") from None
    return adopt(sock, with_proof(hello, token, DIAL), demanding(check, token, listening=False), address, timeout)


def adopt(
    sock: socket.socket, hello: Hello, check: Check = accept, address: str = "socket", timeout: float = HELLO_S
) -> BlockingLink:
    """A link over a connected socket, as its dialler; it is up on return."""
    end = time.monotonic() + timeout
    connection = Connection(hello, listening=False, check=check, now=end - HELLO_S)
    link = BlockingLink(sock, connection, address)
    early = []
    try:
        while not link.up and connection.error is None:
            early += link.receive(max(0.0, end - time.monotonic()))
            connection.tick(time.monotonic())
    finally:
        if not link.up:
            link.abort()
    if connection.error is not None:
        raise connection.error
    link.put_back(early)
    return link
