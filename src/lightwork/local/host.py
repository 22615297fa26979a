"""What the child process does: it hosts the scheduler, the agent, or both, until the session is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightwork.config import ports, timers
from lightwork.config.paths import node_directory, user_name
from lightwork.config.timers import HEARTBEAT_S, START_S
from lightwork.kit.clock import monotonic_ns
from lightwork.kit.loop import on_terminate, run_loop
from lightwork.kit.tasks import spawn
from lightwork.kit.version import __version__
from lightwork.local.agent_process import AgentProcess
from lightwork.local.answer import answer
from lightwork.local.options import Options, read
from lightwork.node.service.agent import Agent, AgentOptions
from lightwork.node.service.keeper_spawn import NO_ARENAS, Arenas, KeeperProcess
from lightwork.scheduler.service.service import Scheduler, Tell
from lightwork.store.arena import Arena
from lightwork.transport.address import (
    ALL,
    join_host_port,
    local_address,
    network_address,
    split,
    split_host_port,
)
from lightwork.transport.endpoint import connect, listen
from lightwork.transport.link import Receiver
from lightwork.transport.memory import memory_pair
from lightwork.wire.messages import PROTOCOL, Hello, Refused
from lightwork.wire.outcome import ARENA_REFERENCE

if TYPE_CHECKING:
    from lightwork.scheduler.service.dialler import Dialler
    from lightwork.transport.tls import Encryption

LASTING = "dest"  # the same for all embedded nodes of this user, and no session's name


log = logging.getLogger(__name__)


def run(given: dict[str, Any], keeper: KeeperProcess | None, *, is_agent: bool) -> None:
    """To the end. `keeper` was started already."""
    options = read(given)
    level = logging.DEBUG if os.environ.get("LIGHTWORK_DEBUG") else logging.WARNING
    logging.basicConfig(level=level, format="%(relativeCreated)d %(name)s %(levelname)s %(message)s")
    work = _agent_alone(options, keeper) if is_agent else _scheduler(options, keeper)
    run_loop(work, uvloop=options.uvloop)


def _hello(role: str, options: Options) -> Hello:
    beat_s = options.pulse_s or timers.HEARTBEAT_S
    return Hello(
        PROTOCOL,
        role,
        options.name,
        options.session,
        software=f"lightwork {__version__}",
        pid=os.getpid(),
        host=platform.node(),
        user=user_name() if role == "scheduler" and options.credential is not None else "",
        lease_ms=int(timers.lease_s(options.pulse_s) * 1000),
        beat_ms=int(beat_s * 1000),
    )


# --- an agent, here or in a process of its own ---


def _make_agent(options: Options, keeper: KeeperProcess | None) -> Agent:
    arenas, results = NO_ARENAS, None
    if options.arena_results is not None and options.arena_args is not None:
        arenas = Arenas(_place(options.arena_args), _place(options.arena_results))
        results = _open_arena(options.arena_results)
    agent_options = AgentOptions(
        name=platform.node(),
        slots=options.slots or os.cpu_count() or 1,
        directory=node_directory(options.session),
        lasting=node_directory(LASTING),
        address="127.0.0.1",
        arenas=arenas,
        results=results,
        shares_memory=True,
        portable=options.portable,
        sole=True,
    )
    return Agent(agent_options, keeper)


def _place(given: int | str) -> str:
    return f"fd:{given}" if isinstance(given, int) else given


async def _agent_alone(options: Options, keeper: KeeperProcess | None) -> None:
    """Joins the scheduler of our parent, and ends with it."""
    agent = _make_agent(options, keeper)
    await agent.start()
    assert agent.stopped is not None
    stopped = agent.stopped
    on_terminate(lambda: spawn(agent.stop(), "stop the agent"))
    with contextlib.suppress(KeyboardInterrupt):
        await connect(options.address, agent, _hello("node", options))
        await stopped


# --- the scheduler ---


class _Ends:
    """The reasons for this process to end: the session is over, it never began, TERM, or a fault of ours."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self.began = False
        self.failed = False

    def session_over(self, session: str) -> None:
        """Its client is gone, and all nodes have forgotten it."""
        self._ended.set()

    def fault(self, what: str = "") -> None:
        """We cannot go on: the client must see the end of us, and the log, instead of waiting."""
        if self._ended.is_set():  # on our way out everything stops, and that is no fault
            return
        if what:
            log.error(what)
        self.failed = True
        self._ended.set()

    async def wait(self, each_second: Callable[[], None]) -> None:
        """Until there is a reason; `each_second` is called meanwhile."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_S
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), HEARTBEAT_S)
            each_second()
            if not self.began and loop.time() > deadline:
                log.error("no client came within %s s", START_S)
                return


async def _scheduler(options: Options, keeper: KeeperProcess | None) -> None:
    ends = _Ends()
    agents: list[AgentProcess] = []

    def kill_agents(node: str) -> None:
        for process in agents if node == platform.node() else []:
            process.kill()

    scheduler = _WatchedScheduler(ends, kill_agents, options)
    scheduler.pids["host"] = os.getpid()
    address = local_address(options.directory, "scheduler")
    listeners = [await listen(address, scheduler, _hello("scheduler", options))]
    if options.listen:
        where = network_address(options.listen, ports.SCHEDULER, listening=True)
        listeners.append(
            await listen(where, scheduler, _hello("scheduler", options), _nodes_only, encryption=_encryption(options))
        )
        scheduler.listens_at(_to_write(listeners[-1].address))
    answer(address)
    on_terminate(lambda: ends.session_over(options.session))
    agent = None
    if options.apart and options.local:
        agents.append(AgentProcess(options, address))
        agents[0].start()
    elif options.local:
        agent = _make_agent(options, keeper)
        await agent.start()
        assert agent.stopped is not None
        agent.stopped.add_done_callback(lambda stopped: ends.fault("the node agent has stopped by itself"))
        memory_pair((agent, _hello("node", options)), (scheduler, _hello("scheduler", options)))
    try:
        await ends.wait(scheduler.time_passed)
    finally:
        for listener in listeners:
            listener.close()
        await scheduler.leave()
        if agent is not None:
            await agent.stop()
        for process in agents:
            await process.stop()
        shutil.rmtree(node_directory(options.session), ignore_errors=True)
    if ends.failed:
        sys.exit(1)


class _WatchedScheduler(Scheduler):
    """Notes that the client has come."""

    def __init__(self, ends: _Ends, on_node_gone: Callable[[str], None], options: Options) -> None:
        super().__init__(
            on_session_over=ends.session_over,
            on_node_gone=on_node_gone,
            on_fault=ends.fault,
            clock=monotonic_ns,
            make_dialler=_dialling(options),
            arguments=_arguments(options),
            ask_s=options.ask_s,
            beat_s=options.pulse_s,
        )
        self._ends = ends

    def link_up(self, link: Any) -> None:
        """Somebody is there."""
        self._ends.began = True
        super().link_up(link)


def _nodes_only(hello: Hello) -> Refused | None:
    """The network is for nodes that join: our client is on this machine."""
    if hello.role in ("node", "relay"):
        return None
    return Refused("role", "this is the scheduler of one program: nodes may join here, nobody else")


def _encryption(options: Options) -> Encryption | None:
    """Made when a network comes into play: its certificates cost time."""
    if options.credential is None:
        return None
    from lightwork.transport.tls import Encryption

    return Encryption(options.credential)


def _to_write(address: str) -> str:
    """Where we listen, as it is written on other machines."""
    from lightwork.transport.interfaces import address_to_tell  # only then

    host, port = split_host_port(split(address)[1])
    return join_host_port(address_to_tell() if host in (ALL, "0.0.0.0", "::") else host, port)


def _dialling(options: Options) -> Callable[[Receiver, Tell], Dialler]:
    def make(receiver: Receiver, tell: Tell) -> Dialler:
        from lightwork.scheduler.service.dialler import Dialler

        return Dialler(receiver, tell, _hello("scheduler", options), _encryption(options))

    return make


def _arguments(options: Options) -> Reader | None:
    return None if options.arena_args is None else Reader(options.arena_args)


class Reader:
    """The arena that the client writes arguments into: those for other machines are read from there."""

    def __init__(self, place: int | str) -> None:
        self._place = place
        self._arena: Arena | None = None  # mapped when it is needed

    def view(self, reference: bytes) -> memoryview:
        """The bytes that an arena reference means."""
        if self._arena is None:
            self._arena = _open_arena(self._place)
        return self._arena.view(*ARENA_REFERENCE.unpack(reference))


def _open_arena(place: int | str) -> Arena:
    return Arena(place) if isinstance(place, int) else Arena.open(place)
