"""The one link to the scheduler: dialled for ever.

dial --up--> until it is lost --> at once again, unless that was soon
  +--refused, unreachable: said once --> every RETRY_S, later every RETRY_MAX_S
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lightwork.config import timers
from lightwork.kit.tasks import spawn, stop
from lightwork.model.errors import LightworkError
from lightwork.relay.service.relay import ROLE, Relay
from lightwork.transport.endpoint import connect
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.wire.messages import Hello, Refused

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption


class Outbound(Receiver):
    """Keeps it."""

    def __init__(self, relay: Relay, address: str, hello: Hello, encryption: Encryption | None) -> None:
        self.tried = asyncio.Event()  # once, whatever came of it
        self.trouble = ""  # why it came to nothing
        self._relay = relay
        self._address = address
        self._hello = hello
        self._encryption = encryption
        self._link: Link | None = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on."""
        self._task = spawn(self._keep(), "dial the scheduler")

    async def stop(self, reason: str) -> None:
        """No more of it."""
        if self._task is not None:
            await stop(self._task)
        if self._link is not None:
            self._lost.clear()
            self._link.close(reason)
            await asyncio.wait([lost := spawn(self._lost.wait(), "leave")], timeout=timers.LINK_CLOSE_S)
            await stop(lost)

    @property
    def beat_s(self) -> float:
        """Between two signs of life: as the scheduler wants them."""
        beat_ms = self._link.peer.beat_ms if self._link is not None else 0
        return beat_ms / 1e3 or timers.HEARTBEAT_S

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            up = await self._try()
            up_since = loop.time()
            self.tried.set()
            if up:
                await self._lost.wait()
                since = loop.time()
            again_s = timers.RETRY_S if loop.time() - since < timers.FIRST_MINUTE_S else timers.RETRY_MAX_S
            await asyncio.sleep(timers.AT_ONCE_S if up and loop.time() - up_since > timers.RETRY_S else again_s)

    async def _try(self) -> bool:
        self._lost.clear()
        try:
            await connect(self._address, self, self._hello, _a_scheduler, encryption=self._encryption)
        except (LightworkError, OSError) as error:
            self.trouble = self._relay.words.failed(error)
            return False
        return True

    # --- the link (Receiver) ---

    def link_up(self, link: Link) -> None:
        """The scheduler is there."""
        self._link = link
        self._relay.scheduler_up(link)

    def received(self, link: Link, batch: Batch) -> None:
        """What it says."""
        self._relay.scheduler_said(link, batch)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Dial again."""
        self._link = None
        self._relay.scheduler_lost(error)
        self._lost.set()


def _a_scheduler(hello: Hello) -> Refused | None:
    if hello.role != "scheduler":
        return Refused(ROLE, f"what answers there is a {hello.role}, no scheduler")
    if hello.via:
        return Refused(ROLE, f"what answers there is relay {hello.via}", "name the scheduler itself: --scheduler HOST")
    return None
