"""A durable scheduler as a program, from its first line to its end: `lightwork scheduler`, or a private one.

credential, addresses --> state directory (lock) --> journal --> ledger --> scheduler --> doors --> place file --> up
                                                                                                        |
TERM, Ctrl-C --> doors closed, journal flushed, links closed without a goodbye: nodes carry on          |
a private one, its session over --> goodbyes, its directory emptied                        <------------+
a fault of the journal, or of ours --> the end, with a sentence

The first fact of a life, its epoch, is on disk before a door opens: no two lives are taken for one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import platform
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lightwork.config import paths, places, ports, timers
from lightwork.config.hosts_file import read
from lightwork.config.places import Place
from lightwork.kit.clock import monotonic_ns
from lightwork.kit.loop import INTERRUPTS, on_terminate
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.process import start_of
from lightwork.kit.tasks import spawn, stop
from lightwork.kit.text import span
from lightwork.kit.version import __version__
from lightwork.model.errors import ClusterError, StartFailed
from lightwork.scheduler.service import program_credentials
from lightwork.scheduler.service.program_credentials import Ciphers
from lightwork.scheduler.service.program_doors import Doors, joining_hint, listening_line, local_place, public_place
from lightwork.scheduler.service.program_hosts import WatchedHosts
from lightwork.scheduler.service.program_nodes import ListedNodes, addresses_of
from lightwork.scheduler.service.program_options import ProgramOptions, Report
from lightwork.scheduler.service.program_state import DurableState
from lightwork.scheduler.service.program_watch import WatchedScheduler
from lightwork.scheduler.service.program_words import Words
from lightwork.scheduler.service.service import Tell
from lightwork.security.secret import VARIABLE
from lightwork.store.journal_lock import Held, LockFile
from lightwork.transport.address import TCP, split
from lightwork.transport.link import Receiver
from lightwork.wire.messages import PROTOCOL, Hello

if TYPE_CHECKING:
    from lightwork.scheduler.service.dialler import Dialler

OPENING = "to open it to other machines: `lightwork secret --save` here, then start `lightwork scheduler` again"
FAULT = "the scheduler has met a fault of its own; it is told above"
AGAIN = "what was acknowledged is on disk: start it again"
AT_ONCE = 1  # exit status
PLACE = "place.json"  # of a private one, in its state directory
LISTEN = "listen"  # where it listened last


class _Plan(NamedTuple):
    """What the owner wants, in addresses."""

    public: str  # "": no door for others
    free: bool  # the next free port will do
    nodes: list[str]
    ciphers: Ciphers


class SchedulerProgram:
    """One run."""

    def __init__(self, options: ProgramOptions, report: Report) -> None:
        self.options = options
        self.log = OwnerLog()
        self._report = report
        self._words = Words(self.log)
        self._asked = 0  # how often we were asked to end
        self._over = False  # the only session
        self._fault: ClusterError | None = None
        self._place: Place | None = None
        self._ending = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> int:
        """To the end; the exit status. LightworkError: it could not begin, or cannot go on."""
        on_terminate(self._stop_asked, INTERRUPTS)
        plan = await self._prepared()
        os.environ.pop(VARIABLE, None)  # nobody whom we start needs it
        name = self.options.name or paths.node_name()
        state = DurableState(self.options.state or _state_of(name), self._failed, self.log)
        lock: LockFile | None = None
        try:
            name, lock = _take_name(name)
            self._report.at_home(name)
            await state.read()
            await self._live(name, state, plan)
        finally:
            await self._close(state)
            if lock is not None:
                lock.release(remove=True)
        if self._fault is not None:
            raise self._fault
        return AT_ONCE if self._asked > 1 else 0

    # --- reasons to end ---

    def _stop_asked(self) -> None:
        self._asked += 1
        self._ending.set()
        if self._asked > 1:
            self._at_once.set()

    def _failed(self, text: str) -> None:
        """The journal, or we ourselves, cannot go on: nothing more is promised to anybody."""
        sentence, _, hint = text.partition("\nhint: ")
        if self._fault is None and not self._over:
            self._fault = ClusterError(sentence, hint=hint or AGAIN)
            self._ending.set()

    def _session_over(self, session: str) -> None:
        self._words.over(session)
        if session == self.options.session:
            self._over = True
            self._ending.set()

    # --- what is wanted ---

    async def _prepared(self) -> _Plan:
        options = self.options
        wanted = bool(options.listen) or not options.session
        public, free = (
            public_place(options.listen, credential=options.credential is not None) if wanted else ("", False)
        )
        nodes = addresses_of(options.nodes)
        far = [address for address in (public, *nodes) if address and split(address)[0] == TCP]
        program_credentials.check(options, far, public, self._report)
        if options.hosts is not None:
            read(options.hosts)  # before anything else is begun
        loop = asyncio.get_running_loop()
        ciphers = Ciphers()
        if far:
            ciphers = await loop.run_in_executor(None, program_credentials.made, options.credential, options.clients)
        return _Plan(public, free, nodes, ciphers)

    # --- life ---

    async def _live(self, name: str, state: DurableState, plan: _Plan) -> None:
        self._words.took_up(state.ledger, state.path)
        scheduler = self._make(name, state, plan)
        if not await self._unless_ended(state.begun()):
            return
        state.tidy()
        hello = self._hello(name, state)
        doors = Doors(scheduler, hello)
        file = self.options.hosts
        hosts = WatchedHosts(file, state.path, scheduler.hosting.change, self.log) if file is not None else None
        listed = ListedNodes(plan.nodes, scheduler, hello, plan.ciphers.dialling, self.log, scheduler.hosting)
        try:
            await self._open(scheduler, doors, plan, state.path)
            self._write_place(name, state.path, doors)
            self._tell(name, doors, plan)
            await self.opened(doors.address, state.path)
            if hosts is not None:
                hosts.first()
                hosts.start()
            listed.start()
            self._report.up()
            await self._serve(scheduler)
        finally:
            self._forget_place()
            doors.close()
            await listed.stop()
            if hosts is not None:
                await hosts.stop()
            await (scheduler.part() if self._over else scheduler.leave())
            await self.closed(over=self._over)

    async def _unless_ended(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it came to its end before we were to come to ours."""
        task, ending = spawn(work, "begin"), spawn(self._ending.wait(), "wait for a reason to end")
        try:
            await asyncio.wait((task, ending), return_when=asyncio.FIRST_COMPLETED)
            return task.done()
        finally:
            await stop(task, ending)

    async def opened(self, address: str, state: Path) -> None:
        """It can be reached now, and says so next. For a private one, which has more to do then."""

    async def closed(self, *, over: bool) -> None:
        """It can be reached no more; `over`: nobody will want it again."""

    async def _serve(self, scheduler: WatchedScheduler) -> None:
        """Until there is a reason to end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timers.START_S
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), timers.HEARTBEAT_S)
            scheduler.time_passed()
            if self.options.session and not scheduler.used and loop.time() > deadline:
                self.log.say(f"no client came within {span(timers.START_S)}")
                self._session_over(self.options.session)

    async def _close(self, state: DurableState) -> None:
        """All that was promised is on disk; a second signal does not wait for more."""
        work = spawn(state.close(discard=self._over), "close the journal")
        at_once = spawn(self._at_once.wait(), "wait for the second signal")
        try:
            await asyncio.wait((work, at_once), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stop(at_once)
            if work.done():
                work.result()
            await stop(work)

    # --- parts ---

    def _make(self, name: str, state: DurableState, plan: _Plan) -> WatchedScheduler:
        options = self.options

        def make_dialler(receiver: Receiver, tell: Tell) -> Dialler:
            from lightwork.scheduler.service.dialler import Dialler  # only then

            ciphers = plan.ciphers if plan.ciphers.dialling else program_credentials.made(options.credential, None)
            return Dialler(receiver, tell, self._hello(name, state), ciphers.dialling)

        scheduler = WatchedScheduler(
            self._words,
            options.session,
            ledger=state.ledger,
            journal=state.journal,
            blobs=state.blobs,
            clock=monotonic_ns,
            on_session_over=self._session_over,
            on_node_gone=self._words.gone,
            on_fault=lambda: self._failed(FAULT),
            make_dialler=make_dialler,
            ask_s=options.ask_s,
            beat_s=options.pulse_s,
            order=options.order,
            resources=options.resources,
        )
        scheduler.pids["host"] = os.getpid()
        state.serve(scheduler)
        if not options.session:
            scheduler.hosting.shares(cooperative=options.cooperative)
        return scheduler

    def _hello(self, name: str, state: DurableState) -> Hello:
        beat_s = self.options.pulse_s or timers.HEARTBEAT_S
        return Hello(
            PROTOCOL,
            "scheduler",
            name,
            state.ledger.identity,
            software=f"lightwork {__version__}",
            pid=os.getpid(),
            host=platform.node(),
            user=paths.user_name(),
            lease_ms=int(timers.lease_s(self.options.pulse_s) * 1000),
            beat_ms=int(beat_s * 1000),
            epoch=state.ledger.epoch,
        )

    async def _open(self, scheduler: WatchedScheduler, doors: Doors, plan: _Plan, state: Path) -> None:
        private = bool(self.options.session)
        await doors.open_local(local_place(state, "r" if private else "scheduler"), scheduler.check)
        if plan.public:
            check = scheduler.check_node if private else scheduler.check
            await doors.open_public(plan.public, check, plan.ciphers.listening, free=plan.free, memory=state / LISTEN)
            scheduler.listens_at(doors.to_write()[0])

    # --- what the owner and others on this machine read ---

    def _tell(self, name: str, doors: Doors, plan: _Plan) -> None:
        if self.options.session:
            self.log.say(f"the scheduler of session {self.options.session} listens at {doors.address}")
            return
        self._report.announce(listening_line(name, doors))
        self._report.hint(joining_hint(doors))
        if not plan.public:
            self._report.hint(OPENING)
        if self.options.credential is not None and self.options.clients is not None:
            whose = f"from {self.options.credential.origin}, programs that from {self.options.clients.origin}"
            self._report.hint(f"nodes need the credential {whose}")
        if plan.public and plan.free and not doors.public[0].endswith(f":{ports.SCHEDULER}"):
            self.log.say(f"port {ports.SCHEDULER} is taken by another program")

    def _write_place(self, name: str, state: Path, doors: Doors) -> None:
        place = self._place = Place(
            name=name,
            address=doors.address,
            pid=os.getpid(),
            start=start_of(os.getpid()),
            state=str(state),
            listen=tuple(doors.to_write()),
            session=self.options.session,
        )
        try:
            places.write(place)
            if place.session:
                places.write(place, state / PLACE)
        except OSError as error:
            raise StartFailed(f"cannot write where this scheduler is: {error}") from error

    def _forget_place(self) -> None:
        if self._place is not None:
            places.remove(self._place)
            if self._place.session:
                places.remove(self._place, Path(self._place.state) / PLACE)


def _state_of(name: str) -> Path:
    return paths.private(paths.state_directory() / "schedulers") / name


def _take_name(name: str) -> tuple[str, LockFile]:
    """NAME, or NAME-2, NAME-3... if a scheduler of this user here has it; the lock that keeps it ours."""
    for number in itertools.count(1):
        called = paths.further_name(name, number)
        lock = LockFile(str(places.lock_of(called)))
        try:
            lock.take(f"process {os.getpid()}")
        except Held:
            continue
        except OSError as error:
            raise StartFailed(f"cannot take the name {called}: {error.strerror or error}") from error
        return called, lock
    raise AssertionError("numbers do not end")
