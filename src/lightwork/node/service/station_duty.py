"""When a node program works, as its owner wants it: by hours of the day, and for so many clients.

    hours: OPEN     willing                              (core.hours)
           CLOSING  unwilling: claims are refused, what has not started goes back, what runs may end
           CLOSED   what runs is ended and goes back; a node that listens lets go of its scheduler
    clients: all served --> the program drains and ends

A client is served when its session is over, or the claim under which it was here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lightwork.kit.clock import monotonic_ns
from lightwork.kit.tasks import spawn as spawn_task
from lightwork.kit.text import count
from lightwork.model.errors import UserError
from lightwork.node.core import events as on
from lightwork.node.core.hours import Hours, Phase, Timetable, checked
from lightwork.node.service.agent import Agent
from lightwork.node.service.house_rules import HouseRules
from lightwork.node.service.station_drain import empty
from lightwork.wire.messages import SetPolicy

if TYPE_CHECKING:
    from lightwork.node.service.station import Station

ANY, AS_IT_WAS, NO_END = -1, -2, -2
MINUTE = 60
DAY_MIN = 1440


class Duty:
    """Of one station. `on_served` hears that there is nothing more to do, and why."""

    def __init__(self, station: Station, rules: HouseRules) -> None:
        self.on_served: Callable[[str], None] = lambda why: None
        self.listens = True  # and so it can be claimed by others later
        self._station = station
        self._table = Timetable(rules.hours)
        self._phase = Phase.OPEN
        self._own = rules.hours  # its owner's; what is told from elsewhere comes in their place
        self._clients = rules.clients
        self._word: tuple[str, int] = "", 0  # the last one about clients, and whose it was
        self._served: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    # --- life ---

    def start(self) -> None:
        """From now on."""
        self._look()

    def stop(self) -> None:
        """The node ends."""
        if self._timer is not None:
            self._timer.cancel()

    def instruct(self, agent: Agent) -> None:
        """A new agent, before anybody knows of it."""
        agent.on_policy = self.told
        agent.on_released = self.served
        agent.set_unwilling(self.unwilling)

    @property
    def unwilling(self) -> str:
        """Why nothing new may start now; "": it may."""
        self._read(monotonic_ns())
        return self._table.unwilling(monotonic_ns())

    # --- hours ---

    def _read(self, now_ns: int) -> None:
        """What time is it?"""
        if self._table.hours is not None and self._table.stale(now_ns):
            wall_s = time.time()  # noqa: TID251  # the owner's hours are meant so: the one thing that goes by it (P12)
            read_ns = monotonic_ns()  # afterwards: if we had to wait in between, we are late rather than early
            day = time.localtime(wall_s)
            self._table.read(day.tm_hour * 3600 + day.tm_min * 60 + day.tm_sec + wall_s % 1, read_ns)

    def _look(self) -> None:
        self._read(monotonic_ns())
        now = monotonic_ns()
        phase = self._table.phase(now)
        if phase is not self._phase:
            self._phase = phase
            self._turn(phase)
        if self._table.hours is not None:
            wait_s = self._table.wait_s(now) + 0.002  # a timer may be a little early
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._look)

    def _turn(self, phase: Phase) -> None:
        station, why = self._station, self.unwilling
        agent = station.agent
        if agent is not None:
            agent.set_unwilling(why)
        if phase is Phase.OPEN:
            station.log.say(f"open: its hours are {self._table.hours or 'all day'}")
            return
        running = len(agent.core.tokens()) if agent is not None else 0
        jobs = f"; {count(running, 'job')} here" if running else ""
        if phase is Phase.CLOSING:
            station.log.say(why + (f"{jobs} may end" if jobs else ""))
        elif agent is not None:
            if running:
                station.log.say(f"{why}{jobs} must end now, and can run elsewhere")
            agent.post(on.Ousted(f"the node's service hours are over: {why}"))
            if self.listens and station.claim is not None:
                spawn_task(self._let_go(station, why), "let go of a scheduler")

    async def _let_go(self, station: Station, why: str) -> None:
        """What it has left is fetched first."""
        claim = station.claim
        await empty(station)
        if station.claim is claim and self._phase is Phase.CLOSED:
            station.release(why)

    # --- clients ---

    def served(self, session: str) -> None:
        """This client needs us no more."""
        self._served.add(session)
        self._count()

    def over(self, agent: Agent) -> None:
        """A claim is over, and so are the sessions that are still here."""
        self._served.update(agent.core.computations.sessions())
        self._count()

    def _count(self) -> None:
        if 0 <= self._clients <= len(self._served):
            self.on_served(f"it has served {count(len(self._served), 'client')}, as it was told")

    # --- told from elsewhere ---

    def told(self, message: SetPolicy) -> None:
        """A scheduler says what somebody wants who may control it: all of it, and again whenever we come back."""
        agent = self._station.agent
        try:
            self._keep(self._hours(message), agent)
        except UserError as error:
            if agent is not None:
                agent.notice("error", f"its service hours stay as they were: {error.args[0]}", error.hint)
        claim = self._station.claim
        word = claim.session if claim is not None else "", message.word
        if message.clients == AS_IT_WAS or (message.word and word == self._word):
            return
        self._word = word
        self._clients = len(self._served) + message.clients if message.clients >= 0 else ANY
        self._count()

    def _keep(self, hours: Hours | None, agent: Agent | None) -> None:
        """These from now on."""
        if hours == self._table.hours:
            return
        self._table.hours = hours
        self._station.log.say(f"told from elsewhere: service hours {hours or 'all day'}")
        if self._timer is not None:
            self._timer.cancel()
        self._look()
        if agent is not None:
            agent.set_unwilling(self.unwilling)  # it may say other hours

    def _hours(self, message: SetPolicy) -> Hours | None:
        given = (message.service_start, message.service_stop, message.service_end)
        start, stop, end = given
        if any(minute >= DAY_MIN for minute in given):
            raise UserError(f"there is no minute {max(given)} of a day")
        if start >= 0 and start == stop:
            return None
        old = self._own
        if start < 0 and stop < 0 and end < 0:
            return old
        if old is None and (start < 0 or (stop < 0 and end < 0)):
            raise UserError("it has none, so both start and stop are needed")
        begins = start * MINUTE if start >= 0 or old is None else old.start
        ends = end * MINUTE if end >= 0 else old.end if old is not None and end != NO_END else -1
        stops = stop * MINUTE if stop >= 0 else old.stop if old is not None else ends
        return checked(Hours(begins, stops, ends))
