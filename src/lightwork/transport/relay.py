"""Passing a stream on: one link asks, another one has it, nothing is stored in between.

    asker ---- Fetch 3 ----> us ---- Fetch 17 ----> provider
    asker <--- Chunk 3 ----- us <--- Chunk 17 -----

The pipe is the sink of one stream and the source of the other. It grants the provider new credit only for bytes that
have left for the asker, so at most STREAM_CREDIT bytes wait here, and a slow asker slows the provider down.
"""

from __future__ import annotations

from collections import deque

from lightwork.transport.link import Link
from lightwork.wire.messages import Fetch


def relay(fetch: Fetch, asker: Link, provider: Link) -> None:
    """Answer the asker's Fetch with what the provider gives. If either is lost, the other side's stream ends."""
    pipe = _Pipe(fetch.stream, asker, provider)
    pipe.number = provider.fetch(fetch.kind, fetch.name, pipe, fetch.offset)
    asker.serve(fetch.stream, pipe)


class _Pipe:
    """Sink of the provider's stream, source of the asker's."""

    def __init__(self, stream: int, asker: Link, provider: Link) -> None:
        self.number = 0  # at the provider
        self._stream = stream
        self._asker = asker
        self._provider = provider
        self._pieces: deque[bytes | memoryview] = deque()
        self._ended = False

    # --- sink ---

    def write(self, piece: bytes) -> int:
        """Keep it for the asker; nothing is granted for it yet."""
        self._pieces.append(piece)
        self._asker.ready(self._stream)
        return 0

    def finish(self) -> None:
        """The provider has given all."""
        self._ended = True
        self._asker.ready(self._stream)

    def fail(self, reason: str) -> None:
        """The provider cannot give the rest; what waits here would be of no use."""
        self._ended = True
        self._asker.refuse(self._stream, reason)

    # --- source ---

    def read(self, size: int) -> bytes | memoryview | None:
        """What has come, as much as the asker has room for."""
        if not self._pieces:
            return b"" if self._ended else None
        piece = self._pieces.popleft()
        if len(piece) > size:
            whole = memoryview(piece)
            piece = whole[:size]
            self._pieces.appendleft(whole[size:])
        self._provider.consumed(self.number, len(piece))
        return piece

    def close(self) -> None:
        """The asker has all, or wants no more, or is gone."""
        self._pieces.clear()
        if not self._ended:
            self._ended = True
            self._provider.cancel(self.number)
