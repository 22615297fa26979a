"""The agent as a process of its own: started by the scheduler's process, and again whenever it dies."""

from __future__ import annotations

import asyncio
import logging
import sys

import msgspec
from msgspec.structs import replace

from lightwork.kit.tasks import spawn, stop
from lightwork.local.options import Options

log = logging.getLogger(__name__)

PAUSE_S = 1.0  # before a start, if the last life was shorter
END_S = 5.0


class AgentProcess:
    """Keeps one agent alive."""

    def __init__(self, options: Options, address: str) -> None:
        self._options = replace(options, address=address, credential=None)
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Now, and again after each death."""
        self._task = spawn(self._keep(), "keep the agent alive")

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                log.warning("the agent ended with code %s and is started again", await self._live())
            except OSError as error:  # no processes, no descriptors: better luck next time
                log.error("the agent cannot be started: %s", error)
            await asyncio.sleep(max(0.0, PAUSE_S - (loop.time() - began)))

    async def _live(self) -> int:
        descriptors = [
            arena for arena in (self._options.arena_args, self._options.arena_results) if isinstance(arena, int)
        ]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "lightwork.local",
            "agent",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=descriptors,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(self._options) + b"\n")
        self._process.stdin.close()
        return await self._process.wait()

    def kill(self) -> None:
        """It does not answer any more."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """Let it end, or make it."""
        if self._task is not None:
            await stop(self._task)
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
