"""Output of attempts as the agent reads it: the first and the last bytes of each stream, the rest counted."""

from __future__ import annotations

import os

from lightwork.wire.outcome import ENVELOPE, Outcome, Stream, decode_outcome, encode_outcome

READ_SIZE = 64 << 10
PIPE_MAX = 4 << 20  # of what a dead process left in a pipe whose other end somebody still holds


class Collector:
    """Keeps head and tail of one stream."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        room = self.limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if len(data):
            self._tail += data
            if len(self._tail) > 2 * self.limit + READ_SIZE:
                self._trim()

    def add_stream(self, stream: Stream) -> None:
        """What somebody else collected after us."""
        self.add(stream.head)
        self._dropped += stream.dropped
        self.add(stream.tail)

    def stream(self) -> Stream:
        """What was kept, and how much was not."""
        self._trim()
        return Stream(bytes(self._head), bytes(self._tail), self._dropped)

    @property
    def empty(self) -> bool:
        """Whether nothing came."""
        return not self._head and not self._dropped

    def _trim(self) -> None:
        over = len(self._tail) - self.limit
        if over > 0:
            del self._tail[:over]
            self._dropped += over


class Output:
    """Both streams of one attempt."""

    def last_words(self) -> bytes:
        """The end of what it wrote to stderr."""
        stderr = self.stderr.stream()
        return (stderr.tail or stderr.head)[-2000:]

    def __init__(self, limit: int) -> None:
        self.stdout = Collector(limit)
        self.stderr = Collector(limit)

    def merged(self, status: int, outcome: bytes) -> tuple[int, bytes]:
        """Status and bytes of the attempt's outcome with this output before what it brought itself."""
        if self.stdout.empty and self.stderr.empty:
            return status, outcome
        told = decode_outcome(outcome) if status & ENVELOPE else Outcome(outcome)
        self.stdout.add_stream(told.stdout)
        self.stderr.add_stream(told.stderr)
        whole = Outcome(told.value, self.stdout.stream(), self.stderr.stream(), told.failure)
        return status | ENVELOPE, encode_outcome(whole)


def read_available(descriptor: int, collector: Collector) -> bool:
    """Take what is in a non-blocking pipe; False at its end."""
    taken = 0
    while taken < PIPE_MAX:
        try:
            data = os.read(descriptor, READ_SIZE)
        except BlockingIOError:
            return True
        except OSError:  # closed under us: nothing more will come
            return False
        if not data:
            return False
        collector.add(data)
        taken += len(data)
    return True
