"""Reaching nodes: dials addresses, asks the network who is there, and tells the core what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from fnmatch import fnmatchcase
from typing import Any

from lightwork.config import ports, timers
from lightwork.kit.tasks import spawn, stop
from lightwork.model.errors import AlreadyConnected, LightworkError, NodeBusy, PeerError
from lightwork.scheduler.core import events as on
from lightwork.transport.beacon import Asker
from lightwork.transport.endpoint import connect
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.transport.soon import resolve_soon
from lightwork.transport.tls import Encryption
from lightwork.wire.messages import Hello

log = logging.getLogger(__name__)

TRIES_AT_ONCE = 64


class Dialler:
    """What a scheduler needs to find nodes."""

    def __init__(
        self, receiver: Receiver, tell: Callable[[on.Event], None], hello: Hello, encryption: Encryption | None
    ) -> None:
        self._receiver = receiver
        self._tell = tell
        self._hello = hello
        self._encryption = encryption
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(TRIES_AT_ONCE)
        self._asker: Asker | None = None
        self._patterns: list[str] = []
        self._names: dict[str, set[str]] = {}  # address -> names of hosts that were asked
        self._reached: dict[Link, str] = {}
        self._silent: set[Link] = set()  # no node has joined over these yet

    def joined(self, link: Link) -> str:
        """A node has joined over this link: the address that was dialled, empty if the other side did."""
        self._silent.discard(link)
        return self._reached.get(link, "")

    def lost(self, link: Link, address: str, error: LightworkError | None) -> None:
        """The link is gone; the core ignores this if a node had joined by it."""
        self._reached.pop(link, None)
        self._silent.discard(link)
        where = address.removeprefix("tcp:")
        text = f"{where}: it said goodbye at once" if error is None else _sentence(error, address)
        self._tell(on.NodeUnreached(address, "unreachable", text))

    def dial(self, address: str) -> None:
        """Try once."""
        self._spawn(self._dial(address), f"dial {address}")

    async def _dial(self, address: str) -> None:
        async with self._turns:
            try:
                await connect(address, _Noting(self, address), self._hello, encryption=self._encryption)
            except LightworkError as error:
                self._tell(on.NodeUnreached(address, _state_after(error), _sentence(error, address), error.hint))
            except OSError as error:
                self._tell(on.NodeUnreached(address, "unreachable", f"{address}: {error}"))

    def reached(self, link: Link, address: str) -> None:
        """A dialled link is up: from now on it is one like any other."""
        self._reached[link] = address
        self._silent.add(link)
        asyncio.get_running_loop().call_later(timers.HELLO_S, self._give_up, link)
        self._receiver.link_up(link)

    def _give_up(self, link: Link) -> None:
        """Who says hello and then does not offer itself is of no use."""
        if link in self._silent:
            link.abort()

    @property
    def receiver(self) -> Receiver:
        """Who gets what the links bring."""
        return self._receiver

    # --- the network ---

    def ask(self, hosts: list[str], patterns: list[str]) -> None:
        """Who is there? Asked everybody on our networks, and these hosts by name."""
        self._patterns = patterns
        if self._encryption is not None:
            self._spawn(self._ask(hosts), "ask the network")

    async def _ask(self, hosts: list[str]) -> None:
        if self._asker is None:
            asker = self._asker = Asker(self._heard, wanted=self._fits)
            await asker.start()
        self._asker.ask()
        found = await asyncio.gather(*map(self._resolve, hosts))
        if extra := [address for addresses in found for address in addresses]:
            self._asker.ask(extra)

    def _fits(self, host: str) -> bool:
        return any(fnmatchcase(host, pattern) for pattern in self._patterns)

    async def _resolve(self, host: str) -> list[str]:
        try:
            found = [one.number for one in await resolve_soon(host, ports.DISCOVERY, timers.CONNECT_S)]
        except LightworkError:  # whoever dials it hears of that
            return []
        for address in found:
            self._names.setdefault(address, set()).add(host)
        return found

    def _heard(self, host: str, port: int, protocol: int) -> None:
        self._tell(on.NodeHeard(host, port, sorted(self._names.get(host, ()))))

    # --- the end ---

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = spawn(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Try nothing more."""
        for task in list(self._tasks):
            await stop(task)
        if self._asker is not None:
            self._asker.close()


class _Noting(Receiver):
    """Tells which address a link was dialled by, before the scheduler sees it."""

    def __init__(self, dialler: Dialler, address: str) -> None:
        self._dialler = dialler
        self._address = address

    def link_up(self, link: Link) -> None:
        self._dialler.reached(link, self._address)

    def received(self, link: Link, batch: Batch) -> None:
        self._dialler.receiver.received(link, batch)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        self._dialler.lost(link, self._address, error)  # first: what follows may dial again
        self._dialler.receiver.link_lost(link, error)

    def link_refused(self, address: str, error: LightworkError) -> None:
        self._dialler.receiver.link_refused(address, error)

    def link_drained(self, link: Link) -> None:
        self._dialler.receiver.link_drained(link)


def _state_after(error: LightworkError) -> str:
    if isinstance(error, NodeBusy):
        return "busy"
    if isinstance(error, AlreadyConnected):
        return "connected"
    return "refused" if isinstance(error, PeerError) else "unreachable"


def _sentence(error: LightworkError, address: str) -> str:
    """What it says, without the hint; the words of a peer do not say where that is."""
    text, where = str(error.args[0] if error.args else error), address.removeprefix("tcp:")
    if where in text or not isinstance(error, PeerError):
        return text
    return f"{where} is {text}" if isinstance(error, NodeBusy) else f"{where}: {text}"
