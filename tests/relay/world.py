"""A scheduler's side, a relay and nodes in one loop, over unix sockets.

async with World() as world:
    node = await world.node("a")       node.link is the node's end, node.there the scheduler's: a ChannelLink
    world.scheduler ...                a Recorder of all links of nodes, as the scheduler sees them
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import LightworkError, PeerError
from lightwork.relay.core.core import Core
from lightwork.relay.service.outbound import Outbound
from lightwork.relay.service.relay import Relay
from lightwork.relay.service.store import Store
from lightwork.relay.service.uplink import Uplink
from lightwork.scheduler.service.relays import Relays
from lightwork.transport.channels import ChannelLink
from lightwork.transport.endpoint import Listener, connect, listen
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.transport.passing import PassingLink
from lightwork.wire.dialogue import Check, accept
from lightwork.wire.messages import PROTOCOL, Assign, Fetch, Heartbeat, Hello, JobOptions, Load
from tests.transport.links import Gather, Recorder, until

SCHEDULER = Hello(PROTOCOL, "scheduler", "lab", "session of lab", lease_ms=10_000, beat_ms=100, epoch=3)
RELAY = Hello(PROTOCOL, "relay", "gate", "identity of gate")
BEAT = Heartbeat(1, [], [], Load())


class Many(Recorder):
    """Recorder of several links, each of which may end."""

    def __init__(self) -> None:
        super().__init__()
        self.by_link: dict[Link, Batch] = {}
        self.ended: dict[Link, LightworkError | None] = {}
        self.on_fetch = None

    def link_up(self, link: Link) -> None:
        assert link not in self.by_link
        self.links.append(link)
        self.by_link[link] = []

    def received(self, link: Link, batch: Batch) -> None:
        assert link not in self.ended
        self.by_link[link] += batch
        for message, _ in batch:
            if type(message) is Fetch and self.on_fetch is not None:
                link.serve(message.stream, self.on_fetch(message))

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        assert link not in self.ended
        self.ended[link] = error

    def named(self, name: str) -> ChannelLink:
        """The last link of this node."""
        found = [link for link in self.links if link.peer.name == name][-1]
        assert isinstance(found, ChannelLink)
        return found

    def said(self, link: Link) -> list[Any]:
        """What came over a link."""
        return [message for message, _ in self.by_link[link]]


class Front(Receiver):
    """What a scheduler does with the links of relays."""

    def __init__(self, nodes: Many, check: Check) -> None:
        self.links: list[Link] = []
        self.errors: list[PeerError] = []
        self.fetched: list[tuple[Link, Fetch]] = []
        self.on_fetch: Any = None
        self.relays = Relays(nodes, check, self._fetch)

    def _fetch(self, link: Link, fetch: Fetch) -> None:
        self.fetched.append((link, fetch))
        if self.on_fetch is not None:
            link.serve(fetch.stream, self.on_fetch(fetch))

    def link_up(self, link: Link) -> None:
        self.links.append(link)
        self.relays.joined(link)

    def received(self, link: Link, batch: Batch) -> None:
        try:
            self.relays.received(link, batch)
        except PeerError as error:
            self.errors.append(error)
            link.close(str(error))
            self.relays.lost(link, error)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        self.relays.lost(link, error)


class Node:
    """A node's end."""

    def __init__(self, world: World, name: str, link: Link, recorder: Many) -> None:
        self.world, self.name, self.link, self.recorder = world, name, link, recorder

    @property
    def there(self) -> ChannelLink:
        """The scheduler's end."""
        return self.world.scheduler.named(self.name)

    @property
    def uplink(self) -> Uplink:
        """What the relay has of it."""
        return next(one for one in self.world.relay._uplinks.values() if one.link.peer.name == self.name)

    @property
    def said(self) -> list[Any]:
        """What it was told."""
        return self.recorder.said(self.link)


class World:
    """See above. `quota`: bytes of files that the relay keeps."""

    def __init__(self, quota: int = 1 << 30, check: Check = accept) -> None:
        self._ends = contextlib.AsyncExitStack()
        self._check = check
        self._quota = quota

    async def __aenter__(self) -> World:
        directory = self.directory = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="lw")))
        self.log: list[str] = []
        self.scheduler = Many()
        self.front = Front(self.scheduler, self._check)
        self.scheduler_address, self.relay_address = f"unix:{directory / 's'}", f"unix:{directory / 'r'}"
        self.scheduler_door = await self.open_scheduler()
        owner = OwnerLog(self)  # type: ignore[arg-type]  # it writes and flushes
        self.relay = Relay("gate", "s", Core(self._quota), owner)
        self.store = self.relay.store = Store(directory / "blobs", self.relay.feed)
        self.outbound = Outbound(self.relay, self.scheduler_address, RELAY, None)
        self.outbound.start()
        self.door = await listen(self.relay_address, self.relay, RELAY, self.relay.check, links=PassingLink)
        await until(lambda: self.relay.up)
        return self

    async def open_scheduler(self) -> Listener:
        """It listens."""
        return await listen(self.scheduler_address, self.front, SCHEDULER)

    async def __aexit__(self, *error: object) -> None:
        self.relay.stop()
        await self.outbound.stop("the end")
        self.door.close()
        self.scheduler_door.close()
        for link in self.front.links:
            link.abort()
        await self._ends.aclose()

    def write(self, text: str) -> None:
        """A line of the relay's log."""
        self.log.append(text)

    def flush(self) -> None:
        """It is there."""

    async def node(self, name: str, role: str = "node") -> Node:
        """One that joins."""
        recorder = Many()
        known = len(self.scheduler.links)
        link = await connect(self.relay_address, recorder, Hello(PROTOCOL, role, name, f"identity of {name}"))
        await until(lambda: len(self.scheduler.links) > known or self.scheduler.refused)
        return Node(self, name, link, recorder)


def work(size: int) -> tuple[Assign, bytes]:
    """Something to do, with an argument of so many bytes."""
    return Assign("s", "d" * 32, [1], [size], JobOptions()), bytes(size)


def digest_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def kept(world: World) -> set[str]:
    return {path.name for path in (world.directory / "blobs").iterdir()}


async def wanted(node: Node, digest: str, offset: int = 0) -> Gather:
    sink = Gather(keep=True)
    node.link.fetch("blob", digest, sink, offset)
    return sink
