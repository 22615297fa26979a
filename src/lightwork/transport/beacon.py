"""Finding each other on the network, by UDP; the datagrams and what is believed of them are in wire.beacon.

    scheduler: Asker                                              node: Answerer
    a socket for each address of this machine                     one socket for IPv4, one for IPv6, at port 9700,
      eth0 192.168.3.11 ──┐ 192.168.3.255, 255.255.255.255,         shared by all nodes of the machine; in the groups
      eth0 fe80::b      ──┤ groups 239.255.76.87, ff02::4c57 ──►    on each network, looked at again every 10 s
      eth1 10.5.0.11    ──┤                                       ◄── to the asker alone: port 9701
      lo   127.0.0.1    ──┘ 127.255.255.255

Several ways at once because each fails somewhere: switches that keep multicasts back, machines with IPv6 only, systems
that send a broadcast by their first card only. What fails here (no address, a card that went away, a firewall) is a
sentence in `problems`, as long as it is so, and never an error: all can be reached by name as well.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable

from lightwork.config import limits, ports, timers
from lightwork.kit.tasks import spawn
from lightwork.transport.datagrams import GROUP4, GROUP6, Datagrams, Where, open_sender, open_shared, place
from lightwork.transport.interfaces import Interface, interfaces
from lightwork.wire.beacon import NONCE_SIZE, Answer, Answering, Asking

Heard = Callable[[str, int, int], None]  # host, port, protocol
_EVERYWHERE = ("", "*", "0.0.0.0", "::")


class _Problems:
    """What does not work now, a sentence for each subject."""

    def __init__(self) -> None:
        self._sentences: dict[object, str] = {}

    @property
    def problems(self) -> list[str]:
        """What does not work now, a sentence each, for the user."""
        return list(self._sentences.values())

    def _note(self, subject: object, sentence: str, error: OSError | None = None) -> None:
        if isinstance(error, PermissionError):
            sentence += ": a firewall of this machine forbids it"
        elif error is not None:
            sentence += f": {error.strerror or error}"
        self._sentences[subject] = sentence

    def _clear(self, subject: object) -> None:
        self._sentences.pop(subject, None)

    def _keep(self, subjects: Iterable[object]) -> None:
        """Forget what was said about any other network card."""
        kept = set(subjects)
        for subject in [s for s in self._sentences if isinstance(s, Interface) and s not in kept]:
            del self._sentences[subject]


class Answerer(_Problems):
    """Tells who asks the network that this node listens at `port_to_tell`: on `host` only, if it listens there only."""

    def __init__(self, port_to_tell: int, *, host: str = "", port: int = ports.DISCOVERY) -> None:
        super().__init__()
        self._answering = Answering(port_to_tell, os.urandom(32))
        self._host = "" if host in _EVERYWHERE else host
        self._port = port
        self._open: dict[bool, Datagrams] = {}  # by "is IPv6"
        self._from: Datagrams | None = None  # answers leave from the one address where this node listens
        self._joined: set[Interface] = set()
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer from now on; what cannot be heard is in `problems`."""
        await self._look()
        self._looking = spawn(self._look_again(), "beacon: look for networks")

    def close(self) -> None:
        """Answer no more."""
        if self._looking is not None:
            self._looking.cancel()
        for datagrams in [*self._open.values(), *([self._from] if self._from else [])]:
            datagrams.close()

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(timers.LOOK_INTERFACES_S)
            await self._look()

    async def _look(self) -> None:
        """Be at the port and in the groups of every network there is now."""
        here = interfaces()
        for v6 in (False, True):
            old = self._open.get(v6)
            if old is not None and old.broken:
                old.close()
                del self._open[v6]
                self._joined -= {interface for interface in self._joined if interface.v6 == v6}
            if v6 not in self._open and any(interface.v6 == v6 for interface in here):
                await self._open_port(v6)
        if self._host and (self._from is None or self._from.broken):
            await self._open_own()
        self._joined &= set(here)  # one that comes back has lost our membership
        self._keep(here)
        if not self._answering.turned_away:
            self._clear("flood")
        for interface in here:
            if not interface.loopback and interface not in self._joined:
                self._join(interface)

    async def _open_port(self, v6: bool) -> None:
        try:
            self._open[v6] = await open_shared(v6, self._port, self._asked)
            self._clear(v6)
        except OSError as error:
            family = "IPv6" if v6 else "IPv4"
            self._note(v6, f"questions who is there are not heard at UDP port {self._port} ({family})", error)

    async def _open_own(self) -> None:
        try:
            self._from = await open_shared(":" in self._host, self._port, self._asked, self._host)
            self._clear("own")
        except (OSError, ValueError) as error:
            wrong = error if isinstance(error, OSError) else OSError(str(error))
            self._note("own", f"questions who is there are not answered from {self._host}", wrong)

    def _join(self, interface: Interface) -> None:
        datagrams = self._open.get(interface.v6)
        if datagrams is None:
            return
        try:
            datagrams.join(interface)
            self._joined.add(interface)
            self._clear(interface)
        except OSError as error:
            self._note(interface, f"multicasts are not heard on {interface.name} ({interface.address})", error)

    def _asked(self, data: bytes, host: str, where: Where, heard_by: Datagrams) -> None:
        answer = self._answering.answer(data, host, asyncio.get_running_loop().time())
        if self._answering.turned_away:
            self._note("flood", "there are more questions who is there than this node answers: some wait longer")
        sender = self._from if self._host else heard_by
        if answer is None or sender is None or (self._host and (":" in self._host) != (":" in host)):
            return
        try:
            sender.send(answer, where)
            self._clear("answer")
        except PermissionError as error:
            self._note("answer", f"who asks for nodes from {host} cannot be answered", error)
        except OSError:  # the way to the asker is gone, or leads not from the one address where we listen
            pass


class Asker(_Problems):
    """Asks the network who is there; `heard(host, port, protocol)` hears of each node, once a question.

    `host` is a numeric address, with %scope if it is of one link only. A node with many is told by one for which
    `wanted(host)` is true, if there is such a one, and always by the same.
    """

    def __init__(self, heard: Heard, *, wanted: Callable[[str], bool] = bool, port: int = ports.DISCOVERY) -> None:
        super().__init__()
        self._heard, self._wanted = heard, wanted
        self._port = port
        self._closed = False
        self._asking = Asking()
        self._open: dict[Interface, Datagrams] = {}
        self._direct: dict[bool, Datagrams] = {}  # to single addresses, by "is IPv6"
        self._looking = asyncio.Lock()
        self._rounds: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open what can be opened; the rest is in `problems`."""
        await self._look()

    def ask(self, extra: Iterable[str] = ()) -> None:
        """Ask every network of this machine, and these numeric addresses; returns at once."""
        question = self._asking.question(os.urandom(NONCE_SIZE))
        self._clear("flood")
        task = spawn(self._round(question, list(extra)), "beacon: ask the network")
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)

    def close(self) -> None:
        """Nothing is asked or heard any more."""
        self._closed = True
        for task in self._rounds:
            task.cancel()
        for datagrams in [*self._open.values(), *self._direct.values()]:
            datagrams.close()

    async def _round(self, question: bytes, extra: list[str]) -> None:
        for again in (False, True):
            if again:
                await asyncio.sleep(timers.ASK_AGAIN_S)
            await self._look()
            for interface, datagrams in self._open.items():
                self._ask_all(question, interface, datagrams)
            for host in extra:
                await self._ask_one(question, host)

    async def _look(self) -> None:
        """Have a socket for each address there is now, the likelier ones first."""
        async with self._looking:
            here = sorted(interfaces(), key=lambda one: (one.loopback, one.v6, one.link_local))
            if all(interface.loopback for interface in here):
                self._note("none", "this machine is on no network: only its own nodes are found")
            else:
                self._clear("none")
            here = here[: limits.BEACON_SOCKETS_MAX]
            for interface in [old for old in self._open if old not in here or self._open[old].broken]:
                self._open.pop(interface).close()
            self._keep(here)
            for interface in here:
                if interface not in self._open:
                    await self._open_at(interface)

    async def _open_at(self, interface: Interface) -> None:
        try:
            self._open[interface] = await open_sender(interface, interface.v6, self._answered)
        except OSError as error:
            self._not_sent(interface, error)

    def _ask_all(self, question: bytes, interface: Interface, datagrams: Datagrams) -> None:
        """One of the ways is enough: only if none works is that a problem."""
        failed, sent = None, False
        for where in self._everybody(interface):
            try:
                datagrams.send(question, where)
                sent = True
            except OSError as error:
                failed = error
        if failed is None or sent:
            self._clear(interface)
        elif not interface.loopback:
            self._not_sent(interface, failed)

    def _everybody(self, interface: Interface) -> list[Where]:
        """Who hears a question on this network."""
        if interface.v6:
            if interface.loopback:
                return [(interface.address, self._port)]
            return [(GROUP6, self._port, 0, interface.number)]
        hosts = [interface.broadcast] if interface.broadcast else []
        hosts += [interface.address] if interface.loopback else ["255.255.255.255", GROUP4]
        return [(host, self._port) for host in hosts]

    async def _ask_one(self, question: bytes, host: str) -> None:
        try:
            where = place(host, self._port)
            v6 = len(where) == 4
            if v6 not in self._direct or self._direct[v6].broken:
                self._direct[v6] = await open_sender(None, v6, self._answered)
            self._direct[v6].send(question, where)
            self._clear(host)
        except ValueError as error:
            self._note(host, f"{host} cannot be asked: {error}")
        except OSError as error:
            self._note(host, f"{host} cannot be asked", error)

    def _answered(self, data: bytes, host: str, where: Where, heard_by: Datagrams) -> None:
        answer = self._asking.hear(data, host)
        if self._asking.turned_away:
            self._note("flood", "there are more answers than are looked at: name the nodes")
        if answer is not None:
            asyncio.get_running_loop().call_later(timers.GATHER_ANSWERS_S, self._tell, answer)

    def _tell(self, answer: Answer) -> None:
        best = None if self._closed else self._asking.best(answer, self._wanted)
        if best is not None:
            self._heard(*best)

    def _not_sent(self, interface: Interface, error: OSError) -> None:
        where = f"{interface.name} ({interface.address})"
        self._note(interface, f"the question who is there could not be sent on {where}", error)
