"""The two pipes of the journal process: one thread, which must also know whether there is something to read."""

from __future__ import annotations

import io
import os
import sys

from lightwork.store.journal_frames import Parser

READ_BYTES = 1 << 20
TURN_BYTES = 8 << 20  # so much at most goes into one transaction, or a little more


class Input:
    """Frames from the scheduler."""

    def __init__(self, descriptor: int) -> None:
        self.ended = False
        self._descriptor = descriptor
        self._file = io.FileIO(descriptor, "rb", closefd=False)
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._parser = Parser()

    def ready(self, timeout: float | None) -> bool:
        """Whether a read would not wait; None: wait until it is so."""
        if sys.platform == "win32":
            return _ready_windows(self._descriptor, timeout)
        import select

        return bool(select.select([self._descriptor], [], [], timeout)[0])

    def read(self) -> list[tuple[int, bytes]]:
        """All frames that are there (kind, content); at least some bytes are waited for."""
        found: list[tuple[int, bytes]] = []
        taken = 0
        while taken < TURN_BYTES:
            size = self._file.readinto(self._buffer) or 0
            if not size:
                self.ended = True
                break
            found += self._parser.feed(self._buffer[:size])
            taken += size
            if not self.ready(0.0):
                break
        return found


class Output:
    """Frames to the scheduler."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, frame: bytes) -> None:
        """One frame. Nobody listens any more: nothing happens; what is written to disk is still worth it."""
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except (BrokenPipeError, ConnectionResetError):
            pass


def _ready_windows(descriptor: int, timeout: float | None) -> bool:
    """There, pipes cannot be selected: look now and then, or just read."""
    if sys.platform != "win32" or timeout is None:
        return True
    import _winapi
    import msvcrt
    import time

    until = time.monotonic() + timeout
    while True:
        try:
            if _winapi.PeekNamedPipe(msvcrt.get_osfhandle(descriptor), 0)[0]:
                return True
        except BrokenPipeError:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)
