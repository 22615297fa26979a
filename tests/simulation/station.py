"""A node program: one agent after the other, each for one claim, as the real tenure says (node/service/claims_link.py).

    scheduler --link--> tenure: believed? --> agent (agent.py)
                          |                     |
                          +------- outbox <-----+

An agent that is killed takes its workers with it; rings and what is kept stay, and the next one begins with them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from lightwork.config import timers
from lightwork.model.errors import LightworkError
from lightwork.node.core import tenure as do
from lightwork.node.core.claims import Claims
from lightwork.node.core.keeping import Due
from lightwork.node.core.tenure import STALE, Epochs, Phase, Tenure
from lightwork.transport.outbox import Outbox, Received
from lightwork.wire import messages as say
from tests.simulation.agent import Agent, open_custody
from tests.simulation.clock import MS, SECOND, Killed, Process
from tests.simulation.kept import no_room
from tests.simulation.links import Link
from tests.simulation.machine import Machine

if TYPE_CHECKING:
    from tests.simulation.world import World


SOUND_BEATS = 3


class Station(Process):
    """One life of it."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__(f"{machine.name}.{number}", machine.name)
        self.process = self
        self.machine = machine
        self.world: World = machine.world
        self.clock = machine.clock
        self.beat_ns = self.world.beat_ns
        self.tenure: Tenure | None = None
        self.scheduler = ""  # its identity
        self.epochs = Epochs(machine.epochs)
        self.claims = Claims(int(timers.LINE_S * SECOND))
        self.outbox, self.inbound = Outbox(), Received()
        self.due: deque[Due] = deque()
        self.told_ns = self.clock.now  # when its scheduler has last said anything
        self.dialling = False
        self.tries = self.beats = self.numbers = 0
        self.die_at_write = ""
        self.agent = Agent(self)

    # --- life ---

    def start(self) -> None:
        """What earlier agents left becomes kept ends; then look for the scheduler."""
        for scheduler, home in self.machine.homes.items():
            if home.rings:
                open_custody(self, scheduler)
        self.clock.later(0, self, self.dial)
        self.clock.later(int(self.world.random.random() * self.beat_ns), self, self._beat)

    def killed(self) -> None:
        """kill -9, and the keeper's end of file with it."""
        self.world.station_died(self)

    def writes(self, when: str) -> None:
        """Something is about to be written, or just was."""
        if self.die_at_write == when:
            raise Killed(self)
        if when == "before" and self.machine.full:
            raise no_room()

    # --- links (Owner) ---

    @property
    def link(self) -> Link | None:
        """The one that is up, welcomed or not."""
        return self.tenure.link if self.tenure is not None else None

    def check(self, hello: say.Hello) -> say.Refused | None:
        """May this scheduler have us? (Listener; node/service/station.py)"""
        if not self.epochs.admits(hello.session, hello.epoch):
            return say.Refused(STALE, "a later life of it was seen here")
        self._overdue()
        reason = self.claims.asked(hello.session, hello.session, self.clock.now, "")
        if reason:
            return say.Refused("busy", reason)
        return say.Refused("connected", "it has us already") if self._sound() else None

    @property
    def orphaned(self) -> bool:
        """Whether what runs here runs on without its scheduler."""
        return self.tenure is not None and self.tenure.phase is Phase.ORPHANED

    def _sound(self) -> bool:
        tenure = self.tenure
        if tenure is None or not tenure.live or tenure.link is None or not tenure.link.up:
            return False
        return tenure.pulse.age_ns(self.clock.now) <= SOUND_BEATS * self.beat_ns

    def receiver(self, hello: say.Hello) -> Station:
        """Who gets the link."""
        return self

    def dial(self) -> None:
        """Try to reach the scheduler, unless it is to reach us."""
        if self.link is None and not self.dialling and not self.world.listening:
            self.dialling = True
            self.world.net.dial(self, "s", self.hello(), self, self._not_reached)

    def hello(self) -> say.Hello:
        """What we say of ourselves."""
        return say.Hello(say.PROTOCOL, "node", self.machine.name, f"id-{self.machine.name}", host=self.machine.name)

    def _not_reached(self, refused: say.Refused | None) -> None:
        self.dialling = False
        self._dial_again()

    def _dial_again(self) -> None:
        self.tries += 1
        wait_s = timers.RETRY_S if self.tries < 30 else timers.RETRY_MAX_S
        self.clock.later(int(wait_s * SECOND), self, self.dial)

    def link_up(self, link: Link) -> None:
        """A scheduler answers."""
        self.dialling, self.tries = False, 0
        peer = link.peer
        if not self.epochs.admits(peer.session, peer.epoch):
            link.abort()
            return
        self._overdue()
        if peer.epoch and self.epochs.note(peer.session, peer.epoch):
            self.machine.epochs = dict(self.epochs.seen)
        if self.tenure is None:
            self._claimed(peer)
        assert self.tenure is not None
        self._obey(self.tenure.linked(link, peer.epoch, self.clock.now))

    def _claimed(self, peer: say.Hello, number: str = "") -> None:
        self.scheduler = peer.session
        orphan_ns = int(self.world.orphan_s * SECOND)
        self.tenure = Tenure(peer.lease_ms * MS, orphan_ns, self.clock.now, self._new_number, peer.epoch, number)
        if peer.epoch:
            self.agent.keep_for(self.scheduler)

    def _new_number(self) -> str:
        self.numbers += 1
        return f"{self.name}:{self.numbers}"

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        """It is gone."""
        tenure = self.tenure
        if tenure is not None and link.left and link is tenure.link:
            self._obey(tenure.left(link, "goodbye"))
        elif tenure is not None:
            tenure.unlinked(link)
        self.clock.later(0 if link.left else 10 * MS, self, self.dial)

    def received(self, link: Link, batch: list[tuple[say.Message, bytes]]) -> None:
        """Messages of the scheduler."""
        if link is not self.link or self._overdue() or link is not self.link:
            return
        assert self.tenure is not None
        self.told_ns = self.clock.now
        self.tenure.pulse.heard()
        for message, body in batch:
            if self.tenure is None or link is not self.link:
                return
            self._take(self.tenure, link, message, body)
        if self.inbound.due():
            self._acknowledge()

    def _take(self, tenure: Tenure, link: Link, message: Any, body: bytes) -> None:
        if isinstance(message, say.Pong):
            tenure.pulse.pong(message.number)
        elif isinstance(message, say.Welcome):
            told = message.resumed, message.received, message.adopts, message.epoch
            self._obey(tenure.welcomed(link, *told, self.clock.now))
        elif not tenure.live:
            return
        elif isinstance(message, say.Ack):
            self.outbox.acknowledged(message.count)
            self._tell_due()
        else:
            self.inbound.note(message, body)
            self.agent.hear(message, body)

    # --- the claim ---

    def _obey(self, commands: do.Commands) -> None:
        for command in commands:
            self.world.did(self, command)
            if isinstance(command, do.Offer):
                command.link.send(self._offer(command.claim))
            elif isinstance(command, do.Drop):
                command.link.abort()
            elif isinstance(command, do.Resume):
                self.outbox.resume(command.link, command.received)
                self.agent.speak(self.say)
            elif isinstance(command, do.Adopt):
                self._adopted()
            elif isinstance(command, do.LetGo):
                self._count_anew()
                self.agent.let_go()
            elif isinstance(command, do.End):
                self._over(command)

    def _offer(self, claim: str) -> say.NodeReady:
        machine = self.machine
        identity = f"id-{machine.name}"
        received = self.inbound.count
        return say.NodeReady(
            machine.name, "", machine.slots, say.Hardware(), 0, identity, claim, received, era=machine.era
        )

    def _adopted(self) -> None:
        self._count_anew()
        custody = self.agent.custody
        if custody is not None:
            self.agent.tell_truth(self.say)
            self.due.extend(custody.keeping.unsettled())
        self.agent.speak(self.say)
        self._tell_due()

    def _tell_due(self) -> None:
        custody = self.agent.custody
        while self.due and custody is not None:
            told = custody.again(self.due.popleft())
            if told is not None:
                self.say(told[0], bytes(told[1]))

    def _count_anew(self) -> None:
        self.outbox, self.inbound = Outbox(), Received()
        self.due.clear()

    def _over(self, end: do.End) -> None:
        """The agent ends, and all with it; the next one begins with what it left."""
        number = self.tenure.number if self.tenure is not None and end.again is not None else ""
        old = self.tenure.link if self.tenure is not None else None
        if old is not None and old is not end.again:
            old.abort()
        self.tenure = None
        self.agent.stop()
        self._count_anew()
        self.agent = Agent(self)
        for scheduler, home in self.machine.homes.items():
            if home.rings:
                open_custody(self, scheduler)
        if end.again is not None:
            self._claimed(end.again.peer, number)
            assert self.tenure is not None
            self._obey(self.tenure.begun_on(end.again, self.clock.now))
        else:
            self.claims.ended()
            self.claims.freed()
            self.clock.later(0, self, self.dial)

    def _overdue(self) -> bool:
        """To be asked before anything is believed."""
        tenure = self.tenure
        if tenure is None:
            return False
        now = self.clock.now
        if tenure.phase is Phase.ORPHANED or tenure.left_ns(now) <= 0:
            self._obey(tenure.passed(now, self.agent.in_hand()))
        return self.tenure is None

    def say(self, message: Any, body: bytes) -> None:
        """Now, or when the scheduler is there again."""
        tenure = self.tenure
        self.outbox.send(tenure.link if tenure is not None and tenure.live else None, message, body)

    # --- the clock ---

    def _beat(self) -> None:
        self.clock.later(self.beat_ns, self, self._beat)
        if self._overdue():
            return
        self.world.oracle.beats(self.machine, self.told_ns)
        tenure = self.tenure
        if tenure is None:
            return
        if tenure.phase is Phase.ORPHANED:
            self.agent.let_go()
        link = tenure.link
        if link is not None and link.up:
            if link.heard:
                link.heard = False
                tenure.pulse.heard()
            if tenure.pulse.beat():
                link.abort()
                return
            link.send(say.Ping(tenure.pulse.ping(self.clock.now)))
            self._acknowledge()
        self.beats += 1
        self.agent.beat(self.beats)

    def _acknowledge(self) -> None:
        ack = self.inbound.ack()
        if ack is not None and self.link is not None and self.tenure is not None and self.tenure.live:
            self.link.send(ack)
