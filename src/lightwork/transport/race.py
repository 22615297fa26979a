"""One connected socket to whichever address of a host answers first ("happy eyeballs").

    address 1  ----------------------------- no answer
    address 2        0.25 s later  --------> connected: taken; all others are closed
    address 3              at once if one before it has failed

So a name with a dead IPv6 address costs a quarter of a second, not a timeout.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Sequence

from lightwork.transport import reach
from lightwork.transport.lookup import Address

STAGGER_S = 0.25
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK))


def connect(where: str, addresses: Sequence[Address], timeout: float) -> socket.socket:
    """Without a loop."""
    failures: list[tuple[str, OSError]] = []
    waiting = list(addresses)
    end = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        try:
            while (waiting or selector.get_map()) and time.monotonic() < end:
                if waiting:
                    _begin(waiting.pop(0), selector, failures)
                left = max(0.0, end - time.monotonic())
                if not selector.get_map():
                    continue
                for key, _ in selector.select(min(STAGGER_S, left) if waiting else left):
                    sock, number = key.fileobj, key.data
                    assert isinstance(sock, socket.socket)
                    selector.unregister(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return sock
                    sock.close()
                    failures.append((number, OSError(code, os.strerror(code))))
            silent = [key.data for key in selector.get_map().values()] + [address.number for address in waiting]
            raise reach.unreachable(where, [*failures, *((number, TimeoutError()) for number in silent)])
        finally:
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()


def _begin(address: Address, selector: selectors.BaseSelector, failures: list[tuple[str, OSError]]) -> None:
    try:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        failures.append((address.number, error))
        return
    sock.setblocking(False)
    code = sock.connect_ex(address.sockaddr)
    if code in (0, *_UNDER_WAY):
        selector.register(sock, selectors.EVENT_WRITE, address.number)
    else:
        sock.close()
        failures.append((address.number, OSError(code, os.strerror(code))))
