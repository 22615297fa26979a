r"""What a job writes to its descriptors 1 and 2, to the byte, whoever writes: Python, C or a child process.

    job --print--> sys.stdout --\                      short attempt: we read our own pipe after the job
        --printf-> C's stdout ----> fd 1 = pipe ----<
        --child--> (inherited) -/                      attempt over 20 ms: the agent has claimed it and reads

The price for a job that wrote nothing: three flushes and one poll, under a microsecond. Exact for two reasons: nothing
of the next job is written before this one's pipe is empty, and the agent never reads what it has not claimed
(shared_file.py has that protocol).
"""

from __future__ import annotations

import io
import os
import sys
import time
from typing import Any, Callable, List, Optional, Set, Tuple

from lightwork.wire.channel import OUTPUT_END, OUTPUT_LIMIT, OUTPUT_MARKER, U64
from lightwork.wire.outcome import EMPTY, Stream
from lightwork.wire.shared_file import CLAIM
from lightwork.worker.link import Gone, Link
from lightwork.worker.process import lift, lifted_copy

_POLL_S = 0.00005
_OWN_MAX = 128 * 1024  # of head and tail each, in what we read ourselves: a pipe holds less, and the ring no more
Streams = Tuple[Stream, Stream]


def c_flush() -> Callable[[Any], Any]:
    """C's fflush, to be called with None. PyDLL: it does not wait, so it need not give up the GIL (saves 0.3 us)."""
    try:
        import ctypes

        if sys.platform == "win32":
            return ctypes.cdll.ucrtbase.fflush
        flush = ctypes.PyDLL(None).fflush
        flush.argtypes = [ctypes.c_void_p]
        return flush
    except (ImportError, OSError, AttributeError):  # an interpreter without ctypes: C's stdio is flushed at its exit
        return lambda nothing: None


class JobStream(io.TextIOWrapper):
    """A text stream on a descriptor as jobs get it: whole lines leave at once, in order with those of children."""

    mode = "w"  # as that of sys.stdout

    def __init__(self, descriptor: int, touched: Set[str]) -> None:
        raw = io.FileIO(descriptor, "w", closefd=False)
        super().__init__(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)
        self._touched = touched

    def reconfigure(self, **settings: Any) -> None:
        """As any text stream's, but it is noted, and undone after the job."""
        self._touched.add("streams")
        super().reconfigure(**settings)


class Output:
    """Descriptors 1 and 2 of a worker and the streams on them."""

    def __init__(self, link: Link, words: memoryview, readers: Optional[Tuple[int, int]]) -> None:
        self._link, self._words = link, words
        self._readers = readers
        self.writers = (lifted_copy(1), lifted_copy(2))
        self.null = os.open(os.devnull, os.O_RDONLY)
        self.null = lift(self.null)
        self.limit = OUTPUT_LIMIT
        self.touched: Set[str] = set()  # what the job called that is to be undone (restore.py)
        self.flush_c = c_flush()
        self.open_streams()
        self.poll: Optional[Callable[[int], List[Tuple[int, int]]]] = self._poller() if readers else None

    def open_streams(self) -> None:
        """Fresh sys.stdin, sys.stdout and sys.stderr."""
        self.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8", "surrogateescape")
        self.stdout, self.stderr = JobStream(1, self.touched), JobStream(2, self.touched)
        self.put_streams()

    def put_streams(self) -> None:
        """Our streams are sys's again."""
        sys.stdin = sys.__stdin__ = self.stdin  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self.stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self.stderr  # type: ignore[misc]

    def _poller(self) -> Any:
        """Asks in one call: is there output, and are descriptors 0, 1 and 2 still open? (POLLNVAL comes unasked.)"""
        if sys.platform == "win32":
            return None  # there we have no readers
        import select

        poller = select.poll()
        for reader in self._readers or ():
            poller.register(reader, select.POLLIN)
        for descriptor in (0, 1, 2):
            poller.register(descriptor, 0)
        return poller.poll

    def flush(self) -> None:
        """Everything buffered leaves for the pipes."""
        self.flush_c(None)
        for stream in (self.stdout, self.stderr):
            try:
                stream.flush()
            except (ValueError, OSError):
                continue  # closed by a job: repaired at its end
        self.flush_theirs()

    def flush_theirs(self) -> None:
        """Flush what a job has put in the place of our streams."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # noqa: S112  # the job's own object: what it cannot flush is lost to it, not to us
                continue

    def repair(self) -> None:
        """Descriptors 0, 1 and 2 are what they were, and so are the streams; what was still buffered leaves now."""
        os.dup2(self.null, 0)
        os.dup2(self.writers[0], 1)
        os.dup2(self.writers[1], 2)
        self.flush()
        self.open_streams()

    def restore_descriptors(self, whole: bool) -> None:
        """Descriptors 1 and 2 lead to our pipes, whether they still did or not; `whole`: nothing else is amiss."""
        if not whole:
            self.repair()
            return
        os.dup2(self.writers[0], 1)
        os.dup2(self.writers[1], 2)

    def hand_over(self, token: int) -> None:
        """The agent has claimed this attempt's output: tell it the end, wait until it has read all."""
        words = self._words
        self._link.send(OUTPUT_END, U64.pack(token))
        pause, looked = _POLL_S, time.monotonic()
        while words[CLAIM] == token:
            time.sleep(pause)
            pause = min(pause * 2, 0.002)
            if time.monotonic() - looked > 0.2:
                looked = time.monotonic()
                if self._link.ended():
                    raise Gone("agent gone while it held the output")

    def read(self) -> Optional[Streams]:
        """Take what is in the pipes; None if nothing is. Only when nothing that could write is left."""
        if self._readers is None:
            return None
        out, err = (_empty(reader) for reader in self._readers)
        if not out and not err:
            return None
        limit = min(self.limit, _OWN_MAX)
        return clip_stream(out, limit), clip_stream(err, limit)

    def mark(self, token: int) -> None:
        """Portable: write the end of this attempt into both pipes, which the agent reads freely."""
        line = OUTPUT_MARKER + U64.pack(token)
        for writer in self.writers:
            left = line
            while left:
                left = left[os.write(writer, left) :]

    def feed_stdin(self, data: bytes) -> None:
        """The job finds `data` as its descriptor 0, until `drop_stdin`."""
        import tempfile

        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            file.seek(0)
            os.dup2(file.fileno(), 0)
        self._new_stdin()

    def drop_stdin(self) -> None:
        """Descriptor 0 reads nothing again."""
        os.dup2(self.null, 0)
        self._new_stdin()

    def _new_stdin(self) -> None:
        self.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8", "surrogateescape")
        sys.stdin = sys.__stdin__ = self.stdin  # type: ignore[misc]


def _empty(reader: int) -> bytes:
    if sys.platform == "win32":
        return b""
    import fcntl
    import termios

    pieces: List[bytes] = []
    count = bytearray(4)
    while True:
        fcntl.ioctl(reader, termios.FIONREAD, count, True)
        size = int.from_bytes(count, sys.byteorder)
        if not size:
            return b"".join(pieces)
        pieces.append(os.read(reader, min(size, 65536)))


def clip_stream(data: bytes, limit: int) -> Stream:
    """The first and the last `limit` bytes; what falls between is counted."""
    if len(data) <= limit:
        return Stream(data) if data else EMPTY
    tail = data[max(limit, len(data) - limit) :]
    return Stream(data[:limit], tail, len(data) - limit - len(tail))
