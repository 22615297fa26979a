"""All workers and programs of this node as links, and what is heard from them and from those who make them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from lightwork.node.core import events as on
from lightwork.node.service.bonds import Bonds
from lightwork.node.service.directories import Directories
from lightwork.node.service.house_rules import USUAL
from lightwork.node.service.interpreters import Interpreters
from lightwork.node.service.marked import PortableLink
from lightwork.node.service.nursery import Key
from lightwork.node.service.processes import start_of
from lightwork.node.service.program_link import ProgramLink
from lightwork.node.service.regions import Allocator, Regions
from lightwork.node.service.ring import Ring
from lightwork.node.service.spool import Spool
from lightwork.node.service.worker_link import WorkerLink
from lightwork.wire.channel import CLEANED, LOADED, NODE_LOG, READY, Frame
from lightwork.wire.messages import File
from lightwork.wire.outcome import decode_fields

Post = Callable[[on.Event], None]
Cleaned = Callable[[Key, int, dict[str, bytes]], None]
QUIET = frozenset((READY, LOADED))
HELPERS_FROM = 1 << 32  # workers that the core does not know


class Crew:
    """The parent that nurseries and links report to (nursery.Parent)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        directories: Directories,
        spool: Spool,
        interpreters: Interpreters,
    ) -> None:
        self.interpreters = interpreters
        self.links: dict[int, WorkerLink] = {}
        self.nice = 0
        self.rules = USUAL
        self.results: Allocator | None = None
        self.bonds: Bonds | None = None  # in the claim of a durable scheduler
        self.on_trouble: Callable[[str], None] = lambda text: None
        self.on_fault: Callable[[BaseException, str], None] = lambda error, what: None
        self.on_distrust: Callable[[int], None] = lambda number: None
        self.on_cleaned: Cleaned = lambda key, slot, failure: None
        self._loop = loop
        self._post = post
        self._directories = directories
        self._spool = spool
        self._problems: list[str] = []
        self._reading: dict[int, deque[tuple[str, asyncio.Future[tuple[str, File]]]]] = {}  # sent files, by attempt
        self._helpers: dict[int, tuple[Key, int]] = {}
        self._numbers = HELPERS_FROM

    # --- links ---

    def new_link(self, number: int) -> WorkerLink:
        """A worker's link."""
        link = self.links[number] = WorkerLink(number, self, self._loop, self._ring(number), Regions(self.results))
        return link

    def new_portable_link(self, number: int) -> PortableLink:
        """The link of a worker that is spawned."""
        link = self.links[number] = PortableLink(number, self, self._loop, self._ring(number), Regions(self.results))
        return link

    def new_program_link(self, number: int) -> ProgramLink:
        """A program's link."""
        link = self.links[number] = ProgramLink(number, self, self._loop, self._ring(number), Regions(None))
        return link

    def drop(self, number: int) -> None:
        """It never came to life."""
        link = self.links.pop(number, None)
        if link is not None:
            link.discard()

    def helper(self, key: Key, slot: int) -> int:
        """The number of a worker of our own, for a cleanup."""
        self._numbers += 1
        self._helpers[self._numbers] = (key, slot)
        return self._numbers

    def _ring(self, number: int) -> Ring:
        user = self.rules.user
        ring = Ring(self._directories.ring(number), lasting=self.bonds is not None, theirs=user is not None)
        if user is not None:
            user.give(ring.path)  # in a directory that is ours
        return ring

    # --- heard from links ---

    def post(self, event: on.Event) -> None:
        """An event for the core; of helpers it knows nothing."""
        if isinstance(event, on.WorkerDied):
            self._directories.notes.dead(event.worker)
        if self._helpers and getattr(event, "worker", 0) in self._helpers:
            self._of_helper(event)
        else:
            self._post(event)

    def hold(self, ring: Ring, tokens: list[int], release: Callable[[], None]) -> None:
        """Something of a ring must stay until these ends are kept."""
        if self.bonds is not None:
            self.bonds.hold(ring, tokens, release)

    def file_sent(self, fields: dict[str, bytes]) -> None:
        """A running attempt sends a file; it is read on a thread, for the digest."""
        token = int(fields["token"])
        path, spooled = os.fsdecode(fields["path"]), Path(os.fsdecode(fields["spooled"]))
        self._post(on.FileSending(token))
        reading = self._loop.run_in_executor(None, self._spool.sent, token, path, spooled)
        self._reading.setdefault(token, deque()).append((path, reading))
        reading.add_done_callback(lambda done: self._files_read(token))

    def _files_read(self, token: int) -> None:
        """They are told in the order in which they were sent: the last one of a path is the one that stays."""
        line = self._reading.get(token)
        while line and line[0][1].done():
            self._file_read(token, *line.popleft())
        if not line:
            self._reading.pop(token, None)

    def _file_read(self, token: int, path: str, done: asyncio.Future[tuple[str, File]]) -> None:
        error = done.exception()
        if error is not None:
            self.log(f"the file {path} of attempt {token} could not be read: {error}")
            self._post(on.FileSent(token))
        else:
            name, file = done.result()
            self._post(on.FileSent(token, name, file))

    def heard(self, worker: int, frame: Frame) -> None:
        """What concerns neither attempts nor output."""
        if frame.kind == NODE_LOG:
            (self.trouble if frame.count else self.log)(f"worker {worker}: {frame.body.decode(errors='replace')}")
        elif frame.kind == CLEANED and worker in self._helpers:
            self.on_cleaned(*self._helpers[worker], decode_fields(frame.body))
        elif frame.kind == CLEANED:
            self._problem(worker, decode_fields(frame.body))
        elif frame.kind not in QUIET:
            self.log(f"worker {worker} sent a frame of kind {frame.kind}, which is unknown here")

    def not_started(self, worker: int, errno: int, message: str) -> None:
        """A process could not be started."""
        failure = {"type": b"OSError", "message": message.encode(errors="replace"), "errno": b"%d" % errno}
        self.post(on.SpawnFailed(worker, failure))

    def _problem(self, worker: int, failure: dict[str, bytes]) -> None:
        if failure.get("type"):
            text = failure["type"] + b": " + failure.get("message", b"")
            self._problems.append(f"cleanup in worker {worker} failed: {text.decode(errors='replace')}")

    def take_problems(self) -> list[str]:
        """What went wrong with cleanups in workers since the last call."""
        problems, self._problems = self._problems, []
        return problems

    def _of_helper(self, event: on.Event) -> None:
        if isinstance(event, on.WorkerDied):
            key, slot = self._helpers.pop(event.worker)
            self.on_cleaned(key, slot, {"type": b"WorkerDied", "message": b"the process died"})
        elif isinstance(event, on.LoadFailed):
            self.on_cleaned(*self._helpers[event.worker], event.failure)

    # --- heard from nurseries ---

    def born(self, number: int, pid: int) -> None:
        """A worker or program has a process. It is noted, so that our successor can end it."""
        self._directories.notes.born(number, pid, start_of(pid))
        self.post(on.WorkerBorn(number, pid))

    def set_up(self, key: Key) -> None:
        """Setup ran."""
        self._post(on.SetupDone(*key))

    def not_set_up(self, key: Key, failure: dict[str, bytes]) -> None:
        """Setup raised, or its process died."""
        self._post(on.SetupFailed(*key, failure))

    def template_died(self, key: Key) -> None:
        """A template is gone."""
        self._post(on.TemplateDied(*key))

    def keeper_died(self, python: int) -> None:
        """A keeper is gone, with all templates and workers of an interpreter."""
        self._post(on.KeeperDied(python))

    def cleaned(self, key: Key, slot: int, problem: dict[str, bytes]) -> None:
        """A cleanup ran in a template."""
        self.on_cleaned(key, slot, problem)

    def distrust(self, worker: int, error: Exception) -> None:
        """Its memory is no longer its own; its death follows."""
        self.log(f"worker {worker} is ended, for what it says makes no sense: {type(error).__name__}: {error}")
        self.on_distrust(worker)

    def fault(self, error: BaseException, what: str) -> None:
        """Something of ours failed, and nobody knows whose attempts depend on it."""
        self.on_fault(error, what)

    def trouble(self, text: str) -> None:
        """Something that users of this node should know, for their jobs wait."""
        self.log(text)
        self.on_trouble(text)

    def log(self, text: str) -> None:
        """The node's own log is its standard error."""
        sys.stderr.write(f"lightwork node: {text}\n")
        sys.stderr.flush()
