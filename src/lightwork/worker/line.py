"""A keeper's end of its channel: frames and descriptors in, frames out, never waiting."""

from __future__ import annotations

import _socket
import array
import select
import sys
from collections import deque
from typing import Callable, Deque

from lightwork.wire.channel import Frame, FrameReader
from lightwork.worker.process import lift

_DESCRIPTORS_MAX = 64


class Line:
    """A unix stream socket. `descriptors` are those received and not yet taken, in the order of their frames."""

    def __init__(self, channel: _socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._frames = FrameReader()
        self._out = bytearray()
        self.descriptors: Deque[int] = deque()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._channel.fileno()

    def wanted(self) -> int:
        """What to poll for."""
        if sys.platform == "win32":
            return 0  # there are no keepers
        return select.POLLIN | (select.POLLOUT if self._out else 0)

    def send(self, frame: bytes) -> None:
        """Send a frame, now or when there is room."""
        self._out += frame
        self.flush()

    def drain(self, frame: bytes) -> None:
        """Send a last frame, however long it takes."""
        self._channel.setblocking(True)
        self.send(frame)

    def flush(self) -> None:
        """Send what there is room for."""
        while self._out:
            try:
                sent = self._channel.send(self._out)
            except BlockingIOError:
                break
            except OSError:
                self._out.clear()  # the agent is gone: end of file tells us next
                break
            del self._out[:sent]

    def receive(self, obey: Callable[[Frame], None]) -> bool:
        """Read once, and hand each whole frame on; False at the end of file."""
        if sys.platform == "win32":
            return False
        try:
            data, ancillary, _, _ = self._channel.recvmsg(1 << 16, _socket.CMSG_SPACE(4 * _DESCRIPTORS_MAX))
        except BlockingIOError:
            return True
        except OSError:
            return False
        for level, kind, content in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) // 4 * 4])
                self.descriptors += [lift(number) for number in numbers]
        if not data:
            return False
        for frame in self._frames.feed(data):
            obey(frame)
        return True

    def close(self) -> None:
        """Let go of it, in a child."""
        self._channel.close()
