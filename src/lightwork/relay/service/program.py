"""`lightwork relay`, from its first line to its end.

credential, addresses --> directory (lock), what it keeps --> the link to the scheduler --> door for nodes --> dialling
TERM, Ctrl-C --> links end without a word to nodes: they wait, for a lease, for this relay or another one
"""

from __future__ import annotations

import asyncio
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

from lightwork.config import limits, paths, ports
from lightwork.kit.loop import INTERRUPTS, on_terminate
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.tasks import spawn, stop
from lightwork.kit.text import listed
from lightwork.kit.version import __version__
from lightwork.model.errors import StartFailed, UserError
from lightwork.relay.core.core import Core
from lightwork.relay.service.home import Home, take
from lightwork.relay.service.nodes import Dialling, Wanted
from lightwork.relay.service.outbound import Outbound
from lightwork.relay.service.relay import Relay
from lightwork.relay.service.store import Store
from lightwork.security.credential import Credential, check_reach
from lightwork.security.secret import NONE_YET, VARIABLE
from lightwork.transport.address import (
    ALL,
    TCP,
    join_host_port,
    names_port,
    network_address,
    split,
    split_host_port,
)
from lightwork.transport.endpoint import Listener, listen
from lightwork.transport.interfaces import interfaces, reachable
from lightwork.transport.passing import PassingLink
from lightwork.wire.messages import PROTOCOL, Hello

if TYPE_CHECKING:
    from lightwork.transport.tls import Encryption

SHOWN_MAX = 6


class ProgramOptions(Struct, kw_only=True):
    """The command line. `store`: None: one of its name, of this user; `quota`: bytes of files that it keeps."""

    scheduler: str
    name: str = ""
    listen: str = ""
    nodes: tuple[str, ...] = ()
    discovery: bool = True
    credential: Credential | None = None
    weak_secret: bool = False
    store: Path | None = None
    quota: int = limits.RELAY_STORE


class Report(Protocol):
    """How the program tells its owner what is not for the log."""

    def at_home(self, name: str) -> None:
        """The relay has its directory, and the name that goes with it."""

    def announce(self, line: str) -> None:
        """The one line that says where it is."""

    def hint(self, text: str) -> None:
        """What else its owner should know."""

    def up(self, trouble: str = "") -> None:
        """It works, or tries to reach its scheduler: `trouble` says why that failed."""


class _Plan(NamedTuple):
    scheduler: str
    door: str
    free: bool
    wanted: Wanted
    encryption: Encryption | None


class RelayProgram:
    """One run."""

    def __init__(self, options: ProgramOptions, report: Report) -> None:
        self._options = options
        self._report = report
        self._log = OwnerLog()
        self._ending = asyncio.Event()

    async def run(self) -> int:
        """To the end; the exit status. LightworkError: it could not begin."""
        on_terminate(self._ending.set, INTERRUPTS)
        plan = await self._prepared()
        os.environ.pop(VARIABLE, None)
        home = take(self._options.name, self._options.store)
        try:
            self._report.at_home(home.name)
            await self._live(home, plan)
        finally:
            home.leave()
        return 0

    async def _prepared(self) -> _Plan:
        options = self._options
        scheduler = network_address(options.scheduler, ports.SCHEDULER)
        door = network_address(options.listen or f"{ALL}:{ports.RELAY}", ports.RELAY, listening=True)
        wanted = Wanted(options.nodes, discovery=options.discovery)
        network = [address for address in (scheduler, door, *wanted.addresses) if split(address)[0] == TCP]
        if network and options.credential is None:
            raise UserError("a relay works over the network only with a secret, and there is none", hint=NONE_YET)
        if options.credential is not None:
            warnings = [check_reach(options.credential, address, options.weak_secret) for address in network]
            for warning in dict.fromkeys(filter(None, warnings)):
                self._report.hint(warning)
        cipher = None
        if network and options.credential is not None:
            from lightwork.transport.tls import Encryption

            cipher = await asyncio.get_running_loop().run_in_executor(None, Encryption, options.credential)
        free = not options.listen or not names_port(options.listen)
        return _Plan(scheduler, door, free, wanted, cipher)

    async def _live(self, home: Home, plan: _Plan) -> None:
        core = Core(self._options.quota)
        relay = Relay(home.name, plan.scheduler.removeprefix("tcp:"), core, self._log)
        try:
            relay.store = Store(home.blobs, relay.feed)
            relay.store.look()
        except OSError as error:
            raise StartFailed(f"cannot keep files in {home.blobs}: {error.strerror or error}") from error
        outbound = Outbound(relay, plan.scheduler, _hello(home), plan.encryption)
        dialling = Dialling(relay, plan.wanted, plan.encryption)
        cipher = plan.encryption if split(plan.door)[0] == TCP else None
        placeholder = _hello(home)  # what a node is told in its place: relay.greeting
        door = await listen(
            plan.door, relay, placeholder, relay.check, encryption=cipher, free=plan.free, links=PassingLink
        )
        beats = spawn(_beat(relay, outbound), "signs of life")
        try:
            self._report.announce(_line(home.name, door, plan.scheduler))
            outbound.start()
            dialling.start()
            await self._first_word(outbound)
            self._report.up(outbound.trouble)
            await self._ending.wait()
        finally:
            door.close()
            await stop(beats)
            await dialling.stop()
            relay.stop()
            await outbound.stop(f"relay {home.name} is being stopped")

    async def _first_word(self, outbound: Outbound) -> None:
        """Whether it reaches its scheduler is said before it goes to the background."""
        tried, ending = spawn(outbound.tried.wait(), "try"), spawn(self._ending.wait(), "wait for a reason to end")
        await asyncio.wait((tried, ending), return_when=asyncio.FIRST_COMPLETED)
        await stop(tried, ending)


async def _beat(relay: Relay, outbound: Outbound) -> None:
    while True:
        await asyncio.sleep(outbound.beat_s)
        relay.beat()


def _hello(home: Home) -> Hello:
    return Hello(
        PROTOCOL,
        "relay",
        home.name,
        home.identity,
        software=f"lightwork {__version__}",
        pid=os.getpid(),
        host=platform.node(),
        user=paths.user_name(),
    )


def _line(name: str, door: Listener, scheduler: str) -> str:
    """Where nodes find it."""
    kind, rest = split(door.address)
    where = scheduler.removeprefix("tcp:")
    if kind != TCP:
        return f"relay {name} for the scheduler at {where} listens: lightwork node --join {door.address}"
    host, port = split_host_port(rest)
    hosts = reachable(interfaces()) if host in (ALL, "0.0.0.0", "::") else [host]
    ways = [join_host_port(one, port) for one in hosts]
    joined = listed([f"lightwork node --join {way}" for way in ways[:SHOWN_MAX]], SHOWN_MAX)
    return f"relay {name} for the scheduler at {where} listens at {listed(ways, SHOWN_MAX)}: {joined}"
