"""Relays: each of their nodes gets a link here, and from then on is a node like any other.

relay --ChannelOpened, ChannelFrames--> Channels --ChannelLink--> the scheduler, as if the node had dialled
      --Fetch of a blob--> answered as for a node, once for all nodes behind it
"""

from __future__ import annotations

from collections.abc import Callable

from lightwork.model.errors import LightworkError, ProtocolError
from lightwork.transport.channels import Channels
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.wire import messages as say
from lightwork.wire.dialogue import Check
from lightwork.wire.messages import PROTOCOL, Hello, Refused

RELAY = "relay"  # the role
ROLE = "role"  # code of a refusal


class Relays:
    """All of them. `check`: may this node work for us? `serve`: answers the Fetch of a blob."""

    def __init__(self, receiver: Receiver, check: Check, serve: Callable[[Link, say.Fetch], None]) -> None:
        self._receiver = receiver
        self._check = check
        self._serve = serve
        self._by_link: dict[Link, Channels] = {}

    def joined(self, link: Link) -> None:
        """A relay is there. What an earlier link of it carried is no more."""
        for old in [one for one in self._by_link if one.peer.session == link.peer.session]:
            self.lost(old, None)
            old.close(f"relay {link.peer.name} has another connection now, from {link.address}")
        ours = Hello(PROTOCOL, "scheduler", "", software=link.peer.software)
        self._by_link[link] = Channels(link, self._receiver, ours, self._may_work)

    def _may_work(self, hello: Hello) -> Refused | None:
        if hello.role == "node":
            return self._check(hello)
        return Refused(ROLE, f"a relay brings nodes, not a {hello.role}")

    def received(self, link: Link, batch: Batch) -> None:
        """What it brings. PeerError: it makes no sense."""
        channels = self._by_link.get(link)
        if channels is None:  # another link has taken its place
            return
        for message, body in batch:
            if channels.take(message, body):
                continue
            if isinstance(message, say.Fetch):
                self._fetched(link, message)
            elif not isinstance(message, say.Goodbye | say.Pong):
                raise ProtocolError(f"a relay may not send {type(message).__name__}")

    def _fetched(self, link: Link, fetch: say.Fetch) -> None:
        if fetch.kind == "blob":
            self._serve(link, fetch)
        else:
            link.refuse(fetch.stream, f"a relay may not ask for a {fetch.kind}")

    def lost(self, link: Link, error: LightworkError | None) -> None:
        """It is gone, and with it the links of its nodes."""
        channels = self._by_link.pop(link, None)
        if channels is not None:
            channels.lost(error)

    def close(self, reason: str) -> None:
        """When what nodes are still to be told has gone to them."""
        for channels in self._by_link.values():
            channels.close(reason)

    def abort(self) -> None:
        """At once: nodes behind relays carry on without us."""
        for link in list(self._by_link):
            self.lost(link, None)
            link.abort()
