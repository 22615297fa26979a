"""This machine's node beside a private durable scheduler: a process of its own, which outlives that one.

scheduler, life 1 --starts--> node (STATE/node.json, STATE/node.log)
                  killed        | jobs run on; it joins again and again
scheduler, life 2 --finds it by node.json, watches it; dead: starts another one within a second
session over: goodbye, TERM --> it ends; if not within END_S, it is killed
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from lightwork.config import paths, places
from lightwork.config.places import Place
from lightwork.kit.loop import run_loop
from lightwork.kit.process import start_of
from lightwork.kit.tasks import spawn, stop
from lightwork.local.options import Options, read
from lightwork.model.errors import LightworkError
from lightwork.node.service.station_private import PrivateOptions, run_private
from lightwork.store.journal_lock import Held, LockFile

log = logging.getLogger(__name__)

PLACE, LOG, LOCK = "node.json", "node.log", "node.lock"
LOOK_S = 0.2  # between two looks at a node that another life has started
PAUSE_S = 0.8  # before a start, if the last life was shorter
END_S = 5.0
FAILED = 1


class LocalNode:
    """Keeps one alive; that of an earlier life, if it is there."""

    def __init__(self, options: Options, address: str, state: Path) -> None:
        self._options = replace(options, address=address, credential=None)
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None  # that we have started ourselves

    def start(self) -> None:
        """From now on."""
        self._task = spawn(self._keep(), "keep the node alive")

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await _until(lambda: self._place() is None)  # one that an earlier life of ours has started
            began = loop.time()
            try:
                log.warning("the node ended with code %s and is started again", await self._live())
            except OSError as error:  # no processes, no descriptors: better luck next time
                log.error("the node cannot be started: %s", error)
            await asyncio.sleep(max(0.0, PAUSE_S - (loop.time() - began)))

    def _place(self) -> Place | None:
        """Where the living one is."""
        place = places.read(self._state / PLACE)
        return place if place is not None and place.lives else None

    async def _live(self) -> int:
        """One life, to its end; not a child of the loop, which would kill it with itself."""
        process = self._process = self._start()
        await _until(lambda: process.poll() is not None)
        return process.returncode

    def _start(self) -> subprocess.Popen[bytes]:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        with open(os.open(self._state / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lightwork.local", "node"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=sys.platform != "win32",
                creationflags=flags,
            )
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(msgspec.json.encode(self._options) + b"\n")
        return process

    async def leave(self) -> None:
        """Watch it no more; it goes on."""
        if self._task is not None:
            await stop(self._task)

    async def end(self) -> None:
        """Nobody wants it any more. If it was there it was told goodbye; it may have been just about to come (back)."""
        await self.leave()
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(_until(self._gone), END_S)
        except TimeoutError:
            log.error("the node did not end within %s s and is killed", END_S)
            self._signal(_AT_ONCE)
        name = directory_name(self._state)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: shutil.rmtree(paths.node_directory(name), ignore_errors=True))

    def _gone(self) -> bool:
        return self._place() is None and (self._process is None or self._process.poll() is not None)

    def _signal(self, number: signal.Signals) -> None:
        place = self._place()
        if self._process is not None:
            self._process.send_signal(number)
        if place is not None and (self._process is None or place.pid != self._process.pid):
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(place.pid, number)


if sys.platform == "win32":
    _AT_ONCE = signal.SIGTERM
else:
    _AT_ONCE = signal.SIGKILL


async def _until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(LOOK_S)


def directory_name(state: Path) -> str:
    """Of the node's own directory: the same in all its lives."""
    from lightwork.scheduler.service.program_doors import hash_of

    return f"r-{hash_of(state)}"


# --- the process itself ---


def run(given: dict[str, Any]) -> None:
    """To the end, unless there is such a node already."""
    options = read(given)
    logging.basicConfig(
        level=logging.DEBUG if os.environ.get("LIGHTWORK_DEBUG") else logging.WARNING,
        format="%(relativeCreated)d %(name)s %(levelname)s %(message)s",
    )
    state = Path(options.state)
    lock = LockFile(str(state / LOCK))
    try:
        lock.take(f"process {os.getpid()}")
    except (Held, FileNotFoundError):  # or all was over before we were up
        return
    place = Place(name="node", address=options.address, pid=os.getpid(), start=start_of(os.getpid()))
    try:
        places.write(place, state / PLACE)
    except OSError as error:  # the disk is full: our parent knows us without it, and the lock keeps others off
        log.warning("cannot write %s: %s", state / PLACE, error)
    private = PrivateOptions(
        name=paths.node_name(),
        directory=directory_name(state),
        join=options.address,
        slots=options.slots or os.cpu_count() or 1,
        portable=options.portable,
    )
    try:
        sys.exit(run_loop(run_private(private), uvloop=options.uvloop))
    except LightworkError as error:
        log.error("%s", error)
        sys.exit(FAILED)
    finally:
        places.remove(place, state / PLACE)
