"""TCP on 127.0.0.1 with a token file: how local programs meet where there are no unix sockets."""

from __future__ import annotations

import socket

from lightwork.model.errors import StartFailed
from lightwork.security import token_file
from lightwork.security.token_file import Token
from lightwork.transport.address import BACKLOG, HOST, TCP


def open_listener() -> socket.socket:
    """A listening socket on a free port that nobody else can share."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # Windows lets others in without it
    try:
        if exclusive is not None:
            sock.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        sock.bind((HOST, 0))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartFailed(f"cannot listen on {HOST}: {error}") from error
    sock.setblocking(False)
    return sock


def tcp_address(sock: socket.socket) -> str:
    """Where it listens."""
    return f"{TCP}:{HOST}:{sock.getsockname()[1]}"


def announce(path: str, sock: socket.socket) -> Token:
    """Write the token file of a listener, which is closed if that fails."""
    token = Token.new()
    try:
        token_file.create(path, tcp_address(sock), token)
    except OSError as error:
        sock.close()
        raise StartFailed(f"cannot write the token file {path}: {error}") from error
    return token
