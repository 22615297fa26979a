"""The scheduler as a program: links of clients and nodes, the clock, and the core between them.

link --received(batch)--> events --> core.feed --> commands --> link.send
                          one call for everything that one read brought
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lightwork.kit.notation import render
from lightwork.model.errors import LightworkError, PeerError, ProtocolError
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.service.alarm import Alarm, Later, on_loop
from lightwork.scheduler.service.claims import Claims
from lightwork.scheduler.service.files import Arguments, Files
from lightwork.scheduler.service.hosting import Hosting, changed, who
from lightwork.scheduler.service.incoming import FROM_CLIENT, FROM_NODE, joined
from lightwork.scheduler.service.outgoing import TO_CLIENT, TO_NODE
from lightwork.scheduler.service.relays import RELAY, Relays
from lightwork.scheduler.service.telling import Telling
from lightwork.scheduler.service.watchers import Watchers
from lightwork.transport.address import host_of
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.wire import messages as say

if TYPE_CHECKING:
    from lightwork.scheduler.service.dialler import Dialler

log = logging.getLogger(__name__)

Clock = Callable[[], int]
Tell = Callable[[on.Event], None]
SLEPT_NS = 3_000_000_000  # so long without a look at the clock: we did not run


class Scheduler(Receiver):
    """All links of one scheduler.

    `on_session_over(session)`: a session is gone for good. `on_node_gone(node)`: a node is presumed dead.
    `on_fault()`: a fault of ours was logged; this scheduler must end, or jobs would wait for ever.
    """

    def __init__(
        self,
        *,
        core: Core | None = None,
        epoch: int = 0,
        clock: Clock = time.monotonic_ns,
        on_session_over: Callable[[str], None] = lambda session: None,
        on_node_gone: Callable[[str], None] = lambda node: None,
        on_fault: Callable[[], None] = lambda: None,
        make_dialler: Callable[[Receiver, Tell], Dialler] | None = None,
        arguments: Arguments | None = None,
        ask_s: float = 0.0,
        beat_s: float = 0.0,
        later: Later = on_loop,
    ) -> None:
        self._core = core or Core()
        self._core.state.set_timers(ask_s=ask_s, beat_s=beat_s)
        self._clock = clock
        self._alarm = Alarm(clock, lambda: None if self._leaving else self._feed([]), later)
        self._epoch_ns = self._core.state.wall_ns = time.time_ns() - clock()  # shown to users, decides nothing
        self._clients: dict[str, Link] = {}
        self._claims = Claims(epoch)
        self._nodes: dict[str, Link] = {}  # those that are there
        self._sessions: dict[Link, str] = {}
        self._make_dialler = make_dialler
        self._dialler: Dialler | None = None  # made when there is somebody to reach
        self._arguments = arguments
        self._leaving = False
        self._looked_ns = clock()
        self._telling = Telling(self._clients, self._epoch_ns)
        self._files = Files(self._clients, self._nodes, self._claims.tell)
        self._on_session_over = on_session_over
        self._on_node_gone = on_node_gone
        self._on_fault = on_fault
        self._to_tell: list[on.Event] = []  # what was found out while the core was obeyed
        self.pids: dict[str, int] = {}  # of the processes around us, for status
        self._relays = Relays(self, self.may_join, lambda link, fetch: self._node_fetches("", link, fetch))
        self.hosting = Hosting(self._core, self._claims, self._feed)
        self._watchers = Watchers(self._core, self._claims, self._feed, self.pids, clock, self._reached, self.hosting)

    def listens_at(self, address: str) -> None:
        """Where nodes may join, as it is written on their machines."""
        self._core.state.listening = address

    def may_join(self, hello: say.Hello) -> say.Refused | None:
        """Whether this one may come in, where its role may; for listeners."""
        return None

    def _reached(self) -> int:
        """Up to which fact all is on disk."""
        return self._core.state.recorded

    # --- what links tell ---

    def link_up(self, link: Link) -> None:
        """Somebody is there."""
        peer = link.peer
        if peer.role == "client" and peer.session in self._clients:
            link.close(f"session {peer.session} is open already")
        elif peer.role == "client":
            self._clients[peer.session] = link
            self._sessions[link] = peer.session
            self._feed([on.ClientJoined(peer.session, peer.incarnation, peer.lasting, peer.user, peer.host)])
        elif peer.role == "watcher":
            self._watchers.joined(link)
        elif peer.role == RELAY:
            self._relays.joined(link)
        elif peer.role != "node":
            link.close(f"a scheduler talks with clients, nodes, relays and watchers, not with a {peer.role}")

    def received(self, link: Link, batch: Batch) -> None:
        """Everything that one read brought."""
        role = link.peer.role
        try:
            if role == "watcher":
                self._watchers.received(link, batch)
            elif role == RELAY:
                self._relays.received(link, batch)
            else:
                self._feed((self._from_client if role == "client" else self._from_node)(link, batch))
        except PeerError as error:  # the other side's fault ends its link, nobody else's
            log.warning("%s (%s): %s", link.peer.name, link.address, error)
            link.close(str(error))
            self.link_lost(link, error)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Somebody is gone."""
        self._watchers.left(link)
        self._relays.lost(link, error)
        session = self._sessions.pop(link, None)
        if session is not None and self._clients.get(session) is link:
            del self._clients[session]
            self._feed([self._client_gone(session, link)])
        claim = self._claims.lost(link)
        if claim is not None:
            self._nodes.pop(claim.name, None)
            if link.left:
                self._claims.forget(claim.name)
                self._files.node_gone(claim.name)
            self._feed([on.NodeLost(claim.name, left=link.left)])

    def _client_gone(self, session: str, link: Link) -> on.Event:
        """What the end of a client's link means: its death."""
        return on.ClientLost(session)

    def link_refused(self, address: str, error: LightworkError) -> None:
        """Somebody wanted to join us and could not: our users should know."""
        host = host_of(address) or address
        text = str(error.args[0] if error.args else error).replace(address, host)
        self._feed([on.StrangerRefused(host, text, error.hint)])

    def link_drained(self, link: Link) -> None:
        """A congested client has caught up."""
        session = self._sessions.get(link, "")
        if self._telling.drained(session, link):
            self._feed([on.ClientDrained(session)])

    def time_passed(self) -> None:
        """To be called every second or so."""
        now_ns = self._clock()
        slept_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        slept = [on.WeSlept(slept_ns)] if slept_ns > SLEPT_NS else []
        self._feed([*slept, on.NodesSpoke(self._claims.heard()), on.TimePassed()])
        self._watchers.time_passed()

    def _from_client(self, link: Link, batch: Batch) -> list[on.Event]:
        session = self._sessions.get(link)
        if session is None:
            return []
        events: list[on.Event] = []
        for message, body in batch:
            translate = FROM_CLIENT.get(type(message))
            if translate is not None:
                self._files.note_offers(session, message)
                events.append(translate(session, message, body))
            else:
                self._client_asks(session, link, message)
        return events

    def _client_asks(self, session: str, link: Link, message: say.Message) -> None:
        if isinstance(message, say.AskStatus):
            status = self._core.status(session, message.number)
            status.pids = self.pids
            link.send(status)
        elif isinstance(message, say.ChangeHosts):
            self._to_tell.append(changed(session, message, who(link)))
        elif isinstance(message, say.AskHosts | say.AskWhy):
            link.send(self.hosting.answer(message))
        elif isinstance(message, say.Taken):
            self._files.taken(message)
            if message.spooled:
                self._to_tell.append(on.FilesTaken(session, message.spooled))
        elif isinstance(message, say.Fetch):
            self._files.fetch_from_node(link, message)
        elif not isinstance(message, say.Goodbye):
            raise ProtocolError(f"a client may not send {type(message).__name__}")

    def _from_node(self, link: Link, batch: Batch) -> list[on.Event]:
        events: list[on.Event] = []
        for message, body in batch:
            if isinstance(message, say.NodeReady):
                events.append(self._node_ready(link, message))
                continue
            claim = self._claims.of(link)
            if claim is None:
                if self._nodes or not isinstance(message, say.Goodbye):
                    log.debug("%s after the end of its claim", type(message).__name__)
                return events
            message = claim.note(message, body)
            translate = FROM_NODE.get(type(message))
            if translate is not None:
                events.append(translate(claim.name, message, body))
            else:
                self._node_asks(claim.name, link, message)
            if isinstance(message, say.Heartbeat) and not claim.number:
                self.pids |= message.pids
        return events

    def _node_ready(self, link: Link, ready: say.NodeReady) -> on.Event:
        claim, resumed, old = self._claims.join(link, ready)
        if old is not None:
            old.abort()
        self._nodes[claim.name] = link
        if not ready.claim:
            self.pids["agent"] = ready.pid
        via = self._dialler.joined(link) if self._dialler is not None else ""
        anew = bool(ready.claim) and not resumed
        self._files.node_back(claim.name, link, anew=anew, shares_memory=ready.shares_memory)
        adopting = self._core.state.ledger is not None and anew
        return joined(claim.name, link, ready, via, resumed=resumed, adopting=adopting)

    def _node_asks(self, name: str, link: Link, message: say.Message) -> None:
        if isinstance(message, say.Fetch):
            self._node_fetches(name, link, message)
        elif isinstance(message, say.OutputNow):
            self._watchers.output(name, message)
        elif isinstance(message, say.NodeNotice):
            sessions = [message.session] if message.session else list(self._clients)
            self._obey(
                do.Warn(session, message.level, f"node {name}: {message.text}", message.hint) for session in sessions
            )
        elif not isinstance(message, say.Goodbye | say.Ack | say.Pong):
            raise ProtocolError(f"a node may not send {type(message).__name__}")

    def _node_fetches(self, name: str, link: Link, fetch: say.Fetch) -> None:
        if fetch.kind != "argument":
            self._files.fetch_from_client(link, fetch)
            return
        payload, in_arena = self._core.argument(name, int(fetch.name) if fetch.name.isdecimal() else -1)
        if payload is not None and in_arena and self._arguments is not None:
            self._files.serve_argument(link, fetch, self._arguments.view(payload))
        elif payload is not None and not in_arena:
            self._files.serve_argument(link, fetch, memoryview(payload))
        else:
            link.refuse(fetch.stream, f"there is no argument of attempt {fetch.name} any more")

    def _feed(self, events: list[on.Event]) -> None:
        if log.isEnabledFor(logging.DEBUG):
            for event in events:
                log.debug("> %s", render(event))
        try:
            self._obey(self._core.feed(events, self._clock()))
            while self._to_tell:
                further, self._to_tell = self._to_tell, []
                self._obey(self._core.feed(further, self._clock()))
        except PeerError:
            raise
        except Exception:
            log.exception("the scheduler cannot go on")
            self._on_fault()

    def _obey(self, commands: Iterable[do.Command]) -> None:
        debug = log.isEnabledFor(logging.DEBUG)
        for command in commands:
            if debug:
                log.debug("< %s", render(command))
            self._obey_one(command)

    def _obey_one(self, command: Any) -> None:
        kind = type(command)
        if kind in TO_NODE:
            claim = self._claims.named(command.node)
            if claim is not None:
                claim.send(*TO_NODE[kind](command, self._epoch_ns))
        elif kind in TO_CLIENT:
            self._files.note_news(command)
            if self._telling.tell(command):
                self._to_tell.append(on.ClientCongested(command.session))
        elif isinstance(command, do.WakeAt):
            self._alarm.set(command.at_ns)
        elif isinstance(command, do.EndSession):
            self._end_session(command.session)
        elif isinstance(command, do.Drop):
            self._drop(command.node)
        elif isinstance(command, do.HangUp):
            link = self._forget_node(command.node)
            if link is not None:
                link.close(command.reason)
        elif self._leaving:
            pass  # nobody is looked for any more
        elif isinstance(command, do.Dial):
            self._reach().dial(command.address)
        elif isinstance(command, do.AskNetwork):
            self._reach().ask(command.hosts, command.patterns)

    def _end_session(self, session: str) -> None:
        self._telling.forget(session)
        self._files.session_over(session)
        link = self._clients.pop(session, None)
        if link is not None:
            self._sessions.pop(link, None)
            link.close("the session is over")
        self._on_session_over(session)

    def _reach(self) -> Dialler:
        if self._dialler is None:
            if self._make_dialler is None:
                raise LookupError("this scheduler cannot dial")
            self._dialler = self._make_dialler(self, lambda event: self._feed([event]))
        return self._dialler

    def _drop(self, node: str) -> None:
        link = self._forget_node(node)
        if link is not None:
            link.abort()
        self._on_node_gone(node)

    def _forget_node(self, node: str) -> Link | None:
        self._nodes.pop(node, None)
        self._files.node_gone(node)
        return self._claims.forget(node)

    async def leave(self) -> None:
        """Try to reach nobody any more; say goodbye to all nodes, so that they are free at once."""
        self._leaving = True
        if self._dialler is not None:
            await self._dialler.close()
        for claim in self._claims:
            if claim.link is not None and claim.number:
                claim.link.close("the cluster is closed")
        self._relays.close("the cluster is closed")
