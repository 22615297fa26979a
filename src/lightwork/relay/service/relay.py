"""The relay between its links: what each brings goes to the core or passes through.

node links (Receiver) --Passed--> Uplink --> the scheduler's link
                      --Fetch of a blob--> core --> Store
the scheduler's link (outbound.py) --ChannelFrames--> Uplink --> node
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec.structs import replace

from lightwork.config import limits, timers
from lightwork.kit.notation import render
from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import LightworkError, LinkBroken, PeerError
from lightwork.relay.core import commands as do, events as on
from lightwork.relay.core.core import Core
from lightwork.relay.service.store import Store
from lightwork.relay.service.uplink import Uplink
from lightwork.relay.service.words import Words
from lightwork.transport.link import Batch, Link
from lightwork.transport.passing import PassingLink, PassingReceiver
from lightwork.wire import messages as say
from lightwork.wire.messages import Hello, Refused
from lightwork.wire.turns import Turns

log = logging.getLogger(__name__)
ROLE, WAITING, FULL = "role", "relay", "full"  # codes of refusals


class Relay(PassingReceiver):
    """`scheduler`: how people call it, until it has told its name."""

    def __init__(self, name: str, scheduler: str, core: Core, log: OwnerLog) -> None:
        self.name = name
        self.core = core
        self.store: Store | None = None
        self.words = Words(log, scheduler)
        self.on_lost: Callable[[Link], None] = lambda link: None  # for who dials nodes
        self.there = asyncio.Event()  # the scheduler is
        self._outer: Link | None = None
        self._hello: Hello | None = None  # of the scheduler, as nodes are told it
        self._turns = Turns()
        self._numbers = count(1)
        self._uplinks: dict[int, Uplink] = {}
        self._by_link: dict[Link, Uplink] = {}
        self._parting: list[Uplink] = []  # of nodes that have gone: what they said is still on its way

    # --- the scheduler ---

    def scheduler_up(self, link: Link) -> None:
        """It is there, for the first time or again."""
        hello = link.peer
        lease_ms = max(hello.lease_ms, int(timers.RELAY_LEASE_S * 1000))
        self._hello = replace(hello, via=self.name, lease_ms=lease_ms)
        self._outer, self._turns = link, Turns()
        link.feed_by(self._turns)
        self.words.connected(hello, link.address)
        self.feed(on.SchedulerGreeted())
        self.there.set()
        if self.store is not None:
            self.store.linked(link)

    def scheduler_said(self, link: Link, batch: Batch) -> None:
        """What it has to say, to us or to nodes."""
        for message, body in batch:
            if isinstance(message, say.ChannelFrames):
                self._to_node(message.channel, body)
            elif isinstance(message, say.ChannelClosed):
                self.feed(on.ChannelEnded(message.channel))
            elif isinstance(message, say.Fetch):
                link.refuse(message.stream, "a relay has nothing of its own")
            elif isinstance(message, say.Goodbye):
                self.words.goodbye(message.reason)

    def _to_node(self, channel: int, body: bytes) -> None:
        uplink = self._uplinks.get(channel)
        if uplink is None:  # it has just gone
            return
        try:
            uplink.hears(body)
        except PeerError as error:
            self.words.nonsense(error)
            uplink.link.abort()

    def scheduler_lost(self, error: LightworkError | None) -> None:
        """It is gone; nodes are not told."""
        self._outer = None
        self.there.clear()
        self.words.lost(error)
        self.feed(on.SchedulerLost())
        for uplink in (*self._uplinks.values(), *self._parting):
            uplink.cut_off()
        self._parting.clear()

    def beat(self) -> None:
        """To be called every second or so."""
        outer = self._outer
        heard = outer is not None and outer.heard
        if outer is not None:
            outer.heard = False
        quiet = [uplink.number for uplink in self._uplinks.values() if uplink.quiet]
        for uplink in self._uplinks.values():
            uplink.quiet = True
        self.feed(on.BeatDue(heard, quiet))

    # --- nodes ---

    def greeting(self) -> Hello:
        """What nodes are told in the scheduler's place."""
        if self._hello is None:
            raise LinkBroken("there is no scheduler")
        return self._hello

    @property
    def outer_address(self) -> str:
        """Where the scheduler is, HOST:PORT; "": there is none, or not over a network."""
        return self._outer.address if self._outer is not None else ""

    @property
    def up(self) -> bool:
        """Whether there is a scheduler for nodes."""
        return self._outer is not None

    def check(self, hello: Hello) -> Refused | None:
        """May this one have a channel? For listeners."""
        if hello.role != "node":
            hint = f"clients dial the scheduler itself: {self.words.scheduler}"
            return Refused(ROLE, f"this is relay {self.name}: nodes join it, and no {hello.role}", hint)
        if not self.up:
            return Refused(WAITING, f"relay {self.name} has no connection with {self.words.why()}", "it goes on trying")
        if len(self._uplinks) >= limits.CHANNELS_MAX:
            sentence = f"relay {self.name} carries {limits.CHANNELS_MAX:,} nodes, and no more"
            return Refused(FULL, sentence, "start another relay beside it")
        return None

    def check_node(self, hello: Hello) -> Refused | None:
        """Is what answers there a node? For who dials."""
        if hello.role == "node":
            return None
        return Refused(ROLE, f"what answers there is a {hello.role}, no node")

    def link_up(self, link: Link) -> None:
        """A node is there."""
        assert isinstance(link, PassingLink)
        uplink = Uplink(next(self._numbers), link)
        self._uplinks[uplink.number] = self._by_link[link] = uplink
        self.words.node_came(link.peer, link.address)
        self.feed(on.NodeGreeted(uplink.number))

    def received(self, link: Link, batch: Batch) -> None:
        """What it says."""
        uplink = self._by_link.get(link)
        if uplink is None:
            return
        for passed, data in batch:
            if isinstance(passed, say.Fetch):
                self._wanted(uplink, passed)
            else:
                uplink.passes(passed, data)  # type: ignore[arg-type]  # wire.passing

    def _wanted(self, uplink: Uplink, fetch: say.Fetch) -> None:
        store = self.store
        if store is None or not store.is_digest(fetch.name):
            uplink.link.refuse(fetch.stream, f"{fetch.name!r} is no digest")
            return
        if fetch.name in self.core.shelf and not store.has(fetch.name):
            self.feed(on.BlobVanished(fetch.name))
        self.feed(on.BlobWanted(uplink.number, fetch.stream, fetch.name, fetch.offset))

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """It is gone, for the moment at least."""
        uplink = self._by_link.get(link)
        if uplink is not None:
            self.words.node_went(link.peer, error)
            self.feed(on.NodeGone(uplink.number))
            del self._by_link[link], self._uplinks[uplink.number]
        self.on_lost(link)

    def link_refused(self, address: str, error: LightworkError) -> None:
        """A stranger, or one with another secret."""
        self.words.refused(address, error)

    # --- what follows ---

    def feed(self, event: on.Event) -> None:
        """Tell the core, and obey."""
        debug = log.isEnabledFor(logging.DEBUG)
        if debug:
            log.debug("> %s", render(event))
        for command in self.core.handle(event):
            if debug:
                log.debug("< %s", render(command))
            _DOINGS[type(command)](self, command)

    def _open(self, command: do.OpenChannel) -> None:
        uplink, outer, hello = self._uplinks[command.node], self._outer, self._hello
        if outer is not None and hello is not None:
            node = uplink.link
            outer.send(say.ChannelOpened(uplink.number, node.peer, node.address, hello.lease_ms))
            uplink.open(outer, self._turns)

    def _close(self, command: do.CloseChannel) -> None:
        uplink = self._uplinks[command.node]
        uplink.close()
        self._parting = [one for one in self._parting if one.waiting_bytes] + [uplink]
        while sum(one.waiting_bytes for one in self._parting) > limits.RELAY_PARTING_MAX:
            self._parting.pop(0).cut_short()

    def _hang_up(self, command: do.HangUp) -> None:
        uplink = self._uplinks[command.node]
        uplink.cut_off()
        if command.flush:
            uplink.link.close()
        else:
            uplink.link.abort()

    def _ping(self, command: do.Ping) -> None:
        if self._outer is not None:
            self._outer.send(say.Ping(1))

    def _give_up(self, command: do.GiveUp) -> None:
        if self._outer is not None:
            self.words.silent()
            self._outer.abort()

    def _soothe(self, command: do.Soothe) -> None:
        for node in command.nodes:
            uplink = self._uplinks.get(node)
            if uplink is not None and not uplink.link.queued_bytes:  # else it takes nothing anyway
                uplink.link.send(say.Pong(0))  # an answer to nothing that was asked

    def _fetch(self, command: do.FetchBlob) -> None:
        if self.store is not None:
            self.store.fetch(command.digest)

    def _serve(self, command: do.ServeBlob) -> None:
        fetch = say.Fetch(command.stream, "blob", command.digest, command.offset)
        if self.store is None:
            return
        source = self.store.source(fetch)
        if command.node in self._uplinks:
            self._uplinks[command.node].link.serve(command.stream, source)
        else:
            source.close()

    def _refuse(self, command: do.RefuseBlob) -> None:
        if command.node in self._uplinks:
            self._uplinks[command.node].link.refuse(command.stream, command.reason)

    def _pass_fetch(self, command: do.PassFetch) -> None:
        self.words.cannot_keep(command.digest)
        if command.node in self._uplinks:
            fetch = say.Fetch(command.stream, "blob", command.digest, command.offset)
            self._uplinks[command.node].passes_fetch(fetch)

    def _evict(self, command: do.Evict) -> None:
        if self.store is not None:
            self.store.evict(command.digests)

    def stop(self) -> None:
        """Links of nodes end without a word: whoever comes after us takes them up again."""
        if self.store is not None:
            self.store.close()
        for uplink in list(self._uplinks.values()):
            uplink.link.abort()


_DOINGS: dict[type, Callable[[Relay, Any], None]] = {
    do.OpenChannel: Relay._open,
    do.CloseChannel: Relay._close,
    do.HangUp: Relay._hang_up,
    do.Ping: Relay._ping,
    do.GiveUp: Relay._give_up,
    do.Soothe: Relay._soothe,
    do.FetchBlob: Relay._fetch,
    do.ServeBlob: Relay._serve,
    do.RefuseBlob: Relay._refuse,
    do.PassFetch: Relay._pass_fetch,
    do.Evict: Relay._evict,
}
