"""A node whose owner wants it back: what runs may end, what it left is fetched, then it says goodbye."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from lightwork.config.timers import SAY_WAITING_S
from lightwork.kit.text import count, span
from lightwork.node.core import events as on

if TYPE_CHECKING:
    from lightwork.node.service.station import Station

LOOK_S = 0.05
FETCH_S = 30.0  # results and files of which nobody has fetched a byte for so long are given up


async def drain(station: Station, reason: str) -> None:
    """Returns when nothing of the claim is left to be waited for, or the claim is over."""
    station.leaving = True
    if station.agent is not None and station.claim is not None:
        await empty(station, reason)


async def empty(station: Station, leaving: str = "") -> None:
    """Wait until nothing of the claim is left here. `leaving`: why the node leaves, which the scheduler is told."""
    agent, claim = station.agent, station.claim
    if agent is None or claim is None:
        return
    loop = asyncio.get_running_loop()
    began = loop.time()
    said = began - SAY_WAITING_S if agent.core.tokens() else began  # who pressed Ctrl-C reads at once what runs
    stock = Stock(station)
    idle = not agent.core.tokens() and not stock.left(began) and not len(claim.outbox)
    if leaving:
        agent.post(on.LeaveAsked(leaving))
    while station.claim is claim:  # rare, and what it waits for tells nobody
        running, left = len(agent.core.tokens()), stock.left(loop.time())
        told = not len(claim.outbox) or (idle and claim.link is None)
        if not running and not left and told:
            return
        if not leaving and not agent.unwilling:
            return  # it is open again
        if loop.time() - said >= SAY_WAITING_S:
            said = loop.time()
            what = "results to be fetched" if left else "the scheduler to confirm what it has"
            what = f"{count(running, 'running job')} to end" if running else what
            after = f", since {span(round(said - began))}" if said - began >= SAY_WAITING_S else ""
            at_once = "; a second TERM or Ctrl-C ends the node at once" if leaving else ""
            station.log.say(f"waiting for {what}{after}{at_once}")
        await asyncio.sleep(LOOK_S)


class Stock:
    """What attempts left here for others: large results and files, until they are freed."""

    def __init__(self, station: Station) -> None:
        self._station, self._agent = station, station.agent
        self._last: list[str] = []
        self._since = 0.0

    def left(self, now: float) -> int:
        """How many attempts have some; 0 also when nobody has wanted them for long."""
        agent = self._agent
        if agent is None:
            return 0
        found = [str(token) for token in agent.hands.results.tokens()]
        custody = agent.custody
        if custody is None:
            found += sorted(os.listdir(agent.directories.spool))
        elif self._station.claim is not None and not self._station.claim.unreachable:
            found += ["not settled"] * custody.keeping.count()
        state = [*found, f"{agent.hands.results.served} bytes"]
        if state != self._last:
            self._last, self._since = state, now
        return len(found) if now - self._since < FETCH_S else 0
