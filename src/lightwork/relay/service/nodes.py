"""Nodes that listen: named by the owner, or found by asking the network. Dialled in the scheduler's place.

--nodes lab1, lab2:9705     dialled for ever
--nodes '10.5.0.*'          who answers the beacon and fits; without --nodes: who answers at all
                            dialled until that fails; whoever answers again is dialled again

Nodes on the scheduler's own network are left to it: it reaches them without us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lightwork.config import ports, timers
from lightwork.kit.tasks import spawn, stop
from lightwork.model.errors import AlreadyConnected, LightworkError, NodeBusy
from lightwork.relay.service.relay import Relay
from lightwork.transport.address import TCP, host_of, join_host_port, network_address
from lightwork.transport.beacon import Asker
from lightwork.transport.endpoint import connect
from lightwork.transport.interfaces import share_network
from lightwork.transport.link import Link
from lightwork.transport.passing import PassingLink

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

_WILD = frozenset("*?[")


class Wanted:
    """What the owner wrote. UserError: it is no address."""

    def __init__(self, given: Iterable[str], *, discovery: bool) -> None:
        given = list(given)
        self.patterns = [one for one in given if is_pattern(one)]
        self.addresses = [network_address(one, ports.NODE) for one in given if not is_pattern(one)]
        if discovery and not given:
            self.patterns = ["*"]

    def fits(self, host: str) -> bool:
        """Whether a node found at this number is wanted."""
        return any(fnmatchcase(host, pattern) for pattern in self.patterns)


def is_pattern(text: str) -> bool:
    """`10.5.0.*` is one; `[fd00::1]:9701` is an address."""
    return bool(_WILD.intersection(text)) and not text.startswith("[")


class Dialling:
    """Keeps links to all of them, as long as there is a scheduler."""

    def __init__(self, relay: Relay, wanted: Wanted, encryption: Encryption | None) -> None:
        self._relay = relay
        self._wanted = wanted
        self._encryption = encryption
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[Link, asyncio.Event] = {}
        self._asking: asyncio.Task[None] | None = None
        relay.on_lost = self._lost

    def start(self) -> None:
        """From now on."""
        for address in self._wanted.addresses:
            self._dial(address, for_ever=True)
        if self._wanted.patterns and self._encryption is not None:
            self._asking = spawn(self._ask(), "ask the network")

    async def stop(self) -> None:
        """Dial no more; links are left alone."""
        await stop(*self._tasks.values(), *([self._asking] if self._asking is not None else []))

    def _lost(self, link: Link) -> None:
        ended = self._ended.pop(link, None)
        if ended is not None:
            ended.set()

    def _dial(self, address: str, *, for_ever: bool) -> None:
        if address not in self._tasks:
            task = self._tasks[address] = spawn(self._keep(address, for_ever), f"dial {address}")
            task.add_done_callback(lambda _: self._tasks.pop(address, None))

    async def _keep(self, address: str, for_ever: bool) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            if not self._relay.up:
                await self._relay.there.wait()
                since = loop.time()
            wait_s = await self._try(address, for_ever, first=loop.time() - since < timers.FIRST_MINUTE_S)
            if wait_s and not for_ever:
                return
            since = since if wait_s else loop.time()
            await asyncio.sleep(wait_s or timers.AT_ONCE_S)

    async def _try(self, address: str, named: bool, *, first: bool) -> float:
        """0: it was there for a while; else so long to wait."""
        relay, loop = self._relay, asyncio.get_running_loop()
        try:
            link = await connect(
                address, relay, relay.greeting(), relay.check_node, encryption=self._encryption, links=PassingLink
            )
        except AlreadyConnected:  # by another address, or on its own
            return timers.RETRY_MAX_S
        except (LightworkError, OSError) as error:
            relay.words.not_reached(address, error, named=named)
            if isinstance(error, NodeBusy):
                return timers.LINE_AGAIN_S
            return timers.RETRY_S if first else timers.RETRY_MAX_S
        up_since = loop.time()
        if link.up:
            ended = self._ended[link] = asyncio.Event()
            await ended.wait()
        return 0.0 if loop.time() - up_since > timers.RETRY_S else timers.RETRY_S  # nobody wants it, perhaps

    # --- the network ---

    async def _ask(self) -> None:
        asker = Asker(self._heard, wanted=self._wanted.fits)
        await asker.start()
        try:
            while True:
                await self._relay.there.wait()
                asker.ask()
                for problem in asker.problems:
                    self._relay.words.log.say(problem, problem)
                await asyncio.sleep(timers.ASK_NETWORK_S)
        finally:
            asker.close()

    def _heard(self, host: str, port: int, protocol: int) -> None:
        relay = self._relay
        if not relay.up or not self._wanted.fits(host):
            return
        if self._wanted.patterns == ["*"] and share_network(host, host_of(relay.outer_address)):
            return
        self._dial(f"{TCP}:{join_host_port(host, port)}", for_ever=False)
