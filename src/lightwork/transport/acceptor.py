"""Takes connections from listening sockets, whatever comes: too many at once, or no descriptors left."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from functools import partial

from lightwork.kit import tasks
from lightwork.model.errors import ClusterError, LightworkError
from lightwork.transport.strangers import Strangers
from lightwork.transport.stream import StreamLink

_AT_ONCE = 16  # then others are served
_PAUSE_S = 0.1  # when there are no descriptors or no memory for another connection
_SAY_AGAIN_S = 60.0
_PASSING = (errno.ECONNABORTED, errno.EPROTO, errno.EINTR)  # the connection's own end, before we had it


class Acceptor:
    """Makes a link of each connection; `close` stops that, in the next turn of the loop."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        make: Callable[[], StreamLink],
        refused: Callable[[LightworkError], None],
    ) -> None:
        self._make = make
        self._refused = refused
        self._strangers = Strangers()
        self._quiet_until = 0.0
        self._tasks = []
        for sock in sockets:
            task = tasks.spawn(self._accept(sock), "accept")
            task.add_done_callback(partial(_close, sock))  # also of one that never began
            self._tasks.append(task)

    def close(self) -> None:
        """Take no more."""
        for task in self._tasks:
            task.cancel()

    async def _accept(self, sock: socket.socket) -> None:
        loop, taken = asyncio.get_running_loop(), 0
        while True:
            try:
                connection, address = await loop.sock_accept(sock)
            except OSError as error:
                if error.errno not in _PASSING:
                    await self._wait_for_room(error)
                continue
            await self._take(connection, address)
            taken += 1
            if taken % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _take(self, connection: socket.socket, address: object) -> None:
        link = self._make()
        if isinstance(address, tuple) and len(address) > 1:
            self._strangers.came(link, str(address[0]), link.displace)
            link.on_change = lambda: self._known(link)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: link, connection)
        except OSError:  # it has gone again
            self._strangers.left(link)
            connection.close()

    def _known(self, link: StreamLink) -> None:
        """It is up, or has ended."""
        link.on_change = None  # it refers to the link
        self._strangers.left(link)

    async def _wait_for_room(self, error: OSError) -> None:
        """Strangers are the first to go."""
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _SAY_AGAIN_S
            self._refused(ClusterError(f"cannot take another connection: {error.strerror or error}", hint=_HINT))
        self._strangers.displace_oldest()
        await asyncio.sleep(_PAUSE_S)


def _close(sock: socket.socket, task: asyncio.Task[None]) -> None:
    sock.close()


_HINT = "raise the limit of open files (ulimit -n) of this program"
