"""A node as a program of its own: one agent after the other, each for one claim.

    scheduler dials --check--> Claims: free? --> Claim(agent) <--links--> scheduler     (core.claims, claims_link.py)
    we dial (station_join.py) ------------------^     |
                                                      +-- over: goodbye, lease --> agent stops, all its files go,
                                                                                   a new agent, free

Only the process, its directory, the cache of blobs and what is owed to durable schedulers last longer than a claim.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import time
from collections.abc import Callable

from lightwork.config import timers
from lightwork.config.paths import user_name
from lightwork.kit.clock import monotonic_ns
from lightwork.kit.owner_log import OwnerLog
from lightwork.kit.tasks import spawn as spawn_task
from lightwork.kit.text import span
from lightwork.kit.version import __version__
from lightwork.model.errors import AlreadyConnected, LightworkError, LinkBroken, NodeBusy, PeerError
from lightwork.node.core.claims import Claims
from lightwork.node.core.tenure import STALE
from lightwork.node.service.agent import Agent
from lightwork.node.service.claims_link import Claim, named, session_of
from lightwork.node.service.durable import keep_for
from lightwork.node.service.station_agents import Agents, StationOptions
from lightwork.node.service.station_duty import Duty
from lightwork.node.service.station_home import Home
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.wire.dialogue import BUSY, CONNECTED
from lightwork.wire.messages import PROTOCOL, Hello, Leaving, Refused

ROLE, LEAVING = "role", "leaving"  # codes of refusals, beside those of wire.dialogue
AGAIN_S = 1.0  # until an agent that could not be started is tried again
Batches = list[tuple[Link, Batch]]


class Station(Receiver):
    """Everything of a node program but where its links come from."""

    def __init__(self, options: StationOptions, home: Home, log: OwnerLog) -> None:
        self.options = options
        self.home = home
        self.log = log
        self.claims = Claims(int(timers.LINE_S * 1e9))
        self.claim: Claim | None = None
        self.leaving = False
        self.duty = Duty(self, options.rules)
        self._agents = Agents(options, home, log)
        self._renewing: asyncio.Task[None] | None = None
        self._pending: Link | None = None  # goes on with the next agent
        self._early: Batches = []
        self._again = ""
        self._pause_s = 0.0
        self.on_over: Callable[[Claim], None] = lambda claim: None
        self._parting: Link | None = None
        self._parted = asyncio.Event()

    # --- life ---

    @property
    def agent(self) -> Agent | None:
        """The one that works now; None between two claims."""
        return self._agents.current

    async def start(self) -> None:
        """Have an agent. StartFailed, OSError, UserError: it cannot be had."""
        await self._agents.begin(self._agent_failed)
        if self.agent is not None:
            self.duty.instruct(self.agent)

    async def stop(self, reason: str) -> None:
        """End all, at once. What a scheduler still wants is lost, and it is told: when nothing runs here any more."""
        self.leaving = True
        claim, self.claim = self.claim, None
        link = claim.link if claim is not None else None
        if claim is not None:
            claim.close(link)
        if self._renewing is not None:
            await asyncio.wait([self._renewing])
        await self._agents.close()
        self.home.freed()
        if link is not None and link.up:
            self._parting, self._parted = link, asyncio.Event()
            link.close(reason)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._parted.wait(), timers.LINK_CLOSE_S)
        self.home.leave()

    def hello(self) -> Hello:
        """What we say of ourselves."""
        home = self.home
        return Hello(
            PROTOCOL,
            "node",
            home.name,
            home.identity,
            software=f"lightwork {__version__}",
            pid=os.getpid(),
            host=platform.node(),
            user=user_name(),
        )

    def _agent_failed(self, agent: Agent) -> None:
        """A fault of ours, told already: whoever has us must not wait for what this agent knew."""
        if self._renewing is None:
            self._pause_s = AGAIN_S
            self.over("the node agent has failed")

    # --- who may come in ---

    def check(self, hello: Hello) -> Refused | None:
        """May this scheduler have us? For a listener."""
        if hello.role != "scheduler":
            return Refused(ROLE, f"this is a node: it works for schedulers, not for a {hello.role}")
        unwilling = self.duty.unwilling
        if unwilling and (self.claim is None or self.claim.session != session_of(hello)):
            self.log.say(f"{named(hello)} waits: this node is {unwilling}", named(hello))
            return Refused(BUSY, unwilling, "it is asked again until it is open")
        if self.leaving and (self.claim is None or self.claim.session != session_of(hello)):
            return Refused(LEAVING, f"node {self.home.name} is being stopped")
        if self._is_stale(hello):
            return self._stale(hello)
        claim = self.claim
        if claim is not None and not claim.overdue():  # else it is over now
            self.claims.unreachable, self.claims.orphans = claim.unreachable, claim.orphans
        who = named(hello)
        reason = self.claims.asked(session_of(hello), who, monotonic_ns(), time.strftime("%H:%M:%S"))
        if reason:
            self.log.say(f"{who} waits: this node is {reason}", who)
            return Refused(BUSY, reason, "it is asked again until it is free")
        if self.claim is not None and self.claim.sound() and hello.epoch <= self.claim.epoch:
            return Refused(CONNECTED, f"node {self.home.name} is connected with this scheduler already")
        return None

    def _is_stale(self, hello: Hello) -> bool:
        return not self.home.epochs.admits(session_of(hello), hello.epoch)

    def _stale(self, hello: Hello) -> Refused:
        """Said to an earlier life of a scheduler: whatever it believes, another one goes on with its work."""
        who, latest = named(hello), self.home.epochs.seen[session_of(hello)]
        self.log.say(f"{who} is refused: life {hello.epoch} of it, and life {latest} was here", f"stale {who}")
        return Refused(STALE, f"node {self.home.name} works for a later life of this scheduler: {latest}")

    def check_scheduler(self, hello: Hello) -> Refused | None:
        """Is this one who may have us? For who dials."""
        if hello.role == "scheduler":
            return self._stale(hello) if self._is_stale(hello) else self._may_replace(hello)
        hint = "a node joins schedulers; other nodes are found by these"
        return Refused(ROLE, f"what answers there is a {hello.role}, no scheduler", hint)

    def _may_replace(self, hello: Hello) -> Refused | None:
        """Another one may answer where ours was; but what runs for a durable one is not given up for that."""
        claim = self.claim
        if claim is None or claim.session == session_of(hello) or not claim.epoch or claim.overdue():
            return None
        return Refused(BUSY, f"node {self.home.name} still works for {named(claim.peer)}, who was there before")

    # --- links (Receiver) ---

    def link_up(self, link: Link) -> None:
        """A scheduler is there, for the first time or again."""
        if self.claim is not None:
            self.claim.overdue()  # if we were stopped ourselves, nothing goes on
        claim = self.claim
        if claim is not None and claim.session == session_of(link.peer):
            self.home.seen(claim.session, link.peer.epoch)
            self.log.say(f"connected with {named(claim.peer)} again")
            claim.attach(link)
        elif claim is not None:  # by our own dialling: another scheduler has taken the place of ours
            claim.close()
            self.over("another scheduler answers there now")
            self._wait(link)
        elif self._renewing is not None:
            self._wait(link)
        else:
            self._begin(link)

    def received(self, link: Link, batch: Batch) -> None:
        """Messages of a scheduler."""
        if self.claim is not None:
            self.claim.received(link, batch)
        elif link is self._pending:
            self._early.append((link, batch))

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """Within the lease it may come back."""
        if link is self._pending:
            self._wait(None)
        if link is self._parting:
            self._parted.set()
        claim = self.claim
        if claim is not None and link is claim.link:
            reason = f": {error.args[0]}" if error is not None and error.args else ""
            lease = f"it has {span(round(claim.left_s()))} to come back"
            self.log.say(f"the connection with {named(claim.peer)} is lost{reason}; {lease}")
            claim.detach(link)

    def link_refused(self, address: str, error: LightworkError) -> None:
        """A stranger, or one with another secret. (Who was told to wait is told of in `check`; who left without a
        word wants nothing.)"""
        if isinstance(error, NodeBusy | AlreadyConnected | LinkBroken):
            return
        host, text = address.rpartition(":")[0], str(error.args[0] if error.args else error)
        if isinstance(error, PeerError) and host:
            text = text.replace(address, host)  # its port is another each time
            text = f"refused: {text}" if host in text else f"refused {host}: {text}"
            text += f" ({error.hint})" if error.hint else ""
        self.log.say(text, host or "ourselves", stranger=bool(host))

    # --- claims ---

    def _begin(self, link: Link, again: str = "") -> None:
        """A claim; or one that has begun `again`, under the same number."""
        agent, peer = self.agent, link.peer
        if agent is None or self.leaving:
            link.close("the node is being stopped")
            return
        session = session_of(peer)
        if self.home.last_session != session:  # what our predecessor left is another's
            agent.news = []
            agent.hands.spool.clear()
        self.home.claimed(session)
        if peer.epoch and not self._keeps_for(agent, session, peer.epoch):
            link.abort()
            self.over("")
            return
        self.claim = Claim(self, agent, peer, again)
        self.log.say(f"claimed by {named(peer)} at {link.address}")
        if again:
            self.claim.begin_on(link)
        else:
            self.claim.attach(link)

    def _keeps_for(self, agent: Agent, session: str, epoch: int) -> bool:
        """Whether what a durable scheduler is owed can be kept here."""
        self.home.seen(session, epoch)
        try:
            agent.damaged(keep_for(agent, session))
        except OSError as error:
            self.log.say(f"nothing can be kept in {self.home.directory}: {error}", "keep")
            self._pause_s = AGAIN_S
            return False
        return True

    def over(self, why: str, again: Link | None = None) -> None:
        """A claim is over (Owner)."""
        claim, self.claim = self.claim, None
        if claim is not None:
            if again is None and self.agent is not None:
                self.duty.over(self.agent)
            claim.close(again)
            self.log.say(f"the claim of {named(claim.peer)} is over: {why}")
            if again is None:
                self.on_over(claim)
        self._wait(again)
        self._again = claim.number if claim is not None and again is not None else ""
        if again is None:
            self.claims.ended()
        if self._renewing is None and not self.leaving:
            self._renewing = spawn_task(self._renew(), "end a claim")

    def release(self, why: str) -> None:
        """Nothing of the claim is left here, and our owner wants no more of it: goodbye."""
        claim = self.claim
        link = claim.link if claim is not None else None
        if claim is not None:
            claim.send(Leaving(why))
            claim.close(link)
        self.over(why)
        if link is not None and link.up:
            link.close(why)

    def _wait(self, link: Link | None) -> None:
        """This link goes on with the next agent; what comes over it meanwhile is kept."""
        if self._pending is not None and self._pending is not link:
            self._pending.abort()
        self._pending, self._early, self._again = link, [], ""

    async def _renew(self) -> None:
        """Everything of the last claim goes; then we are free."""
        await asyncio.sleep(self._pause_s)
        self._pause_s = 0.0
        done = False
        while not done:
            try:
                await self._agents.end()
                self.home.freed()
                if not self.leaving:
                    await self.start()
                done = True
            except Exception as error:  # noqa: BLE001  # whatever it is: this node is of no use until it is over
                self.log.say(f"this node cannot work at the moment: {type(error).__name__}: {error}", "start")
                await asyncio.sleep(AGAIN_S)
                done = self.leaving
        self._renewing = None
        link, early, again = self._pending, self._early, self._again
        self._pending = None
        self._wait(None)
        if link is not None and link.up:
            self._begin(link, again)
            for _, batch in early:
                self.received(link, batch)
        else:
            self.claims.freed()
            if not self.leaving:
                self.log.say("free again")
