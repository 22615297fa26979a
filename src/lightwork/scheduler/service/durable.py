"""A scheduler that survives its own death: what it promises is on disk first.

    links --> landing --> events --> core --> Record --> journal          commands --> gate --> links
                                                            |                           ^
                                                            +-- durable up to number ---+

Sessions and nodes outlive links; a restart begins with the ledger that the journal holds (core/recovery.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from msgspec.structs import replace

from lightwork.model.errors import LightworkError
from lightwork.scheduler.core import commands as do, events as on
from lightwork.scheduler.core.core import Core
from lightwork.scheduler.core.facts import Fact, SessionEnded
from lightwork.scheduler.core.gate import Gate, of_node, of_session
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.incoming import FROM_CLIENT, FROM_NODE
from lightwork.scheduler.service.landing import ClientLanding, NodeLanding, Parcel, in_store, landed
from lightwork.scheduler.service.service import Clock, Scheduler
from lightwork.store.blobs import Blobs
from lightwork.transport.files import FileSource
from lightwork.transport.link import Batch, Link
from lightwork.wire import messages as say
from lightwork.wire.messages import File, Hello, Refused

log = logging.getLogger(__name__)
GONE, BUSY = "session", "busy"  # codes of refusals


class Journal(Protocol):
    """Where facts are written down, in order (scheduler/service/journal.py)."""

    def record(self, number: int, fact: Fact) -> None:
        """Write it; `DurableScheduler.durable` is told when it is on disk."""


class DurableScheduler(Scheduler):
    """See the picture. `durable` and `full` are the journal's to call."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        blobs: Blobs,
        clock: Clock,
        order: str = "fair",
        resources: Mapping[str, int] = MappingProxyType({}),
        **given: Any,
    ) -> None:
        core = Core(ledger=ledger, now_ns=clock(), order=order, resources=dict(resources))
        super().__init__(core=core, epoch=core.state.ledger.epoch, clock=clock, **given)  # type: ignore[union-attr]
        self._ledger = ledger
        self._journal = journal
        self._blobs = blobs
        self._gate = Gate(least=1)  # an epoch that is not on disk would come again
        self._landings: dict[Link, ClientLanding] = {}
        self._nodes_landing: dict[str, NodeLanding] = {}
        self._followed: Link | None = None  # by another one of the same life: its end is nobody's death
        self._ending: set[str] = set()  # sessions that are over as soon as that is on disk
        self._ended: dict[str, int] = {}  # sessions whose end is written down, or is about to be; by which fact
        for session in core.state.sessions.values():
            self._claims.keys.open(session.name, session.key)
        for known in ledger.nodes.values():
            self._claims.remember(known.identity, known.node)
        self._feed([])

    # --- the journal ---

    def durable(self, number: int) -> None:
        """All facts up to this one are on disk."""
        for command in self._gate.durable(number):
            self._obey_one(command)

    def _reached(self) -> int:
        return self._gate.reached

    def full(self, full: bool) -> None:
        """There is no room for more jobs, or there is again."""
        self._feed([on.StorageFull(full)])

    def _obey(self, commands: Iterable[do.Command]) -> None:
        kept = []
        for command in commands:
            if isinstance(command, do.Record):
                self._journal.record(command.number, command.fact)
                if isinstance(command.fact, SessionEnded):
                    self._ended[command.fact.session] = command.number
            else:
                kept.append(command)
                if isinstance(command, do.EndSession):
                    self._ending.add(command.session)
                    self._claims.keys.over(command.session)
                elif isinstance(command, do.Open):
                    self._claims.keys.open(command.session, self._core.state.sessions[command.session].key)
                else:
                    self._claims.keys.translate(command)
        super()._obey(self._gate.admit(kept))

    def _obey_one(self, command: Any) -> None:
        if isinstance(command, do.Discard):
            landing: list[ClientLanding | NodeLanding] = [*self._landings.values(), *self._nodes_landing.values()]
            busy = {digest for one in landing for digest in one.digests()}
            for digest in command.digests:
                if digest not in self._ledger.needs and digest not in busy:
                    self._blobs.path(digest).unlink(missing_ok=True)
        else:
            super()._obey_one(command)

    def _end_session(self, session: str) -> None:
        self._ending.discard(session)
        self._ended.pop(session, None)
        super()._end_session(session)

    # --- clients ---

    def may_join(self, hello: Hello) -> Refused | None:
        """Whether this client may have its session; for listeners."""
        if hello.role == "node":
            return self.hosting.may_work(hello)
        if hello.role != "client":
            return None
        name = hello.session
        session = self._core.state.sessions.get(name)
        if not name:
            return Refused(GONE, "a client must name its session")
        link = self._clients.get(name)
        if hello.incarnation:
            if self._ended.get(name, 0) > self._gate.reached:  # a crash may bring it back
                return Refused(BUSY, f"session {name} is being closed")
            known = name in self._ledger.sessions  # else it is over, and only its nodes do not know that yet
            if session is None or session.incarnation != hello.incarnation or not known:
                return Refused(GONE, f"session {name} is not there any more, or another program has taken it over")
            if link is not None:
                link.abort()  # the same life dials again: its old link is dead, though nobody has told us
                self._followed = link
                self.link_lost(link, None)
            return None
        if name in self._ending or (session is not None and session.closing):
            return Refused(BUSY, f"session {name} is being closed")
        if link is not None:
            who = f"{link.peer.user}@{link.peer.host}" if link.peer.user else link.peer.host
            return Refused(BUSY, f"session {name} is in use by process {link.peer.pid} of {who}")
        return None

    def link_up(self, link: Link) -> None:
        """Somebody is there."""
        if link.peer.role == "client":
            self._landings[link] = ClientLanding(self._blobs, link, lambda parcels: self._landed(link, parcels))
        super().link_up(link)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Somebody is gone."""
        landing = self._landings.pop(link, None)
        if landing is not None:
            landing.over = True
        super().link_lost(link, error)

    def _client_gone(self, session: str, link: Link) -> on.Event:
        """A lasting session goes on; a client over a network may come back; on this machine, end of file is death,
        unless it is we who hang up."""
        self._gate.forget(of_session(session))
        self._telling.forget(session)
        record = self._core.state.sessions.get(session)
        lasting = record is not None and record.lasting
        if lasting or self._leaving or link is self._followed or not (_is_local(link) or link.left):
            return on.ClientAway(session)
        return on.ClientLost(session)

    def _from_client(self, link: Link, batch: Batch) -> list[on.Event]:
        session, landing = self._session_of(link), self._landings.get(link)
        if session is None or landing is None:
            return []
        return self._translate(session, link, landing.take(list(batch)))

    def _session_of(self, link: Link) -> str | None:
        """Whose words these are; None: nobody's any more. (Its session may be over, and that not yet on disk.)"""
        session = self._sessions.get(link)
        return None if session in self._ending else session

    def _landed(self, link: Link, parcels: list[Parcel]) -> None:
        session = self._session_of(link)
        if session is not None:
            self._feed(self._translate(session, link, parcels))

    def _translate(self, session: str, link: Link, parcels: list[Parcel]) -> list[on.Event]:
        events: list[on.Event] = []
        for parcel in parcels:
            message, body = parcel.message, parcel.body
            translate = FROM_CLIENT.get(type(message))
            if translate is None:
                self._client_asks(session, link, message)
                continue
            self._files.note_offers(session, message)
            event = translate(session, message, body)
            if isinstance(event, on.JobsSubmitted):
                event.problem = parcel.problem
                if message.apart and not parcel.problem:
                    stored = parcel.stored
                    event.stored = [(row.index, File("", stored[row.index], row.size)) for row in message.apart]
            events.append(event)
            if isinstance(message, say.Detach):
                link.close("detached")
        return events

    def _client_asks(self, session: str, link: Link, message: say.Message) -> None:
        if isinstance(message, say.Taken):
            self._to_tell.append(on.ResultsTaken(session, message.jobs))
        if isinstance(message, say.Fetch) and message.kind == "blob":
            self._serve_blob(link, message, message.name)
        elif isinstance(message, say.Fetch) and message.kind == "argument":
            entry = self._ledger.sessions[session].entries.get(int(message.name) if message.name.isdecimal() else -1)
            if entry is not None and entry.stored is not None:
                self._serve_blob(link, message, entry.stored.digest)
            else:
                link.refuse(message.stream, f"job {message.name} has no arguments that are kept apart")
        else:
            super()._client_asks(session, link, message)

    # --- nodes ---

    def _node_ready(self, link: Link, ready: say.NodeReady) -> on.Event:
        event = super()._node_ready(link, ready)
        assert isinstance(event, on.NodeJoined)
        landing = self._nodes_landing.get(event.node)
        if not event.resumed:
            if landing is not None:
                landing.close("the node begins anew")
            self._gate.forget(of_node(event.node))
            landing = None
        if landing is None:
            name = event.node
            landing = self._nodes_landing[name] = NodeLanding(self._blobs, lambda parcel: self._arrived(name, parcel))
        landing.fetching.linked(link)
        return event

    def _from_node(self, link: Link, batch: Batch) -> list[on.Event]:
        plain: Batch = []
        for message, body in batch:
            claim = self._claims.of(link)
            landing = self._nodes_landing.get(claim.name) if claim is not None else None
            if claim is not None and landing is not None and landing.concerns(message):
                FROM_NODE[type(message)](claim.name, message, body)  # refused now, if it makes no sense
                claim.note(message, body)
                landing.take(message, body)  # type: ignore[arg-type]  # one that concerns it
                continue
            if plain and isinstance(message, say.Fetch):  # for an attempt that it told of just now, perhaps
                self._feed(super()._from_node(link, plain))
                plain = []
            plain.append((message, body))
        return super()._from_node(link, plain)

    def _arrived(self, node: str, parcel: Parcel) -> None:
        """All files that a message speaks of are here."""
        message = parcel.message
        if isinstance(message, say.AttemptFile):
            if digest := parcel.stored[0, 0]:
                self._feed([on.AttemptSentFile(node, message.token, "", replace(message.file, digest=digest))])
            else:
                log.warning("the file %s of node %s could not be had: %s", message.file.path, node, parcel.problem)
            return
        self._feed([FROM_NODE[say.Ended](node, *landed(parcel))])

    def _node_fetches(self, name: str, link: Link, fetch: say.Fetch) -> None:
        if fetch.kind == "blob" and in_store(self._blobs, fetch.name):
            self._serve_blob(link, fetch, fetch.name)
            return
        if fetch.kind == "argument":
            stored = self._stored_argument(name, int(fetch.name) if fetch.name.isdecimal() else -1)
            if stored is not None:
                self._serve_blob(link, fetch, stored.digest)
                return
        super()._node_fetches(name, link, fetch)

    def _stored_argument(self, node: str, token: int) -> File | None:
        found = self._core.state.nodes.get(node)
        job = found.attempts.get(token) if found is not None else None
        if job is None or not job.in_arena:
            return None
        entry = self._ledger.sessions[job.group.session].entries.get(job.number)
        return entry.stored if entry is not None else None

    def _serve_blob(self, link: Link, fetch: say.Fetch, digest: str) -> None:
        if in_store(self._blobs, digest):
            link.serve(fetch.stream, FileSource(self._blobs.path(digest), fetch.offset))
        else:
            link.refuse(fetch.stream, f"there is no blob {digest} here any more")

    def _forget_node(self, node: str) -> Link | None:
        landing = self._nodes_landing.pop(node, None)
        if landing is not None:
            landing.close("the node is given up")
        self._gate.forget(of_node(node))
        return super()._forget_node(node)

    async def leave(self) -> None:
        """Nodes carry on without us: no goodbye, so that the next life takes them up again."""
        self._leaving = True
        if self._dialler is not None:
            await self._dialler.close()
        self._relays.abort()
        for link in [*self._clients.values(), *self._nodes.values()]:
            link.abort()

    def needed(self) -> set[str]:
        """Digests of all blobs that facts speak of."""
        return set(self._ledger.needs)


def _is_local(link: Link) -> bool:
    """Whether the other end is on this machine, so that its end of file is its death."""
    return not link.local_address
