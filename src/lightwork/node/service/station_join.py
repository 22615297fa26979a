"""A node that dials its scheduler, for ever: it need not be reachable itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from lightwork.config import timers
from lightwork.kit.tasks import spawn as spawn_task, stop as stop_task
from lightwork.kit.text import span
from lightwork.model.errors import LightworkError, Unreachable
from lightwork.node.service.claims_link import named
from lightwork.node.service.station import Station
from lightwork.transport.address import TCP, split
from lightwork.transport.endpoint import connect
from lightwork.transport.link import Batch, Link, Receiver

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

HERE_S = 0.2  # between two tries on this machine, in the first minute: they cost next to nothing
SUBJECT = "join"


class Joiner(Receiver):
    """Keeps one link to one address."""

    def __init__(
        self, station: Station, address: str, encryption: Encryption | None, on_try: Callable[[str, str], None]
    ) -> None:
        self._station = station
        self._address = address
        self._far = split(address)[0] == TCP
        self._encryption = encryption
        self._on_try = on_try  # told whom we joined, or "" and why not
        self._link: Link | None = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on."""
        self._task = spawn_task(self._keep(), "join a scheduler")

    async def stop(self) -> None:
        """Dial no more; the link is left alone."""
        if self._task is not None:
            await stop_task(self._task)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            joined = await self._try()
            if joined:
                await self._lost.wait()
                since = loop.time()
            first = loop.time() - since < timers.FIRST_MINUTE_S
            again_s = (timers.RETRY_S if self._far else HERE_S) if first else timers.RETRY_MAX_S
            await asyncio.sleep(timers.AT_ONCE_S if joined else again_s)

    async def _try(self) -> bool:
        station = self._station
        try:
            self._lost.clear()
            check = station.check_scheduler
            link = await connect(self._address, self, station.hello(), check, encryption=self._encryption)
        except (LightworkError, OSError) as error:
            self._failed(error)
            return False
        station.log.forget(SUBJECT)
        self._on_try(f"{named(link.peer)} at {link.address}", "")
        return True

    def _failed(self, error: Exception) -> None:
        hint = f" ({error.hint})" if isinstance(error, LightworkError) and error.hint else ""
        text = str(error.args[0]) if isinstance(error, LightworkError) and error.args else str(error)
        if not isinstance(error, Unreachable):
            text = f"cannot join {self._address.partition(':')[2]}: {text}"
        again = span(timers.RETRY_S if self._far else HERE_S)
        line = f"{text}{hint}; tried again every {again}, later less often"
        self._station.log.say(line, SUBJECT)
        self._on_try("", line)

    # --- the link (Receiver) ---

    def link_up(self, link: Link) -> None:
        """The scheduler is there."""
        self._link = link
        self._station.link_up(link)

    def received(self, link: Link, batch: Batch) -> None:
        """What it says."""
        self._station.received(link, batch)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Dial again."""
        self._station.link_lost(link, error)
        if link is self._link:
            self._link = None
            self._lost.set()
