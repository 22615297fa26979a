"""Streams: bytes in bulk beside the messages of a link. Whoever asks, numbers the stream and hands out credit.

    asker                                  server
      | ---- Fetch(7, "blob", digest) ---->  |   opens a source; STREAM_CREDIT bytes are granted by the asking itself
      | <--- Chunk(7) <= 64 KB ------------  |
      | <--- Chunk(7) ---------------------  |   ... until the credit is used up
      | ---- Credit(7, 131072) ----------->  |   the asker's sink has taken so much
      | <--- Chunk(7, last) ---------------  |
      | ---- Credit(7, -1) --------------->  |   (instead: the asker wants no more)

Both sides of a link may ask, each with its own numbers: a Chunk speaks of a stream that its receiver asked for, a
Credit of one that its receiver serves. So a stream never has more than STREAM_CREDIT bytes under way, whoever is slow.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from lightwork.config.limits import CHUNK, STREAM_CREDIT, STREAMS_ASKED, STREAMS_MAX
from lightwork.model.errors import ProtocolError
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Chunk, Credit, Fetch

NO_MORE = -1  # as the size of a Credit
_CREDIT_STEP = STREAM_CREDIT // 8


class SourceFailed(Exception):
    """Raised by a source that cannot go on; its text ends the stream at the asker."""


class Source(Protocol):
    """Where a served stream's bytes come from."""

    def read(self, size: int) -> Buffer | None:
        """The next bytes, at most `size`; empty: the end; None: nothing now, and `ready` will be called.

        OSError and SourceFailed end the stream with their text.
        """

    def close(self) -> None:
        """Called once: after the end, or when nobody wants the rest."""


class Refusal:
    """A source that answers a Fetch with an error, for who must return a source; else `Link.refuse`."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def read(self, size: int) -> bytes:
        """Nothing but the reason."""
        raise SourceFailed(self._reason)

    def close(self) -> None:
        """Nothing was opened."""


class _Served:
    __slots__ = ("credit", "number", "queued", "source")

    def __init__(self, number: int) -> None:
        self.number = number
        self.credit = STREAM_CREDIT
        self.source: Source | None = None  # until the service has found it
        self.queued = False


class Server:
    """The streams that the other side asked for. Those that can go on take turns, a chunk each."""

    __slots__ = ("_streams", "_turns")

    def __init__(self) -> None:
        self._streams: dict[int, _Served] = {}
        self._turns: deque[_Served] = deque()

    def asked(self, fetch: Fetch) -> None:
        """The peer asks. The service answers by `serve`, now or later."""
        if fetch.stream in self._streams:
            raise ProtocolError(f"Fetch: stream {fetch.stream} is under way already")
        if len(self._streams) >= STREAMS_MAX:
            raise ProtocolError(f"Fetch: more than {STREAMS_MAX:,} streams at once")
        self._streams[fetch.stream] = _Served(fetch.stream)

    def knows(self, number: int) -> bool:
        """Whether the peer has asked for it, and it has not ended."""
        return number in self._streams

    def serve(self, number: int, source: Source) -> None:
        """Answer a Fetch. If the asker has gone meanwhile, the source is closed at once."""
        stream = self._streams.get(number)
        if stream is None or stream.source is not None:
            source.close()
            return
        stream.source = source
        self.ready(number)

    def ready(self, number: int) -> None:
        """A source that had nothing has something again."""
        stream = self._streams.get(number)
        if stream is not None and stream.source is not None and stream.credit > 0:
            self._queue(stream)

    def _queue(self, stream: _Served) -> None:
        if not stream.queued:
            stream.queued = True
            self._turns.append(stream)

    def refuse(self, number: int, reason: str) -> None:
        """Its next piece is its end, whatever its credit and whether it was answered or not.

        Until the asker has taken that it counts as under way: who asks and does not read cannot ask for ever.
        """
        stream = self._streams.get(number)
        if stream is None:  # it has ended already
            return
        if stream.source is not None:
            stream.source.close()
        stream.source = Refusal(reason)
        self._queue(stream)

    def drop(self, number: int) -> None:
        """Another one answers it."""
        stream = self._streams.get(number)
        if stream is not None:
            self._end(stream)

    def granted(self, credit: Credit) -> None:
        """The peer has room for more of a stream, or wants no more of it."""
        stream = self._streams.get(credit.stream)
        if stream is None:  # it has ended meanwhile
            return
        if credit.size == NO_MORE:
            self._end(stream)
            return
        if credit.size < 0 or stream.credit + credit.size > STREAM_CREDIT:
            raise ProtocolError(f"Credit: {credit.size} more bytes for stream {credit.stream} is not possible")
        stream.credit += credit.size
        self.ready(credit.stream)

    @property
    def waiting(self) -> bool:
        """Whether `next_chunk` may have one."""
        return bool(self._turns)

    def next_chunk(self) -> tuple[Chunk, Buffer] | None:
        """The next piece of the stream whose turn it is."""
        while self._turns:
            stream = self._turns.popleft()
            stream.queued = False
            if stream.source is None:
                continue
            try:
                piece = stream.source.read(min(CHUNK, stream.credit))
            except (OSError, SourceFailed) as error:
                self._end(stream)
                return Chunk(stream.number, last=True, error=str(error) or type(error).__name__), b""
            if piece is None:
                continue
            if not len(piece):
                self._end(stream)
                return Chunk(stream.number, last=True), b""
            stream.credit -= len(piece)
            self.ready(stream.number)
            return Chunk(stream.number), piece
        return None

    def close(self) -> None:
        """The link is going: nobody will ask for the rest."""
        for stream in list(self._streams.values()):
            self._end(stream)
        self._turns.clear()

    def _end(self, stream: _Served) -> None:
        del self._streams[stream.number]
        source, stream.source = stream.source, None
        if source is not None:
            source.close()


class _Asked:
    __slots__ = ("allowed", "taken")

    def __init__(self) -> None:
        self.allowed = STREAM_CREDIT  # bytes that may still come
        self.taken = 0  # bytes that the sink has taken and that were not granted again yet


class Asker:
    """The streams that this side asked for."""

    __slots__ = ("_last", "_line", "_most", "_open")

    def __init__(self, most: int = STREAMS_ASKED) -> None:
        self._most = most  # at once
        self._last = 0
        self._open: dict[int, _Asked] = {}
        self._line: dict[int, Fetch] = {}  # not sent yet, in order

    def ask(self, kind: str, name: str, offset: int) -> tuple[int, Fetch | None]:
        """A new stream's number, and what is to be sent now; None if it stands in line."""
        self._last += 1
        fetch = Fetch(self._last, kind, name, offset)
        self._line[self._last] = fetch
        return self._last, self.next_in_line()

    def next_in_line(self) -> Fetch | None:
        """A Fetch to be sent now that others have ended."""
        if not self._line or len(self._open) >= self._most:
            return None
        number = next(iter(self._line))
        self._open[number] = _Asked()
        return self._line.pop(number)

    def arrived(self, chunk: Chunk, size: int) -> bool:
        """Check a chunk; False if it belongs to a stream that nobody wants any more."""
        stream = self._open.get(chunk.stream)
        if stream is None:
            if 0 < chunk.stream <= self._last and chunk.stream not in self._line:
                return False
            raise ProtocolError(f"Chunk: nobody asked for stream {chunk.stream}")
        if size > stream.allowed:
            raise ProtocolError(f"Chunk: stream {chunk.stream} is over its credit")
        stream.allowed -= size
        if chunk.last:
            del self._open[chunk.stream]
        return True

    def consumed(self, number: int, size: int) -> Credit | None:
        """The sink has taken `size` bytes; what is to be sent."""
        stream = self._open.get(number)
        if stream is None:
            return None
        stream.taken += size
        if stream.taken < _CREDIT_STEP:
            return None
        credit = Credit(number, stream.taken)
        stream.allowed += stream.taken
        stream.taken = 0
        return credit

    def cancel(self, number: int) -> Credit | None:
        """Want no more of a stream; what is to be sent."""
        if self._line.pop(number, None) is not None or self._open.pop(number, None) is None:
            return None
        return Credit(number, NO_MORE)
