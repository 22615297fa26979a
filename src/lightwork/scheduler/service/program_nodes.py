"""Nodes that the owner of a scheduler named: dialled for ever. To the core they are nodes that joined by themselves.

dial --up--> wait until the link is lost --> at once again
  +--busy, refused, unreachable: said once --> every RETRY_S, later every RETRY_MAX_S; busy: every LINE_AGAIN_S
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lightwork.config import ports, timers
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.tasks import spawn, stop
from lightwork.model.errors import AlreadyConnected, LightworkError, NodeBusy, PeerError
from lightwork.transport.address import network_address
from lightwork.transport.endpoint import connect
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.wire.messages import Hello, Refused

if TYPE_CHECKING:
    from lightwork.scheduler.service.hosting import Hosting
    from lightwork.transport.tls import Encryption


class ListedNodes:
    """All of them."""

    def __init__(
        self,
        addresses: Iterable[str],
        receiver: Receiver,
        hello: Hello,
        encryption: Encryption | None,
        log: OwnerLog,
        hosting: Hosting,
    ) -> None:
        """`hosting`: knows who wants an address left alone, and which nodes may work for us."""
        self._keepers = [_Keeper(address, receiver, hello, encryption, log, hosting) for address in addresses]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """From now on."""
        self._tasks = [spawn(keeper.keep(), "dial a node") for keeper in self._keepers]

    async def stop(self) -> None:
        """Dial no more; the links are left alone."""
        await stop(*self._tasks)


def addresses_of(names: Iterable[str]) -> list[str]:
    """What the owner wrote, as addresses. UserError: one is none."""
    return [network_address(name, ports.NODE) for name in names]


class _Keeper(Receiver):
    """Keeps one link to one address."""

    def __init__(
        self,
        address: str,
        receiver: Receiver,
        hello: Hello,
        encryption: Encryption | None,
        log: OwnerLog,
        hosting: Hosting,
    ) -> None:
        self._address = address
        self._receiver = receiver
        self._hello = hello
        self._encryption = encryption
        self._log = log
        self._hosting = hosting
        self._lost = asyncio.Event()

    async def keep(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            wait_s = await self._try(first=loop.time() - since < timers.FIRST_MINUTE_S)
            if not wait_s:
                await self._lost.wait()
                since = loop.time()
            await asyncio.sleep(wait_s or timers.AT_ONCE_S)

    async def _try(self, *, first: bool) -> float:
        """0: the link is up; else so long to wait."""
        self._lost.clear()
        if who := self._hosting.removed_by(self._address):
            self._log.say(f"the node at {self._address.removeprefix('tcp:')} was removed by {who}", self._address)
            return timers.RETRY_S
        try:
            await connect(self._address, self, self._hello, self._check, encryption=self._encryption)
        except AlreadyConnected:  # by another address, or on its own
            return timers.RETRY_MAX_S
        except (LightworkError, OSError) as error:
            self._log.say(_sentence(self._address, error), self._address)
            if isinstance(error, NodeBusy):
                return timers.LINE_AGAIN_S
            return timers.RETRY_S if first else timers.RETRY_MAX_S
        self._log.forget(self._address)
        return 0.0

    def _check(self, hello: Hello) -> Refused | None:
        if hello.role != "node":
            return Refused("role", f"what answers there is a {hello.role}, no node")
        return self._hosting.may_work(hello)

    # --- the link (Receiver) ---

    def link_up(self, link: Link) -> None:
        """The node is there."""
        self._receiver.link_up(link)

    def received(self, link: Link, batch: Batch) -> None:
        """What it says."""
        self._receiver.received(link, batch)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Dial again."""
        self._receiver.link_lost(link, error)
        self._lost.set()

    def link_drained(self, link: Link) -> None:
        """It has caught up."""
        self._receiver.link_drained(link)


def _sentence(address: str, error: Exception) -> str:
    where = address.removeprefix("tcp:")
    text = str(error.args[0]) if isinstance(error, LightworkError) and error.args else str(error)
    if isinstance(error, NodeBusy):
        text = f"the node at {where} is {text}"
    elif where not in text:
        text = f"the node at {where} cannot be had: {text}"
    hint = f" ({error.hint})" if isinstance(error, PeerError) and error.hint else ""
    return f"{text}{hint}; it is dialled again and again"
