"""The private scheduler of `JobCluster(recover="name")`: it outlives its client, and its state outlives it.

client --stdin: Options--> this process --stdout: one line, the address--> detached
    state free         take it, serve that one session; when that is over: state emptied, exit 0
    state in use       by another one of the same session: answer with its address, exit 0

Its node is a process of its own (node_process.py), found again by the next life. Both talk to their logs:
STATE/scheduler.log, STATE/node.log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from lightwork.config import paths, places
from lightwork.config.timers import START_S
from lightwork.kit.loop import run_loop
from lightwork.local.answer import answer
from lightwork.local.node_process import LocalNode
from lightwork.local.options import Options, read
from lightwork.model.errors import LightworkError, StartFailed, UserError
from lightwork.scheduler.service.program import PLACE, SchedulerProgram
from lightwork.scheduler.service.program_options import ProgramOptions
from lightwork.store.state_directory import InUse

LOG = "scheduler.log"
LOOK_S = 0.05
FAILED = 1


def run(given: dict[str, Any]) -> None:
    """To the end."""
    options = read(given)
    level = logging.DEBUG if os.environ.get("LIGHTWORK_DEBUG") else logging.WARNING
    logging.basicConfig(level=level, format="%(relativeCreated)d %(name)s %(levelname)s %(message)s")
    try:
        sys.exit(_run(options))
    except LightworkError as error:
        print(f"{error}", file=sys.stderr, flush=True)  # noqa: T201  # the log, which our client shows
        sys.exit(FAILED)


def _run(options: Options) -> int:
    if not options.state or not options.recover:
        raise UserError("a durable scheduler needs a state directory and the name of its session")
    state = Path(options.state)
    deadline = time.monotonic() + START_S
    vanished = False  # one that ended took the directory with it as we came
    while True:
        place = places.read(state / PLACE)
        if place is not None and place.lives:
            answer(place.address)
            return 0
        try:
            return run_loop(_Private(options, state).run(), uvloop=options.uvloop)
        except InUse:  # one is coming up there, or ending
            if time.monotonic() > deadline:
                raise
        except StartFailed:
            if vanished or state.exists():
                raise
            vanished = True
        time.sleep(LOOK_S)


class _Report:
    """Its owner is a program: it reads one line, and shows the log if that does not come."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.address = ""

    def at_home(self, name: str) -> None:
        """From now on we have a log."""
        with contextlib.suppress(OSError):  # the disk is full: then our client's file is the log
            log = os.open(self._state / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 2)
            os.close(log)

    def announce(self, line: str) -> None:
        """Nobody reads it but in the log."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def hint(self, text: str) -> None:
        """As above."""

    def up(self) -> None:
        """The client may connect."""
        answer(self.address)


class _Private(SchedulerProgram):
    """With a node on this machine, if that is wanted."""

    def __init__(self, options: Options, state: Path) -> None:
        given = ProgramOptions(
            name=_name_of(options.recover),
            state=state,
            listen=options.listen,
            credential=options.credential,
            weak_secret=options.weak_secret,
            session=options.recover,
            pulse_s=options.pulse_s,
            ask_s=options.ask_s,
        )
        self._told = _Report(state)
        super().__init__(given, self._told)
        self._private = options
        self._node: LocalNode | None = None

    async def opened(self, address: str, state: Path) -> None:
        """Now a node can join."""
        self._told.address = address
        if self._private.local:
            self._node = LocalNode(self._private, address, state)
            self._node.start()

    async def closed(self, *, over: bool) -> None:
        """The node goes on, unless nobody wants it again."""
        if self._node is not None:
            await (self._node.end() if over else self._node.leave())


def _name_of(session: str) -> str:
    """What it is called among this user's schedulers."""
    name = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in session)
    return paths.further_name(name.lstrip("._-") or "private", 1)[:64]
