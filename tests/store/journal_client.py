"""Speaks to a real journal process as a scheduler does, and waits for its answers."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from lightwork.store import journal_frames as frames
from lightwork.store.journal_frames import NUMBERS

WAIT_S = 30.0
COMMAND = [sys.executable, "-P", "-m", "lightwork.store.journal_process"]


class Client:
    """One journal process. What it has said is in `heard`."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.parser = frames.Parser()
        self.rows: list[bytes] = []
        self.torn = ""
        self.durable = 0
        self.full = False
        self.opened = self.ended = False
        self.failure = ""
        self.said: list[int] = []

    def open(self) -> Client:
        """Wait until it has told all of its rows."""
        self.until(lambda: self.opened)
        return self

    def send(self, last: int, bodies: list[bytes]) -> None:
        """A batch; it may wait for the process to read."""
        self.stdin.write(frames.batch(frames.BATCH, last, bodies))
        self.stdin.flush()

    def listen(self, timeout: float) -> None:
        """What it says within this time, at least one word."""
        if not self.ended and select.select([self.stdout], [], [], timeout)[0]:
            data = os.read(self.stdout.fileno(), 1 << 20)
            self.ended = not data
            for kind, content in self.parser.feed(data):
                self.said.append(kind)
                self._hear(kind, content)

    def _hear(self, kind: int, content: bytes) -> None:
        if kind == frames.ROWS:
            self.rows += frames.unpack_batch(content)[1]
        elif kind == frames.OPENED:
            self.opened = True
            self.torn = content[NUMBERS.size :].decode()
        elif kind == frames.DURABLE:
            self.durable = NUMBERS.unpack(content)[0]
        elif kind in {frames.FULL, frames.ROOM}:
            self.full = kind == frames.FULL
        elif kind == frames.FAILED:
            self.failure = content.decode()

    def until(self, true: object, wait_s: float = WAIT_S) -> None:
        """Listen until it is so; AssertionError when it takes too long, or the process ends before."""
        assert callable(true)
        end = time.monotonic() + wait_s
        while not true():
            assert time.monotonic() < end, "it takes too long"
            assert not self.ended or true(), f"it ended: {self.failure!r}, code {self.process.wait()}"
            self.listen(0.2)

    def wait_end(self) -> int:
        """All that it still says, and its exit code."""
        end = time.monotonic() + WAIT_S
        while not self.ended and time.monotonic() < end:
            self.listen(0.2)
        code = self.process.wait(WAIT_S)
        self.stdin.close()
        self.stdout.close()
        return code

    def close(self) -> int:
        """The end of its input."""
        self.stdin.close()
        return self.wait_end()

    def kill(self) -> None:
        """-9."""
        self.process.kill()
        self.process.wait(WAIT_S)


def rows_in(directory: Path) -> list[bytes]:
    """What a journal holds, told by a process of its own."""
    client = Client(directory).open()
    assert client.close() == 0
    return client.rows
