"""Waiting for one socket, or a kick from another thread, without a loop."""

from __future__ import annotations

import select
import socket
import sys


class Waiter:
    """Sleeps until a socket can be read (or written), `kick` is called, or time is up. One thread sleeps at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        if sys.platform != "win32":
            self._poll = select.poll()
            self._poll.register(self._ear, select.POLLIN)
            self._poll.register(sock, select.POLLIN)
            self._writes = False

    def wait(self, timeout: float | None, write: bool) -> bool:
        """Until it can be read (or written, if so asked), a kick came, or time is up. Whether it can be read."""
        if timeout is not None:
            timeout = max(0.0, timeout)
        if sys.platform == "win32":
            found = select.select([self._sock, self._ear], [self._sock] if write else [], [], timeout)
            if self._ear in found[0]:
                self._hear()
            return self._sock in found[0]
        if write != self._writes:  # select.select would fail on descriptors from 1024 up
            self._poll.modify(self._sock, select.POLLIN | select.POLLOUT if write else select.POLLIN)
            self._writes = write
        readable = False
        for descriptor, events in self._poll.poll(None if timeout is None else timeout * 1000):
            if descriptor == self._ear.fileno():
                self._hear()
            else:
                readable = bool(events & ~select.POLLOUT)  # also its end
        return readable

    def kick(self) -> None:
        """Wake the sleeper, or the next one."""
        try:
            self._mouth.send(b"k")
        except OSError:  # full: kicks enough are waiting; closed: nobody sleeps there any more
            pass

    def _hear(self) -> None:
        try:
            self._ear.recv(4096)
        except OSError:  # heard already
            pass

    def close(self) -> None:
        """Give the descriptors back; they must not be waited for any more."""
        self._ear.close()
        self._mouth.close()


def wait_writable(sock: socket.socket, timeout: float) -> None:
    """Return when the socket can be written, or time is up."""
    if sys.platform == "win32":
        select.select([], [sock], [], timeout)
        return
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    poll.poll(max(0.0, timeout * 1000))
