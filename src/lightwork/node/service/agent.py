"""The agent of one machine: feeds the core with what the scheduler, workers and the clock say, and obeys it.

    scheduler --Link--> Agent.received --event--> core --commands--> Hands --> nursery, links of workers, files
                              ^                     |
                              +---- post(event) <---+---- worker links, timers, threads

Events are handled one at a time: what a command brings about at once waits in line until its own event is through.

An agent lives for one claim: with a private scheduler it ends with the link, in a node program (station.py) with the
lease. Then all that it had is gone, and the next one begins with nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, structs

from lightwork.config.timers import AGENT_TICK_S, HEARTBEAT_S
from lightwork.kit.notation import render
from lightwork.kit.tasks import spawn as spawn_task
from lightwork.model.errors import LightworkError
from lightwork.node.core import events as on
from lightwork.node.core.commands import Command
from lightwork.node.core.core import Core
from lightwork.node.service import gpus
from lightwork.node.service.custody import Custody
from lightwork.node.service.directories import KEPT, Directories
from lightwork.node.service.durable import harvest_all, leave_custody, nobody
from lightwork.node.service.era import Era
from lightwork.node.service.failed import UNIMPORTANT, consequence
from lightwork.node.service.hands import Hands
from lightwork.node.service.hardware import LoadMeter, ask_gpus, hardware
from lightwork.node.service.house_rules import USUAL, HouseRules
from lightwork.node.service.inbox import Inbox
from lightwork.node.service.interpreters import Interpreters
from lightwork.node.service.keeper_spawn import NO_ARENAS, Arenas, KeeperProcess
from lightwork.node.service.lock import LOCK_NAME, Lock
from lightwork.node.service.offer import address_of, offer
from lightwork.node.service.processes import become_subreaper
from lightwork.node.service.siblings import remove_dead_siblings
from lightwork.node.service.stale import News, settle
from lightwork.store.arena import Arena
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.wire.frames import Buffer
from lightwork.wire.messages import Message, NodeNotice, SetPolicy

SIBLINGS_S = 0.5  # after the start: then directories of killed sessions are removed
KEEP_AGAIN_S = 1.0  # until a disk that was full is tried again
LOOK_S = 0.002  # the next tick, while idle slots may take over work that waits behind other work
Tell = Callable[[Message, Buffer], None]


class AgentOptions(Struct):
    """What an agent is told by its host."""

    name: str
    slots: int
    directory: Path
    lasting: Path | None = None  # where relative `dest_path`s are; default: `directory`
    interpreters: Interpreters | None = None  # all that it offers, preferred first; None: our own alone
    address: str = ""
    arenas: Arenas = NO_ARENAS
    arguments: Arena | None = None  # where we put arguments that we fetch; None: the clients put them there
    results: Arena | None = None  # whose regions we give to workers
    portable: bool = bool(os.environ.get("LIGHTWORK_PORTABLE")) or sys.platform == "win32"
    sole: bool = False  # the process is the agent's own: whatever is left below it is killed at the end
    identity: str = ""  # of the directory, the same after a restart
    labels: dict[str, str] = {}
    era: Era | None = None  # how long it has known of all that started
    shares_memory: bool = False  # the arenas are those of the scheduler's clients
    nice: int = 0  # of everything that it starts
    rules: HouseRules = USUAL


class Agent(Receiver):
    """One node. `start`, then `attach` to a link (or be given as its receiver), at last `stop`."""

    def __init__(self, options: AgentOptions, keeper: KeeperProcess | None = None) -> None:
        self.options = options
        self.hardware = hardware()
        rules = options.rules
        self.directories = Directories(options.directory, options.lasting, rules.user)
        self.gpus = rules.gpus if rules.gpus is not None else gpus.names_of(len(self.hardware.gpus))
        self.core = Core(options.slots, setup_in_worker=options.portable, gpus=len(self.gpus))
        self.unwilling = ""  # why its owner wants nothing new to start now
        self.on_policy: Callable[[SetPolicy], None] = self._no_policy
        self.on_released: Callable[[str], None] = lambda session: None
        self.link: Link | None = None  # None: there is none now; see `tell`
        self.tell: Tell = nobody  # says something to the scheduler
        self.news: News = []  # of our predecessor, until somebody is told
        self.custody: Custody | None = None  # in the claim of a durable scheduler (durable.py)
        self.beat_s = HEARTBEAT_S
        self.pythons = [sys.version_info[:2]]  # whose workers it can run, preferred first
        self._hands: Hands | None = None
        self.stopped: asyncio.Future[None] | None = None
        self._keeper = keeper
        self._lock = Lock(options.directory / LOCK_NAME)
        self.inbox = Inbox(self)
        self._events: deque[on.Event] = deque()
        self._handling = False
        self.failed = False
        self._tick: asyncio.TimerHandle | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._beats = 0
        self._retrying: asyncio.TimerHandle | None = None
        self._siblings: asyncio.TimerHandle | None = None
        self._prepared = False
        self._joined = False  # just now: no heartbeat since
        self._over = False
        self._meter = LoadMeter(options.directory)

    # --- life ---

    async def start(self) -> None:
        """Take the directory, end what an earlier agent left, have a keeper. OSError, StartFailed."""
        self.stopped = asyncio.get_running_loop().create_future()
        self.directories.make()
        self._lock.take()
        if self.options.sole:
            become_subreaper()
        self._hands = Hands(self)
        self.hands.nursery.start(self._keeper)
        self.pythons = self.hands.pythons()
        self.news = await settle(self.directories, self.hands.interpreters.own)
        await self.harvest()
        await self.hands.nursery.listen()
        if not self.hardware.gpus:
            spawn_task(self._find_gpus(), "find gpus")

    async def harvest(self) -> None:
        """What agents have left for durable schedulers becomes kept ends."""
        options = self.options
        if not (options.directory / KEPT).exists():
            return
        loop = asyncio.get_running_loop()
        where = options.directory, options.lasting, options.rules.user
        self.damaged(await loop.run_in_executor(None, harvest_all, *where))

    def damaged(self, problems: list[str]) -> None:
        """What was kept is not whole: from now on nobody knows any more what had started here."""
        for problem in problems:
            self.hands.crew.log(problem)
        if problems and self.options.era is not None:
            self.options.era.renew()

    def attach(self, link: Link) -> None:
        """The scheduler is at the other end of this link, which is up, and with it we end."""
        link.send(offer(self, link))
        self.speak(link, link.send)

    def speak(self, link: Link, tell: Tell) -> None:
        """The scheduler listens: `tell` says something to it, over this link or later ones."""
        self.link, self.tell = link, tell
        self.hands.sites.address = address_of(self.options, link)
        self.hands.fetching.linked(link)
        news, self.news = self.news, []
        for message, body in news:
            tell(message, body)
        self._joined = True
        if not self._prepared:
            self._prepared = True
            self.post(on.Attached())
            self._siblings = asyncio.get_running_loop().call_later(SIBLINGS_S, self._look_for_siblings)
        if self._beat is None:
            self._beat = asyncio.get_running_loop().call_later(self.beat_s, self._heartbeat)

    async def stop(self) -> None:
        """End all workers and programs, and leave nothing behind. Returns when it is done."""
        self._over = True  # what still comes from threads and workers finds no core
        for timer in (self._tick, self._beat, self._retrying):
            if timer is not None:
                timer.cancel()
        self._tick = self._beat = None
        self.link, self.tell = None, nobody
        if self._siblings is not None:  # a short session
            self._siblings.cancel()
            self._look_for_siblings()
        try:
            if self._hands is not None:
                await self._hands.stop()
        finally:
            if self.custody is not None:
                leave_custody(self, self.custody)
            self._lock.release()
            if self.stopped is not None and not self.stopped.done():
                self.stopped.set_result(None)

    def _look_for_siblings(self) -> None:
        """Not in the way of the first jobs."""
        self._siblings = None
        asyncio.get_running_loop().run_in_executor(None, remove_dead_siblings, self.options.directory)

    @property
    def hands(self) -> Hands:
        """What it acts with; only once started."""
        if self._hands is None:
            raise RuntimeError("the agent has not been started")
        return self._hands

    @property
    def pids(self) -> dict[str, int]:
        """Our processes but the workers."""
        return {"agent": os.getpid(), **self.hands.nursery.pids()}

    # --- the scheduler (Receiver) ---

    def link_up(self, link: Link) -> None:
        """Hellos were exchanged."""
        self.attach(link)

    def received(self, link: Link, batch: Batch) -> None:
        """Messages of the scheduler."""
        for message, body in batch:
            self.inbox.take(link, message, body)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """A private scheduler is gone, and with it all who could want a result."""
        if link is self.link:
            self.link = None
            spawn_task(self.stop(), "stop the agent")

    # --- the core ---

    def post(self, event: on.Event) -> None:
        """Give an event to the core and do what it says; in line, if one is being handled."""
        if self.failed or self._over:
            return
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for command in self.core.handle(self._events.popleft(), time.monotonic_ns()):
                    self._obey(command)
        except Exception as error:  # noqa: BLE001  # a fault of ours: what the core says from now on may be wrong
            self.fail(error, "the agent's core failed")
        finally:
            self._handling = False
        if self.failed:
            return
        if self.custody is not None:
            self._loosen(self.custody)
        if self._tick is None and self.core.in_flight:
            self._schedule_tick()
        elif self.core.looking:
            self._look_soon()

    def _loosen(self, custody: Custody) -> None:
        """What is kept may go elsewhere; what could not be kept is tried again."""
        if custody.bonds:
            custody.loosen(self.core.files.wait)
        if custody.waits and self._retrying is None:
            self._retrying = asyncio.get_running_loop().call_later(KEEP_AGAIN_S, self._keep_again, custody)

    def _keep_again(self, custody: Custody) -> None:
        self._retrying = None
        if not self._over:
            custody.retry()
            self._loosen(custody)

    def _obey(self, command: Command) -> None:
        try:
            self.hands.obey(command)
        except Exception as error:  # noqa: BLE001  # a fault of ours: told, but what else was decided must be done
            what = f"{render(command)[:2000]} could not be done"
            event = consequence(command, error)
            if event is None and type(command) not in UNIMPORTANT:
                self.fail(error, what)
                return
            _report(error, what)
            if event is not None:
                self._events.append(event)

    def fail(self, error: BaseException, what: str) -> None:
        """A fault that no attempt can be blamed for: rather no node than one that forgets what it was given."""
        if self.failed:
            return
        self.failed = True
        self._events.clear()
        _report(error, f"{what}: this node ends")
        link, self.link = self.link, None
        if link is not None:
            link.abort()
        spawn_task(self.stop(), "stop the agent")  # then `stopped` tells our host

    def set_unwilling(self, why: str) -> None:
        """From now on nothing new starts, and what has not started goes back; "": it may again."""
        if why != self.unwilling:
            self.unwilling = why
            self._tell_truth()

    def _no_policy(self, message: SetPolicy) -> None:
        hint = "`lightwork node` makes one that can be told so"
        self.notice("warning", "this node has no hours of its own: it lives as long as its cluster", hint)

    def notice(self, level: str, text: str, hint: str = "") -> None:
        """Something the users of this node should read."""
        self.tell(NodeNotice(level, text, hint), b"")

    # --- the clock ---

    def _schedule_tick(self) -> None:
        delay = LOOK_S if self.core.looking else AGENT_TICK_S
        self._tick = asyncio.get_running_loop().call_later(delay, self._ticked)

    def _look_soon(self) -> None:
        if self._tick is not None and self._tick.when() > asyncio.get_running_loop().time() + 2 * LOOK_S:
            self._tick.cancel()
            self._schedule_tick()

    def _ticked(self) -> None:
        self._tick = None
        try:
            self.hands.poll_busy()
            words = self.hands.words()
        except Exception as error:  # noqa: BLE001  # a fault of ours: without ticks nothing is ever ended
            self.fail(error, "the agent cannot look at its workers")
            return
        self.post(on.Ticked(words))
        if self._tick is None and self.core.in_flight:
            self._schedule_tick()

    def _heartbeat(self) -> None:
        self._beat = asyncio.get_running_loop().call_later(self.beat_s, self._heartbeat)
        self._tell_truth()

    def _tell_truth(self) -> None:
        self._beats += 1
        first = self._joined and self.link is not None
        self._joined = self._joined and not first
        words, load = self.hands.words(), self._meter.read()
        self.post(on.BeatDue(self._beats, words, load, self.pids, first, self.unwilling))

    async def _find_gpus(self) -> None:
        """For the next scheduler: nothing waits for this."""
        self.hardware = structs.replace(self.hardware, gpus=await ask_gpus())


def _report(error: BaseException, what: str) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": what, "exception": error})
