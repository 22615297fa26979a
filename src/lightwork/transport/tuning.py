"""Socket options that every stream link sets."""

from __future__ import annotations

import socket

from lightwork.config.limits import CHUNK


def tune(sock: socket.socket | None) -> None:
    """TCP: no waiting for more to send, and no more than a chunk of unsent bytes in the kernel."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, CHUNK)
