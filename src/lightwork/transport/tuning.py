"""Socket options that every stream link sets."""

from __future__ import annotations

import socket
import sys

from lightwork.config.limits import CHUNK
from lightwork.config.timers import DEAD_PEER_S

_PROBES = 3


def tune(sock: socket.socket | None, dead_s: float = DEAD_PEER_S) -> None:
    """TCP: no waiting for more to send, no more than a chunk of unsent bytes in the kernel, no dead peer for ever.

    It is the kernels that ask and answer whether the other side is there: a busy program is not taken for a dead one.
    """
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    _set(sock, "TCP_NODELAY", 1)
    _set(sock, "TCP_NOTSENT_LOWAT", CHUNK)
    _set(sock, "SO_KEEPALIVE", 1, socket.SOL_SOCKET)
    _set(sock, "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE", max(1, int(dead_s / 2)))
    _set(sock, "TCP_KEEPINTVL", max(1, int(dead_s / 2 / _PROBES)))
    _set(sock, "TCP_KEEPCNT", _PROBES)
    _set(sock, "TCP_USER_TIMEOUT", int(dead_s * 1000))


def _set(sock: socket.socket, name: str, value: int, level: int = socket.IPPROTO_TCP) -> None:
    """Where the system has such an option."""
    option = getattr(socket, name, None)
    if option is not None:
        try:
            sock.setsockopt(level, option, value)
        except OSError:  # the other side has gone already, or an old system knows the name alone
            pass
