"""The reading ends of a process's output pipes, on the loop (POSIX)."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack

from lightwork.node.service.output import Collector, Output, read_available


class Pipes:
    """stdout and stderr of one process. Between `begin` and `finish` they are read here, else not at all."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stdout: int, stderr: int) -> None:
        self._loop = loop
        self.ends = (stdout, stderr)
        self._watched: set[int] = set()
        self._closed = False
        if sys.platform != "win32":  # where there are no such pipes on the loop
            for end in self.ends:
                os.set_blocking(end, False)

    def begin(self, output: Output) -> None:
        """Read what comes, into this."""
        for end, collector in zip(self.ends, (output.stdout, output.stderr), strict=True):
            self._watched.add(end)
            self._loop.add_reader(end, self._read, end, collector)

    def finish(self, output: Output) -> None:
        """Read what is left, then no more."""
        self._unwatch()
        if not self._closed:
            for end, collector in zip(self.ends, (output.stdout, output.stderr), strict=True):
                read_available(end, collector)

    def close(self) -> None:
        """Nobody will read these any more."""
        self._unwatch()
        if not self._closed:
            self._closed = True
            for end in self.ends:
                os.close(end)

    def _read(self, end: int, collector: Collector) -> None:
        if not read_available(end, collector):
            self._watched.discard(end)
            self._loop.remove_reader(end)

    def _unwatch(self) -> None:
        while self._watched:
            self._loop.remove_reader(self._watched.pop())


def output_pipes(loop: asyncio.AbstractEventLoop) -> tuple[Pipes, tuple[int, int]]:
    """Pipes for a new process: our ends, and the two writing ends to hand down."""
    with ExitStack() as undo:
        out_read, out_write = (closing(end, undo) for end in os.pipe())
        err_read, err_write = (closing(end, undo) for end in os.pipe())
        pipes = Pipes(loop, out_read, err_read)
        undo.pop_all()
    return pipes, (out_write, err_write)


def closing(descriptor: int, undo: ExitStack) -> int:
    """A descriptor that is closed if what it was made for fails."""
    undo.callback(os.close, descriptor)
    return descriptor
