"""Processes without a keeper, without fork, without descriptors that travel: what every system can do.

    agent --spawns--> worker --connects back over loopback--> listener   (a key says which worker it is)
      ^---- stdout, stderr pipes, read freely; a marker after each attempt says whose output it was

What is lost: setup runs in each worker; and if the agent is killed, workers see the end of their channel and end what
they have started, but what a program had started, or a worker that died with the agent, is ended by the next agent.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal as signals
import subprocess
import sys
from collections.abc import Coroutine, Mapping
from typing import Any

from lightwork.kit.tasks import spawn as spawn_task
from lightwork.node.core.interpreters import OWN
from lightwork.node.service.keeper_spawn import (
    BELOW,
    Arenas,
    KeeperProcess,
    boot_path,
    environment_under,
    lent_to,
    mark,
)
from lightwork.node.service.loopback import LoopbackLine, WorkerListener
from lightwork.node.service.marked import MarkedOutput, PortableLink
from lightwork.node.service.nursery import Key, Parent, ProgramOrder
from lightwork.node.service.output import READ_SIZE, Collector
from lightwork.node.service.processes import be_nice, helpers, kill_group, reap, start_of, strays, sweep
from lightwork.node.service.program_link import ProgramLink

STARTING_S = 0.01
OUTPUT_WAIT_S = 1.0  # for the end of a dead process's pipes, which something it left may hold open
READ_LIMIT = 64 << 10

CLOSE_S = 2.0  # then whatever is left of a node that ends is killed


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Knows when the process is gone. (`Process.wait` may wait for the end of its pipes too, whoever holds them.)"""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        """It has been waited for."""
        self.exited.set()
        super().process_exited()


class Child(asyncio.subprocess.Process):
    """A worker or program of ours."""

    def __init__(
        self, transport: asyncio.SubprocessTransport, protocol: _Protocol, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(transport, protocol, loop)
        self._pipes = transport
        self.exited = protocol.exited

    def close(self) -> None:
        """Let go of its pipes."""
        self._pipes.close()


class Portable:
    """The nursery of systems that do not fork."""

    def __init__(self, parent: Parent, loop: asyncio.AbstractEventLoop, arenas: Arenas, sole: bool) -> None:
        self._parent = parent
        self._loop = loop
        self._arenas = arenas
        self._sole = sole  # this process has no other children: whatever is below it is ours
        self._listener = WorkerListener(loop)
        self._processes: dict[int, Child] = {}
        self._unborn: dict[int, int] = {}  # signals for those that are being started; 0: kill
        self._starting = 0  # how many processes are, and may not be in our table yet
        self._programs = 0  # that run: orphans of theirs come to us while they do
        self._lives: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, process: KeeperProcess | None = None) -> None:
        """There is no keeper; one that was started for nothing ends with its channel."""
        if process is not None:
            process.channel.close()

    async def listen(self) -> None:
        """Let workers connect."""
        await self._listener.start()

    def pids(self) -> dict[str, int]:
        """Nobody helps us."""
        return {}

    # --- orders ---

    def fork(self, number: int, template: Key | None, python: int = OWN) -> None:
        """Make a worker; what is sent to it waits until it has called back."""
        link = self._parent.new_portable_link(number)
        key = secrets.token_hex(16)
        line = LoopbackLine(link.on_readable)
        link.line = line
        self._listener.expect(key, line)
        path = self._parent.interpreters[python].path
        self._live(self._worker_life(link, key, path), f"worker {number}")

    def set_up(self, key: Key, slot: int, load: Mapping[str, bytes], python: int = OWN) -> None:
        """Each worker does so itself: the core does not ask."""

    def cleanup(self, key: Key, slot: int) -> bool:
        """There is no template."""
        return False

    def drop(self, key: Key) -> None:
        """There is no template."""

    def spawn(self, number: int, order: ProgramOrder) -> None:
        """Start a program."""
        link = self._parent.new_program_link(number)
        link.read_output(order.limit)
        self._live(self._program_life(link, order), f"program {number}")

    def kill(self, number: int) -> None:
        """End its whole tree."""
        process = self._processes.get(number)
        if process is not None:
            spawn_task(self._kill(process), "kill a tree")
        elif number in self._parent.links:
            self._unborn[number] = 0

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to the process; where there are none, it is ended."""
        process = self._processes.get(number)
        if process is None:
            if number in self._parent.links:
                self._unborn.setdefault(number, signal)  # a kill stays one
        elif process.returncode is None:
            if signal == signals.SIGTERM and isinstance(self._parent.links.get(number), PortableLink):
                self.kill(number)  # it would die of it at once, and leave its children
                return
            try:
                process.send_signal(_translated(signal))
            except ProcessLookupError:
                return  # it has just ended, and that is told

    async def stop(self) -> None:
        """End all."""
        self._stopping = True
        if self._parent.rules.init:
            await self._let_close()
        alive = [process for process in self._processes.values() if process.returncode is None]
        if alive:
            await sweep(self._parent.interpreters.own, [(process.pid, start_of(process.pid)) for process in alive])
        if self._lives:
            await asyncio.wait(self._lives, timeout=5.0)
        if self._sole and sys.platform == "linux":
            await sweep(self._parent.interpreters.own, [], os.getpid())  # orphans came to us
        self._listener.close()

    async def _let_close(self) -> None:
        """Workers that have nothing to do run the close() of the owner's module."""
        for link in list(self._parent.links.values()):
            link.quit()
        if self._lives:
            await asyncio.wait(self._lives, timeout=CLOSE_S)

    # --- lives ---

    def _live(self, life: Coroutine[Any, Any, None], name: str) -> None:
        task = spawn_task(life, name, self._parent.fault)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def _worker_life(self, link: PortableLink, key: str, python: str) -> None:
        host, port = self._listener.address
        argv = [python, boot_path(), "worker", "--connect", host, str(port)]
        argv += ["--shared", str(link.ring.path), *self._arenas.options(), *lent_to(python)]
        argv += ["--init", self._parent.rules.init] if self._parent.rules.init else []
        environment = {**environment_under(python), "LIGHTWORK_WORKER_KEY": key}
        try:
            process = await self._start(argv, environment, None, subprocess.DEVNULL)
        except OSError as error:
            self._not_started(link.number, error)
            return
        out, err = link.marked
        readers = [spawn_task(_read(pipe, part), "read output") for pipe, part in _pipes(process, out, err)]
        await self._held(link.number, process, readers)
        self._listener.forget(key)
        await link.heard_out()
        self._parent.links.pop(link.number, None)
        link.died(_code(process), 0, self._stopping)
        await self._end_strays()

    async def _program_life(self, link: ProgramLink, order: ProgramOrder) -> None:
        argv = [os.fsdecode(part) for part in order.argv]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTWORK_")}
        environment.update(order.env)
        environment[BELOW] = mark()
        stdin = subprocess.PIPE if order.stdin else subprocess.DEVNULL
        try:
            process = await self._start(argv, environment, str(order.directory), stdin)
        except OSError as error:
            self._not_started(link.number, error)
            return
        link.ring.start(order.token)
        assert link.output is not None
        parts = _pipes(process, link.output.stdout, link.output.stderr)
        readers = [spawn_task(_read(pipe, part), "read output") for pipe, part in parts]
        if process.stdin is not None:
            readers.append(spawn_task(_write(process.stdin, order.stdin), "write input"))
        self._programs += 1
        await self._held(link.number, process, readers)
        self._programs -= 1
        self._parent.links.pop(link.number, None)
        link.died(_code(process), 0)
        await self._end_strays()

    async def _end_strays(self) -> None:
        """What jobs had started in sessions of their own came to us when their process died."""
        while self._starting or helpers.starting:  # noqa: ASYNC110  # a moment
            await asyncio.sleep(STARTING_S)
        if not self._sole or self._programs:
            return
        found = [pid for pid in strays({process.pid for process in self._processes.values()}) if not reap(pid)]
        if found:
            await sweep(self._parent.interpreters.own, [(pid, start_of(pid)) for pid in found])
            for pid in found:
                reap(pid)

    async def _start(self, argv: list[str], environment: dict[str, str], directory: str | None, stdin: int) -> Child:
        descriptors = self._arenas.descriptors()
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        more: dict[str, Any] = {"creationflags": 0x200} if sys.platform == "win32" else {"start_new_session": True}
        self._starting += 1
        try:
            transport, protocol = await self._loop.subprocess_exec(
                lambda: _Protocol(READ_LIMIT, self._loop),
                *argv,
                env=environment,
                cwd=directory,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=descriptors,
                **more,
            )
        finally:
            self._starting -= 1
        be_nice(transport.get_pid() or 0, self._parent.nice)
        return Child(transport, protocol, self._loop)

    async def _held(self, number: int, process: Child, readers: list[asyncio.Task[None]]) -> None:
        """From birth to the last of its output."""
        self._processes[number] = process
        link = self._parent.links.get(number)
        if link is not None:
            link.pid = process.pid
        self._parent.born(number, process.pid)
        early = self._unborn.pop(number, None)
        if early is not None or self._stopping:
            await self._kill(process)
        await process.exited.wait()
        kill_group(process.pid)
        _, open_still = await asyncio.wait(readers, timeout=OUTPUT_WAIT_S)
        for reader in open_still:
            reader.cancel()
        process.close()
        del self._processes[number]

    async def _kill(self, process: Child) -> None:
        if process.returncode is None:
            await sweep(self._parent.interpreters.own, [(process.pid, start_of(process.pid))])

    def _not_started(self, number: int, error: OSError) -> None:
        self._unborn.pop(number, None)
        link = self._parent.links.pop(number, None)
        if link is not None:
            link.not_started(error.errno or 0, str(error))


def _pipes(
    process: Child, stdout: Collector | MarkedOutput, stderr: Collector | MarkedOutput
) -> list[tuple[asyncio.StreamReader, Collector | MarkedOutput]]:
    assert process.stdout is not None
    assert process.stderr is not None
    return [(process.stdout, stdout), (process.stderr, stderr)]


async def _read(pipe: asyncio.StreamReader, part: Collector | MarkedOutput) -> None:
    while data := await pipe.read(READ_SIZE):
        part.add(data)


async def _write(pipe: asyncio.StreamWriter, data: bytes) -> None:
    try:
        pipe.write(data)
        await pipe.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it does not want the rest
    finally:
        pipe.close()


def _code(process: Child) -> int:
    return process.returncode if process.returncode is not None else -9


def _translated(signal: int) -> int:
    """Windows knows one interrupt for a process group, and no TERM that could be caught."""
    if sys.platform == "win32" and signal == signals.SIGINT:
        return int(signals.CTRL_BREAK_EVENT)
    return signal
