"""One agent after the other in a node's directory, each with nothing of the one before.

begin --> arenas, agent, keeper ... end --> all processes dead, threads idle, files gone
|<------------------ a claim ----------------->|                 (the cache of blobs and `dest/` stay)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct, structs

from lightwork.config import paths
from lightwork.kit.owner_log import OwnerLog
from lightwork.node.service.agent import Agent, AgentOptions
from lightwork.node.service.gpus import names_of
from lightwork.node.service.hardware import ask_gpus, hardware
from lightwork.node.service.house_rules import USUAL, HouseRules
from lightwork.node.service.interpreter_search import InterpreterSearch
from lightwork.node.service.interpreters import Interpreters
from lightwork.node.service.own_arenas import OwnArenas
from lightwork.node.service.station_home import Home

THREADS_S = 60.0


class StationOptions(Struct, kw_only=True):
    """What a node program is told by its owner."""

    slots: int
    labels: dict[str, str] = {}
    pythons: tuple[str, ...] = ()
    nice: int = 0
    rules: HouseRules = USUAL
    portable: bool = False
    private: bool = False  # of one program on this machine: its own interpreter alone, and nobody else ever has it
    lasting: str = ""  # the node directory that relative `dest_path`s are in; "": this one's `dest`


class Agents:
    """Makes and ends them. What lasts longer (interpreters, threads) is kept here."""

    def __init__(self, options: StationOptions, home: Home, log: OwnerLog) -> None:
        self.current: Agent | None = None
        self._options = options
        self._home = home
        self._log = log
        self._arenas: OwnArenas | None = None
        self._interpreters: Interpreters | None = None
        self._search: InterpreterSearch | None = None
        self._threads = ThreadPoolExecutor(thread_name_prefix="node")
        self._gpus: tuple[str, ...] | None = None

    async def begin(self, on_failure: Callable[[Agent], None]) -> None:
        """Have an agent; `on_failure` hears if it ends by itself. StartFailed, OSError, UserError: it cannot be had."""
        asyncio.get_running_loop().set_default_executor(self._threads)
        interpreters = await self._find_interpreters()
        arenas = self._arenas = OwnArenas(self._home.directory, portable=self._options.portable)
        agent = Agent(await self._agent_options(arenas, interpreters))
        try:
            await agent.start()
        except BaseException:
            await agent.stop()
            arenas.close()
            raise
        assert agent.stopped is not None
        agent.stopped.add_done_callback(lambda stopped: on_failure(agent) if agent is self.current else None)
        self.current = agent

    async def _found(self, rules: HouseRules) -> HouseRules:
        """Their gpus, once for all agents: asking for them may take seconds."""
        if rules.gpus is not None:
            return rules
        if self._gpus is None:
            names = hardware().gpus or (await ask_gpus() if not self._options.private else ())
            self._gpus = names_of(len(names))
        return structs.replace(rules, gpus=self._gpus)

    async def _agent_options(self, arenas: OwnArenas, interpreters: Interpreters) -> AgentOptions:
        options, home = self._options, self._home
        return AgentOptions(
            name=home.name,
            slots=options.slots,
            directory=home.directory,
            lasting=paths.node_directory(options.lasting) if options.lasting else home.lasting,
            address="127.0.0.1" if options.private else "",
            arenas=arenas.places,
            arguments=arenas.arguments,
            results=arenas.results,
            portable=options.portable,
            sole=True,
            identity=home.identity,
            era=home.era,
            labels=options.labels,
            interpreters=interpreters,
            nice=options.nice,
            rules=await self._found(options.rules),
        )

    async def _find_interpreters(self) -> Interpreters:
        """Once, for all agents. UserError: one that our owner named does not work."""
        if self._interpreters is None:
            found = Interpreters()
            if self._options.private:
                self._interpreters = found
                return found
            search = self._search = InterpreterSearch(found, self._home.directory / "interpreters.json")
            for remark in await search.name(self._options.pythons):
                self._log.say(remark)
            await search.look_around()
            self._interpreters = found
        return self._interpreters

    async def end(self) -> None:
        """Nothing of it is left, neither processes nor files."""
        agent, self.current = self.current, None
        if agent is not None:
            await agent.stop()
            await self._wait_for_threads()
            await asyncio.get_running_loop().run_in_executor(None, agent.directories.clear)
            if agent.custody is not None:
                await agent.harvest()
        if self._arenas is not None:
            self._arenas.close()
            self._arenas = None

    async def close(self) -> None:
        """There will be no further one."""
        await self.end()
        if self._search is not None:
            await self._search.stop()

    async def _wait_for_threads(self) -> None:
        """What they still do for the last agent must not meet files of the next one."""
        loop, threads = asyncio.get_running_loop(), self._threads
        self._threads = ThreadPoolExecutor(thread_name_prefix="node")
        loop.set_default_executor(self._threads)
        try:
            await asyncio.wait_for(loop.run_in_executor(None, threads.shutdown), THREADS_S)
        except TimeoutError:
            self._log.say("a thread of this node hangs, on a slow file system perhaps")
