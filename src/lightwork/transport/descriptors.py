"""Socket pairs that an agent shares with its keepers and workers, and descriptors sent along with bytes. POSIX only."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

Socket = socket.socket  # for those who only hold one
LOCAL_BUFFER = 256 << 10  # of a pair, in each direction: a full frame to a worker fits


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected stream sockets: ours, which never blocks, and the one to hand down."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOCAL_BUFFER)
    ours.setblocking(False)
    return ours, theirs


def send_with(sock: socket.socket, data: bytes, descriptors: Sequence[int]) -> int:
    """Send bytes; the descriptors travel with the first of them. Returns how many bytes went."""
    if sys.platform == "win32":
        raise OSError("descriptors do not travel on this system")
    return socket.send_fds(sock, [data], list(descriptors))
