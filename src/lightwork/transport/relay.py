"""Passing a stream on: one link asks, another one has it, nothing is stored in between.

    asker ---- Fetch 3 ----> us ---- Fetch 17 ----> provider
    asker <--- Chunk 3 ----- us <--- Chunk 17 -----

The pipe is the sink of one stream and the source of the other. It grants the provider new credit only for bytes that
have left for the asker, so at most STREAM_CREDIT bytes wait here, and a slow asker slows the provider down.

If the provider's link breaks, whoever made the pipe may let the asker wait, and let it go on later, over another link:
asked for from where it stopped. What waits here meanwhile has been paid for on the old link: it earns no new credit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from lightwork.transport.link import Link
from lightwork.wire.messages import Fetch


def relay(fetch: Fetch, asker: Link, provider: Link) -> None:
    """Answer the asker's Fetch with what the provider gives. If either is lost, the other side's stream ends."""
    Pipe(fetch, asker).go_on(provider)


class Pipe:
    """Sink of the provider's stream, source of the asker's. `interrupted`: the provider's link broke, what now?"""

    def __init__(self, fetch: Fetch, asker: Link, interrupted: Callable[[Pipe], None] | None = None) -> None:
        self._fetch = fetch
        self._asker = asker
        self._interrupted = interrupted
        self._provider: Link | None = None
        self._number = 0  # at the provider
        self._received = 0
        self._unpaid = 0  # bytes that came over this link, and that no credit was granted for
        self._pieces: deque[bytes | memoryview] = deque()
        self.ended = False
        asker.serve(fetch.stream, self)

    def go_on(self, provider: Link) -> None:
        """It has the bytes: ask for those that have not come yet."""
        if self.ended:
            return
        self._provider = provider
        self._unpaid = 0
        number = provider.fetch(self._fetch.kind, self._fetch.name, self, self._fetch.offset + self._received)
        if self._provider is provider:  # else it was lost, and another one has been asked already
            self._number = number

    def give_up(self, reason: str) -> None:
        """Nobody will give the rest; what waits here would be of no use."""
        self.ended = True
        self._asker.refuse(self._fetch.stream, reason)

    # --- sink ---

    def write(self, piece: bytes) -> int:
        """Keep it for the asker; nothing is granted for it yet."""
        self._pieces.append(piece)
        self._received += len(piece)
        self._unpaid += len(piece)
        self._asker.ready(self._fetch.stream)
        return 0

    def finish(self) -> None:
        """The provider has given all."""
        self.ended = True
        self._asker.ready(self._fetch.stream)

    def fail(self, reason: str) -> None:
        """The provider cannot give the rest; or its link broke."""
        provider, self._provider = self._provider, None
        if self._interrupted is not None and provider is not None and not provider.up:
            self._interrupted(self)
        else:
            self.give_up(reason)

    # --- source ---

    def read(self, size: int) -> bytes | memoryview | None:
        """What has come, as much as the asker has room for."""
        if not self._pieces:
            return b"" if self.ended else None
        piece = self._pieces.popleft()
        if len(piece) > size:
            whole = memoryview(piece)
            piece = whole[:size]
            self._pieces.appendleft(whole[size:])
        paid = min(len(piece), self._unpaid)
        self._unpaid -= paid
        if paid and self._provider is not None:
            self._provider.consumed(self._number, paid)
        return piece

    def close(self) -> None:
        """The asker has all, or wants no more, or is gone."""
        self._pieces.clear()
        if not self.ended:
            self.ended = True
            if self._provider is not None:
                self._provider.cancel(self._number)
