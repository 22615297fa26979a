"""Frames over a local socket, on the loop: what is sent leaves at once if the socket has room.

A peer that is gone is no error here: its end shows as `ended`, and its death is told elsewhere.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from lightwork.transport.descriptors import Socket, send_with
from lightwork.wire.channel import Frame, FrameReader

Waiting: TypeAlias = tuple[bytes | memoryview, Sequence[int]]

_room = memoryview(bytearray(256 << 10))  # one for all: what is read is cut into frames before anybody else reads


class Channel:
    """One end of a socket pair. `on_readable` is called when there is something to `read`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: Socket, on_readable: Callable[[], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._number = sock.fileno()
        self._reader = FrameReader()
        self._waiting: deque[Waiting] = deque()
        self.ended = False
        self.closed = False
        loop.add_reader(self._number, on_readable)

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a frame. Descriptors go with its first byte, and are closed here afterwards."""
        if self.closed:
            _close_all(descriptors)
        elif self._waiting:
            self._waiting.append((data, descriptors))
        else:
            rest = self._try(data, descriptors)
            if rest is not None:
                self._waiting.append(rest)
                self._loop.add_writer(self._number, self._write)

    def read(self) -> list[Frame]:
        """All frames that are there; `ended` is set if no more can come. Raises ValueError for what is no frame."""
        frames: list[Frame] = []
        while not (self.ended or self.closed):
            try:
                count = self._sock.recv_into(_room)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # reset by the peer's death
                count = 0
            if count:
                frames += self._reader.feed(bytes(_room[:count]))
                if count < len(_room):
                    continue
            else:
                self._end()
        return frames

    def close(self) -> None:
        """Say nothing more, hear nothing more."""
        if not self.closed:
            self._end()
            self.closed = True
            if self._waiting:
                self._loop.remove_writer(self._number)
            while self._waiting:
                _close_all(self._waiting.popleft()[1])
            self._sock.close()

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._loop.remove_reader(self._number)

    def _try(self, data: bytes | memoryview, descriptors: Sequence[int]) -> Waiting | None:
        """Send what goes; what is left."""
        try:
            count = send_with(self._sock, bytes(data), descriptors) if descriptors else self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return data, descriptors
        except OSError:  # the peer is gone
            count = len(data)
        _close_all(descriptors)
        return None if count == len(data) else (memoryview(data)[count:], ())

    def _write(self) -> None:
        while self._waiting:
            rest = self._try(*self._waiting[0])
            if rest is not None:
                self._waiting[0] = rest
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._number)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
