"""`lightwork node`: a station that listens or joins, from its first line to its end.

TERM, Ctrl-C --> drain (station_drain.py) --> goodbye --> exit 0          a second one: at once, all is killed
USR1 --------------^  from a job, if the owner allows it (worker.context.node_shutdown)

A private node (station_private.py) has one scheduler in its life, and ends with that claim.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from lightwork.config import ports, timers
from lightwork.kit.loop import INTERRUPTS, on_terminate
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.tasks import spawn as spawn_task, stop as stop_task
from lightwork.model.errors import UserError
from lightwork.node.service.base import base_of, private_address
from lightwork.node.service.claims_link import Claim
from lightwork.node.service.job_user import check_access, leave_groups
from lightwork.node.service.keeper_spawn import boot_path
from lightwork.node.service.station import Station
from lightwork.node.service.station_agents import StationOptions
from lightwork.node.service.station_drain import drain
from lightwork.node.service.station_home import Home, home_in, take_home
from lightwork.node.service.station_join import Joiner
from lightwork.node.service.station_listen import Door, listening_line, open_door, port_is_free_to_choose
from lightwork.security.credential import Credential, check_reach
from lightwork.security.secret import NONE_YET
from lightwork.transport.address import ALL, TCP, network_address, split

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

OPENING = "to open it to other machines: `lightwork secret --save` here, then start `lightwork node` again"
NODE_PROCESS = "LIGHTWORK_NODE_PROCESS"  # as in worker.context


class ProgramOptions(Struct, kw_only=True):
    """The command line."""

    name: str = ""
    listen: str = ""
    join: str = ""
    credential: Credential | None = None
    weak_secret: bool = False
    client_shutdown: bool = False
    single: bool = False  # fail rather than be called NAME-2
    private: bool = False  # it ends with its first claim, or if nobody has claimed it for as long as orphans live
    directory: str = ""  # just this one, below all node directories; "": the one that goes with the name
    base: str = ""  # the directory in which its owner wants all that it keeps; "": the usual one
    station: StationOptions


class Report(Protocol):
    """How the program tells its owner what is not for the log."""

    def at_home(self, name: str) -> None:
        """The node has its directory, and the name that goes with it. Nothing was started yet."""

    def announce(self, line: str) -> None:
        """The one line that says where it is."""

    def hint(self, text: str) -> None:
        """What else its owner should know."""

    def up(self, trouble: str = "") -> None:
        """It works, or tries to join: `trouble` says why that failed."""


class Program:
    """One run."""

    def __init__(self, options: ProgramOptions, report: Report) -> None:
        self._options = options
        self._report = report
        self._log = OwnerLog()
        self._station: Station | None = None
        self._door: Door | None = None
        self._joiner: Joiner | None = None
        self._joined = False
        self._reason = "its owner has stopped it"
        self.left = False  # its scheduler has said goodbye
        self._asked = 0  # how often we were asked to end
        self._base: Path | None = None
        self._ending = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> int:
        """To the end; the exit status. LightworkError: it could not begin."""
        on_terminate(self._stop_asked, INTERRUPTS)
        self._let_jobs_stop_us()
        self._base = base_of(self._options.base, self._options.station.rules.user, make=True)
        self._admit_user()
        address, encryption = await self._prepared()
        home = self._take_home()
        if not address:
            address = private_address(home.directory, home.name, self._base)
        options = self._options
        self._report.at_home(home.name)
        station = self._station = Station(self._options.station, home, self._log)
        if options.private:
            station.on_over = self._claim_over
            asyncio.get_running_loop().call_later(timers.ORPHAN_S, self._not_claimed)
        station.duty.on_served = self._served
        station.duty.listens = not options.join
        try:
            await station.start()
            station.duty.start()
            if self._options.join:
                self._joiner = Joiner(station, address, encryption, self._tried)
                self._joiner.start()
            else:
                await self._listen(station, address, encryption)
            await self._ending.wait()
            await self._drain(station)
        finally:
            await self._stop(station)
        return 0 if self._asked < 2 else 1

    def _take_home(self) -> Home:
        options = self._options
        if options.directory:
            return home_in(options.directory, options.name)
        shared = options.station.rules.user is not None
        return take_home(options.name, single=options.single, shared=shared, base=self._base)

    def _stop_asked(self) -> None:
        self._asked += 1
        self._ending.set()
        if self._asked > 1 or self._options.private:
            self._at_once.set()

    def _claim_over(self, claim: Claim) -> None:
        """Of a private node: there will be no other."""
        self.left = claim.left
        self._at_once.set()
        self._ending.set()

    def _not_claimed(self) -> None:
        if self._station is None or self._station.claim is None:
            self._ending.set()

    def _admit_user(self) -> None:
        """Of jobs, if that is another. UserError, StartFailed: they could not run here."""
        station = self._options.station
        user = station.rules.user
        if user is None:
            return
        if station.portable:
            raise UserError(f"--job-user {user.name}: workers are not forked here", hint="leave out LIGHTWORK_PORTABLE")
        init = [Path(station.rules.init)] if station.rules.init else []
        check_access(user, [Path(boot_path()), Path(os.__file__), Path(sys.executable), *init])
        leave_groups()

    def _served(self, why: str) -> None:
        if not self._ending.is_set():
            self._reason = why
            self._log.say(f"this node ends: {why}")
            self._ending.set()

    def _let_jobs_stop_us(self) -> None:
        """By a signal to the process that this variable names: also from a cleanup, which has no channel to us."""
        os.environ.pop(NODE_PROCESS, None)  # of a node that runs us as a job
        if self._options.client_shutdown and sys.platform != "win32":
            on_terminate(self._stopped_by_job, (signal.SIGUSR1,))
            os.environ[NODE_PROCESS] = str(os.getpid())

    def _stopped_by_job(self) -> None:
        if not self._ending.is_set():
            self._reason = "a job has stopped it"
            self._log.say(self._reason)
            self._ending.set()

    # --- where ---

    def _address(self) -> str:
        """What the owner said, or what follows from there being a credential or none."""
        options = self._options
        if options.join:
            return network_address(options.join, ports.SCHEDULER)
        if options.listen:
            return network_address(options.listen, ports.NODE, listening=True)
        return f"{TCP}:{ALL}:{ports.NODE}" if options.credential is not None else ""

    async def _prepared(self) -> tuple[str, Encryption | None]:
        address, credential = self._address(), self._options.credential
        if split(address)[0] != TCP if address else True:
            return address, None
        if credential is None:
            what = "joins" if self._options.join else "listens"
            raise UserError(f"a node {what} over the network only with a secret, and there is none", hint=NONE_YET)
        warning = check_reach(credential, address, self._options.weak_secret)
        if warning:
            self._report.hint(warning)
        from lightwork.transport.tls import Encryption

        return address, await asyncio.get_running_loop().run_in_executor(None, Encryption, credential)

    async def _listen(self, station: Station, address: str, encryption: Encryption | None) -> None:
        free = not self._options.listen or port_is_free_to_choose(self._options.listen)
        door = self._door = await open_door(station, address, encryption, free=free)
        self._report.announce(listening_line(station.home.name, station.options.slots, door.address))
        if split(address)[0] != TCP and not self._options.listen:
            self._report.hint(OPENING)
        for problem in door.problems:
            self._log.say(problem)
        self._report.up()

    def _tried(self, joined: str, trouble: str) -> None:
        """With whom we are, or why not; once, for what changes later is told by the log."""
        if joined and not self._joined and self._station is not None:
            self._joined = True
            self._report.announce(f"node {self._station.home.name} has joined {joined}")
        self._report.up(trouble)

    # --- the end ---

    async def _drain(self, station: Station) -> None:
        work = spawn_task(drain(station, self._reason), "let running jobs end")
        at_once = spawn_task(self._at_once.wait(), "wait for the second signal")
        try:
            await asyncio.wait((work, at_once), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stop_task(work, at_once)

    async def _stop(self, station: Station) -> None:
        station.duty.stop()
        if self._door is not None:
            self._door.close()
        if self._joiner is not None:
            await self._joiner.stop()
        await station.stop(self._reason)
