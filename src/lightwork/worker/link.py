"""A worker's end of its channel: frames in, frames out, on one blocking stream socket.

A job may send too (provisional results, files), from any of its threads, and a cancel may interrupt it anywhere but
here: half a frame on the wire would be the end of the worker. So whatever talks on the channel for a job does it under
`Shield`.
"""

from __future__ import annotations

import _socket  # the class without the stdlib's wrapping: `socket` costs 8 ms of every start
import _thread
import os
from collections import deque
from typing import Deque, List, Optional, Tuple

from lightwork.wire.channel import BODY_MAX, HEADER, pack_frame
from lightwork.wire.shared_file import STARTED

_CHUNK = 1 << 16
_DONT_WAIT: int = getattr(_socket, "MSG_DONTWAIT", 0)
RawFrame = Tuple[int, int, int, memoryview]  # kind, slot, count, body


class Gone(Exception):
    """The agent has closed the channel, or died."""


class Link:
    """The channel of a worker."""

    def __init__(self, channel: _socket.socket) -> None:
        self._channel = channel
        self._chunk = memoryview(bytearray(_CHUNK))
        self._buffer = bytearray()
        self._waiting: Deque[RawFrame] = deque()
        self._lock = _thread.allocate_lock()
        self.closed = False

    def next(self) -> RawFrame:
        """The next frame; waits for it. Raises Gone."""
        if self._waiting:
            return self._waiting.popleft()
        return self._read()

    def pending(self) -> bool:
        """Whether `next` has at least a part of a frame already."""
        return bool(self._waiting or self._buffer)

    def _read(self) -> RawFrame:
        buffer, chunk, size = self._buffer, self._chunk, HEADER.size
        while True:
            if len(buffer) >= size:
                length, kind, slot, count = HEADER.unpack_from(buffer)
                if length > BODY_MAX:
                    raise Gone("channel frame of %d bytes" % length)
                if len(buffer) >= size + length:
                    body = memoryview(bytes(memoryview(buffer)[size : size + length]))
                    del buffer[: size + length]
                    return kind, slot, count, body
            try:
                received = self._channel.recv_into(chunk)
            except OSError as error:
                raise Gone(str(error)) from None
            if not received:
                raise Gone("end of file")
            buffer += chunk[:received]

    def send(self, kind: int, body: bytes = b"", slot: int = 0, count: int = 0) -> None:
        """Send a frame. Raises Gone."""
        self.send_raw(pack_frame(kind, body, slot, count))

    def send_raw(self, frame: bytes) -> None:
        """Send a packed frame. Raises Gone."""
        if self.closed:
            raise Gone("this process is a fork of the job's own")
        with self._lock:
            try:
                self._channel.sendall(frame)
            except OSError as error:
                raise Gone(str(error)) from None

    def ring(self, bell: bytes) -> None:
        """Send a frame that says nothing new if the agent has plenty of unread ones: never wait for it. Raises Gone."""
        with self._lock:
            try:
                sent = self._channel.send(bell, _DONT_WAIT)
                if sent < len(bell):
                    self._channel.sendall(bell[sent:])
            except BlockingIOError:
                pass
            except OSError as error:
                raise Gone(str(error)) from None

    def ask(self, frame: bytes, answer: int) -> bytes:
        """Send a frame and wait for the frame of kind `answer`; what comes before it waits its turn."""
        if self.closed:
            raise Gone("this process is a fork of the job's own")
        with self._lock:
            try:
                self._channel.sendall(frame)
            except OSError as error:
                raise Gone(str(error)) from None
            while True:
                received = self._read()
                if received[0] == answer:
                    return bytes(received[3])
                self._waiting.append(received)

    def ended(self) -> bool:
        """Whether the agent has closed its end (looks, without waiting)."""
        import select

        if not select.select([self._channel], [], [], 0)[0]:
            return False
        try:
            return not self._channel.recv(1, _socket.MSG_PEEK)
        except OSError:
            return True

    def close(self) -> None:
        """Let go of it, in a forked child: otherwise the agent never sees end of file."""
        self.closed = True
        self._lock = _thread.allocate_lock()  # another thread of the parent may have held it
        self._channel.close()


class Hand:
    """Whether a job is in hand, hence may be interrupted.

    The handler of SIGINT raises only while `open` is true and the cancel word names the started attempt: else the next
    job would be hit. `late` is the token of an interrupt that came while `open` was false; `shielded` counts the
    shields that a running job is under.
    """

    __slots__ = ("late", "open", "shielded")

    def __init__(self) -> None:
        self.open = False
        self.late = 0
        self.shielded = 0

    @property
    def running(self) -> bool:
        """Whether users' code is running."""
        return self.open or self.shielded > 0


class Shield:
    """While this is entered no cancel interrupts the job; one that came meanwhile does so at the end."""

    def __init__(self, hand: Hand, words: memoryview) -> None:
        self._hand, self._words = hand, words
        self._was: List[bool] = []

    def __enter__(self) -> None:
        self._was.append(self._hand.open)
        self._hand.open = False
        self._hand.shielded += 1

    def __exit__(self, *error: Optional[object]) -> None:
        was = self._was.pop()
        self._hand.shielded -= 1
        self._hand.open = was
        if was and self._hand.late == self._words[STARTED]:
            self._hand.late = 0
            raise KeyboardInterrupt


def channel_from_descriptor(descriptor: int) -> _socket.socket:
    """The socket behind a descriptor that we were given."""
    if not hasattr(_socket, "AF_UNIX"):
        raise OSError("no unix sockets on %s" % os.name)
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, descriptor)
