"""Dialling without a loop."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from lightwork.config import timers
from lightwork.config.timers import HELLO_S
from lightwork.model.errors import LightworkError, Unreachable
from lightwork.security.token_file import DIAL, Token
from lightwork.transport import reach
from lightwork.transport.address import TCP, demanding, split, split_host_port, target, with_proof
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.link import Batch, broken
from lightwork.wire.connection import Connection
from lightwork.wire.dialogue import Check, accept
from lightwork.wire.messages import Hello

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption


def connect(
    address: str,
    hello: Hello,
    check: Check = accept,
    token: Token | None = None,
    timeout: float | None = None,
    *,
    encryption: Encryption | None = None,
) -> BlockingLink:
    """Dial `unix:PATH`, `loopback:PATH`, or `tcp:HOST:PORT` with encryption (or on 127.0.0.1 with its token).

    The link is up on return. Unreachable: nobody there. PeerError: there is, but it refused, or is none of ours.
    """
    if encryption is not None and split(address)[0] == TCP:
        return _connect_encrypted(split(address)[1], hello, check, timeout or timers.CONNECT_S, encryption)
    timeout = timeout or HELLO_S
    family, where, token = target(address, token)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(where)
    except OSError as error:
        sock.close()
        if isinstance(where, str):
            raise reach.no_socket(where, error) from None
        raise Unreachable(f"nobody answers at {address}: {error}") from None
    return adopt(sock, with_proof(hello, token, DIAL), demanding(check, token, listening=False), address, timeout)


def _connect_encrypted(where: str, hello: Hello, check: Check, timeout: float, encryption: Encryption) -> BlockingLink:
    """All within the time. A listener whose certificate we cannot verify is asked for its other one, to learn why."""
    from lightwork.transport.tls_errors import NotVerified, told_at_last

    end = time.monotonic() + timeout
    try:
        return _try_encrypted(where, hello, check, end, encryption)
    except NotVerified as error:
        first, second = error, None
    try:
        _try_encrypted(where, hello, reach.only_asks, end, encryption.turned()).abort()
    except LightworkError as error:
        second = error
    raise told_at_last(first, second, encryption.credential.origin)


def _try_encrypted(where: str, hello: Hello, check: Check, end: float, encryption: Encryption) -> BlockingLink:
    from lightwork.transport import lookup, race

    host, port = split_host_port(where)
    addresses = lookup.resolve(host, port, end - time.monotonic())
    sock = race.connect(where, addresses, end - time.monotonic())
    try:
        link = BlockingLink(sock, Connection(hello, listening=False, check=check), where, encryption)
    except OSError as error:  # it has gone again
        sock.close()
        raise reach.not_up(where, False, broken(str(error))) from None
    try:
        _settle(link, end)
    except LightworkError as error:
        raise reach.not_up(where, link.heard, error) from None
    if not link.up:
        raise reach.says_nothing(where, link.heard)
    return link


def adopt(
    sock: socket.socket, hello: Hello, check: Check = accept, address: str = "socket", timeout: float = HELLO_S
) -> BlockingLink:
    """A link over a connected socket, as its dialler; it is up on return."""
    end = time.monotonic() + timeout
    connection = Connection(hello, listening=False, check=check, now=end - HELLO_S)
    link = BlockingLink(sock, connection, address)
    _settle(link, end)
    connection.tick(max(end, time.monotonic()))
    if connection.error is not None:
        raise connection.error
    return link


def _settle(link: BlockingLink, end: float) -> None:
    """Until it is up, or time is up: then it is closed. Raises why it will not be."""
    early: Batch = []
    try:
        while not link.up and time.monotonic() < end:
            early += link.receive(max(0.0, end - time.monotonic()))
    finally:
        if not link.up:
            link.abort()
    link.put_back(early)
