"""Streams that are asked for from one peer, whatever becomes of links.

    fetch --> Fetch on the link ----> pieces --> sink
                 ^                       |
                 |          the link breaks: nothing is lost but what was under way
                 +--- the next link: Fetch(offset = what the sink has)

Only the peer's own word (no such file), or that there will be no further link, makes a stream fail.
"""

from __future__ import annotations

from lightwork.transport.link import Link, Sink


class Download:
    """One such stream; to a link it is a sink."""

    def __init__(self, owner: Fetching, kind: str, name: str, sink: Sink) -> None:
        self.link: Link | None = None  # on which it is under way
        self._owner = owner
        self._kind = kind
        self._name = name
        self._sink = sink
        self._received = 0
        self._unpaid = 0  # bytes that came over this link, and that no credit was granted for
        self._number = 0

    def ask(self, link: Link) -> None:
        """For what has not come yet."""
        self.pause()
        self.link = link
        self._unpaid = 0
        self._number = link.fetch(self._kind, self._name, self, self._received)

    def pause(self) -> None:
        """Not on this link any more."""
        if self.link is not None:
            self.link.cancel(self._number)
            self.link = None

    def cancel(self) -> None:
        """The rest is not wanted any more; the sink hears nothing more."""
        self._owner.forget(self)
        self.pause()

    # --- what the link calls ---

    def write(self, piece: bytes) -> int:
        """A piece came."""
        taken = self._sink.write(piece)
        self._received += len(piece)
        self._unpaid += len(piece) - taken
        return taken

    def consumed(self, size: int) -> None:
        """A sink that kept bytes back has room again. (Those of an earlier link are not paid for on this one.)"""
        paid = min(size, self._unpaid)
        self._unpaid -= paid
        if paid and self.link is not None:
            self.link.consumed(self._number, paid)

    def finish(self) -> None:
        """All has come."""
        self._owner.forget(self)
        self._sink.finish()

    def fail(self, reason: str) -> None:
        """The rest will not come; if that is only because the link broke, it will on the next one."""
        link, self.link = self.link, None
        if link is None or link.up:
            self.give_up(reason)

    def give_up(self, reason: str) -> None:
        """The rest will never come."""
        self._owner.forget(self)
        self.pause()
        self._sink.fail(reason)


class Fetching:
    """All streams from one peer."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._open: dict[Download, None] = {}  # in order

    def __len__(self) -> int:
        return len(self._open)

    def fetch(self, kind: str, name: str, sink: Sink) -> Download:
        """Ask for bytes, now or when there is a link."""
        download = Download(self, kind, name, sink)
        self._open[download] = None
        if self._link is not None:
            download.ask(self._link)
        return download

    def linked(self, link: Link) -> None:
        """There is a new link within the claim: everything goes on there."""
        self._link = link
        for download in list(self._open):
            if download.link is not link:
                download.ask(link)

    def over(self, reason: str) -> None:
        """The claim is over, or we are: nothing will come any more."""
        self._link = None
        for download in list(self._open):
            download.give_up(reason)

    def forget(self, download: Download) -> None:
        """It has ended, one way or another."""
        self._open.pop(download, None)
