"""A scheduler that dials a station (a node program), keeps its claim over broken links, and counts what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lightwork.config.paths import private
from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import LightworkError
from lightwork.node.service.lock import Lock
from lightwork.node.service.station import Station
from lightwork.node.service.station_agents import StationOptions
from lightwork.node.service.station_home import LOCK_NAME, Home
from lightwork.node.service.station_listen import open_door
from lightwork.transport.endpoint import connect
from lightwork.transport.outbox import Outbox, Received
from lightwork.wire.messages import PROTOCOL, Ack, Heartbeat, Hello, Leaving, NodeReady, Welcome
from tests.node.scheduler_double import SchedulerDouble, alive, pids_of


class RemoteScheduler(SchedulerDouble):
    """As the real one it keeps what it has said until that is acknowledged."""

    def __init__(self, session: str = "s1", *, lease_s: float = 10.0, beat_s: float = 1.0) -> None:
        super().__init__()
        self.session = session
        self.hello = Hello(
            PROTOCOL, "scheduler", f"cluster-{session}", session, host="h", user="u",
            lease_ms=int(lease_s * 1e3), beat_ms=int(beat_s * 1e3),
        )  # fmt: skip
        self.claim = ""
        self.readies: list[NodeReady] = []
        self.resumed: list[bool] = []
        self.lost: list[LightworkError | None] = []
        self.leaving: list[Leaving] = []
        self.forgetful = False  # it knows no claim
        self._out, self._in = Outbox(), Received()
        self._line: Any = None

    async def dial(self, address: str, encryption: Any = None) -> None:
        """Claim it, or go on."""
        count = len(self.readies)
        await connect(address, self, self.hello, encryption=encryption)
        await self.until(lambda: len(self.readies) > count or self.link is None)

    def link_up(self, link: Any) -> None:
        self._line, self.link = link, Talk(self)

    def link_lost(self, link: Any, error: LightworkError | None) -> None:
        self.lost.append(error)
        if link is self._line:
            self._line = None
        self._changed.set()

    def received(self, link: Any, batch: Any) -> None:
        if link is self._line:
            for message, body in batch:
                self._hear(message, body)
        self._changed.set()

    def _hear(self, message: Any, body: bytes) -> None:
        if isinstance(message, NodeReady):
            resumed = message.claim == self.claim and not self.forgetful
            if not resumed:
                self._out, self._in, self.claim = Outbox(), Received(), message.claim
            self._line.send(Welcome(resumed, self._in.count))
            self.ready = message
            self.readies.append(message)
            self.resumed.append(resumed)
            if resumed:
                self._out.resume(self._line, message.received)
        elif isinstance(message, Ack):
            self._out.acknowledged(message.count)
        else:
            self._in.note(message, body)
            if isinstance(message, Heartbeat) and (ack := self._in.ack()) is not None:
                self._line.send(ack)
            if isinstance(message, Leaving):
                self.leaving.append(message)
            self._take(message, body)

    @property
    def connected(self) -> bool:
        return self._line is not None and self._line.up

    def cut(self) -> None:
        """The link breaks."""
        line, self._line = self._line, None
        line.abort()

    def leave(self) -> None:
        """In good order."""
        self._line.close("done")

    def say(self, message: Any, body: bytes) -> None:
        self._out.send(self._line if self.connected else None, message, body)


class Talk:
    """What the orders of SchedulerDouble take for a link."""

    def __init__(self, scheduler: RemoteScheduler) -> None:
        self._scheduler = scheduler

    def send(self, message: Any, body: bytes = b"") -> None:
        self._scheduler.say(message, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler._line, name)


class Lines:
    """A stream for the log."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


async def until(condition: Any, patience_s: float = 15.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


def home_in(directory: Path, name: str = "n") -> Home:
    lock = Lock(private(directory) / LOCK_NAME)
    lock.take()
    return Home(name, directory, lock)


@contextlib.asynccontextmanager
async def station(
    directory: Path, address: str, encryption: Any = None, slots: int = 2, **options: Any
) -> AsyncIterator[tuple[Any, str, Lines]]:
    """A station that listens; at the end nothing of it may be left."""
    lines = Lines()
    one = Station(StationOptions(slots=slots, **options), home_in(directory), OwnerLog(lines))  # type: ignore[arg-type]
    await one.start()
    door = await open_door(one, address, encryption, free=True)
    pids: set[int] = set()
    try:
        yield one, door.address, lines
    finally:
        if one.agent is not None:
            pids.update(pids_of(one.agent))
        door.close()
        await one.stop("the test is over")
    assert not [pid for pid in pids if alive(pid)], lines.text
