"""All tables of the core, and the few changes that touch two of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightwork.config import timers
from lightwork.model.states import ClusterEvent, JobState
from lightwork.model.tokens import make_token
from lightwork.scheduler.core import commands as do
from lightwork.scheduler.core.delays import Delays
from lightwork.scheduler.core.endings import Delivery
from lightwork.scheduler.core.facts import Fact, NodeGone, Ungranted
from lightwork.scheduler.core.field import Field
from lightwork.scheduler.core.host_rules import HostRules
from lightwork.scheduler.core.jobs import Job
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.core.needs import Floating
from lightwork.scheduler.core.nodes import HERE, SECOND_NS, Node, Standing
from lightwork.scheduler.core.orders import Orders
from lightwork.scheduler.core.prospects import Prospects
from lightwork.scheduler.core.queue import Queue
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.tokens import Tokens
from lightwork.scheduler.core.updates import Barrier
from lightwork.wire.messages import File

Commands = list[do.Command]
GRACE_BEATS = 2  # a node's own lease is over before ours, and what it ran is dead


class State:
    """Sessions, nodes and queue: the whole state of a scheduler."""

    def __init__(self, epoch: int = 1, order: str = "fair", resources: Mapping[str, int] | None = None) -> None:
        """`order`: one of policies.ORDERS; `resources`: what the scheduler lends to jobs wherever they run."""
        self.order = order
        self.field = Field(Floating(resources))
        self.exclusive: dict[str, int] = {}  # sessions that want all nodes for themselves; see `exclusive`
        self.charge: tuple[object, ...] | None = None  # which of them was in charge when jobs were placed last
        self.waits_for: Job | None = None  # that must end before it may begin
        self.opened = 0  # sessions, ever
        self.kept_up_ns = 0  # when what runs was charged for
        self.placed = -1  # how far the log of doubts had come when jobs were placed last
        self.sessions: dict[str, Session] = {}
        self.nodes: dict[str, Node] = {}
        self.queue = Queue(self.field)
        self.delays = Delays()
        self.running: dict[int, Job] = {}  # attempts that have started; those that are over leave at the next look
        self.tokens = Tokens(make_token(epoch, 1))
        self.ordinal = 0
        self.now_ns = 0
        self.prospects = Prospects()
        self.listening = ""  # where nodes may join, for people
        self.orders = Orders()
        self.hosts = HostRules()
        self.parting: set[str] = set()  # nodes that were removed, and go when nothing of anybody is there any more
        self.turned_away: dict[str, Node] = {}  # those that dialled again, by name
        self.killing: dict[int, str] = {}  # attempts that are ended for no fault of theirs, and why
        self.barriers: list[Barrier] = []  # who waits for computations to be prepared everywhere
        self.shared = self.cooperative = False  # any number of users; and each may change nodes for all
        self.may_free = False  # there may be nodes that nobody wants any more: they are looked through
        self.leaving: list[tuple[str, str]] = []  # sessions and nodes that part when the jobs there have ended
        self.released: list[tuple[str, str]] = []  # sessions that nodes have forgotten while they go on elsewhere
        self.ledger: Ledger | None = None  # None: nothing survives us
        self.recorded = 0  # facts, in this life
        self.fresh: list[do.Record] = []  # facts of this turn
        self.gone: list[str] = []  # nodes that were forgotten in this turn
        self.attached: dict[str, int] = {}  # sessions whose client is connected, and which life of it
        self.sent: dict[tuple[str, int], list[File]] = {}  # files of running jobs whose client is not there
        self.awaited: set[str] = set()  # nodes that may have jobs of an earlier life; nothing is placed meanwhile
        self.late: dict[str, dict[int, Job]] = {}  # by node: ends that are to come, of attempts that were given up
        self.restoring = False  # since a restart, until they have told, or their lease is over
        self.full = False  # there is no room to write down more jobs
        self.twins_started = self.twins_won = self.retried = 0
        self.speculative = False  # jobs that may have twins have run
        self.looked_ns = 0  # when running jobs were looked at for twins
        self.look_ns = 0  # when to look again; 0: not before something changes
        self.wake_ns = 0  # when we asked to be fed
        self.wall_ns = 0  # ns since 1970 minus ours; shown and written down, decides nothing
        self.set_timers()

    def set_timers(self, *, ask_s: float = 0.0, beat_s: float = 0.0) -> None:
        """Seconds between questions to the network, and between heartbeats; 0: as usual."""
        beat_ns = int((beat_s or timers.HEARTBEAT_S) * SECOND_NS)
        self.silent_ns = beat_ns * timers.UNREACHABLE_AFTER_BEATS
        self.hold_ns = int(timers.lease_s(beat_s) * SECOND_NS)  # so long a node may be silent after we were started
        self.lease_ns = self.hold_ns + GRACE_BEATS * beat_ns
        self.lost_ns = int(timers.LOST_S * SECOND_NS)
        self.ask_ns = int((ask_s or timers.ASK_NETWORK_S) * SECOND_NS)

    def record(self, fact: Fact) -> None:
        """It is so from now on, and is written down, if anything is."""
        if self.ledger is not None:
            self.ledger.apply(fact)
            self.recorded += 1
            self.fresh.append(do.Record(self.recorded, fact))

    def lease_of(self, node: Node) -> int:
        """How long it may be silent before it is presumed dead, in ns."""
        return max(self.lease_ns, node.lease_ns + self.lease_ns - self.hold_ns)

    def hold_of(self, node: Node) -> int:
        """How long a restart waits for it, in ns."""
        return max(self.hold_ns, node.lease_ns)

    def open_session(self, name: str, user: str = "", host: str = "") -> Session:
        """A new one."""
        session = self.sessions[name] = Session(name, user, host, self.now_ns)
        self.opened += 1
        session.serial = self.opened
        return session

    def add_node(self, node: Node) -> None:
        """A new one."""
        self.nodes[node.name] = node
        self.field.add(node)

    def forget_node(self, name: str) -> None:
        """Nothing is known of it any more, and nobody waits for it."""
        self.field.remove(self.nodes.pop(name))
        self.awaited.discard(name)
        self.late.pop(name, None)
        for session in self.sessions.values():
            session.limited.pop(name, None)
        if self.ledger is not None and name in self.ledger.nodes:
            self.gone.append(name)

    def note_gone(self) -> None:
        """At the end of a turn: written down before what became of its jobs, it would let these run again."""
        for name in self.gone:
            if name not in self.nodes:
                self.record(NodeGone(name))
        self.gone.clear()

    def alarm(self) -> Commands:
        """When we must be fed again, whatever happens; said once."""
        if not self.look_ns and not self.delays.size:
            return []
        wanted = min(at for at in (self.look_ns, self.delays.next_ns()) if at)
        if self.now_ns < self.wake_ns <= wanted:
            return []
        self.wake_ns = wanted
        return [do.WakeAt(wanted)]

    def end(self, session: Session, job: Job, state: JobState) -> None:
        """The job has its terminal state; its attempt, if it had one, was let go before."""
        job.state = state
        if not job.node and not self.delays.drop(job):
            self.queue.remove(job)
        job.payload = b""
        session.ended(job)

    def requeue(self, jobs: Iterable[Job], *, unstarted: bool) -> None:
        """Jobs whose attempts are no more wait again."""
        waiting = list(jobs)
        if self.ledger is not None:
            for job in waiting:
                if job.group.options.reentrant is False and unstarted:
                    self.record(Ungranted(job.group.session, [job.number]))
        for job in waiting:
            job.take_back(unstarted=unstarted)
        self.queue.put_back(waiting)

    def tell_all(self, event: ClusterEvent, node: Node) -> Commands:
        """Every session hears of a node."""
        status = node.status()
        return [do.TellNode(session, event, status) for session in self.sessions]

    def release_if_done(self, session: Session) -> Commands:
        """A closing session without jobs is forgotten."""
        return self.release(session) if session.closing and not session.jobs and not session.releasing else []

    def release_done(self) -> Commands:
        """The same for all of them: some of their jobs have ended."""
        return [command for session in list(self.sessions.values()) for command in self.release_if_done(session)]

    def release(self, session: Session) -> Commands:
        """All nodes are to forget the session; its end comes when those that are here have. The others will hear of it
        when they are back."""
        self.queue.drop_session(session)
        ours = [node for name, node in sorted(self.nodes.items()) if name in session.shares or name in session.traces]
        session.releasing = {node.name for node in ours if node.standing in HERE}
        told: Commands = [do.Release(node.name, session.name) for node in ours if node.standing is not Standing.DEAD]
        return told if session.releasing else [*told, *self._end_session(session)]

    def forgotten_by(self, session: Session, node: str) -> Commands:
        """A node has forgotten the session, or is gone itself."""
        if node not in session.releasing:
            return []
        session.releasing.discard(node)
        return [] if session.releasing else self._end_session(session)

    def _end_session(self, session: Session) -> Commands:
        del self.sessions[session.name]
        self.exclusive.pop(session.name, None)  # another one may take its name before anything is placed
        self.may_free |= self.shared  # else its program ends, and its scheduler with it
        for node in self.nodes.values():  # nobody will fetch that any more
            node.kept = {token: owner for token, owner in node.kept.items() if owner != session.name}
        return [*self._unlimit(session), *self.orders.session_over(session.name), do.EndSession(session.name)]

    def _unlimit(self, session: Session) -> Commands:
        """Others have the slots again that it did not want used."""
        found = [(self.nodes[name], slots) for name, slots in session.limited.items()]
        for node, slots in found:
            node.limit(slots)
            self.queue.reconsider(node)
        return [do.SetSlots(node.name, node.slots) for node, _ in found]


class Deliveries:
    """Jobs that ended on one node within one event, by session."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._by_session: dict[str, Delivery] = {}

    def of(self, session: str) -> Delivery:
        """The columns of one session."""
        found = self._by_session.get(session)
        if found is None:
            found = self._by_session[session] = Delivery(session, self._node)
        return found

    def finish(self) -> Commands:
        """The commands for each session that has anything."""
        return [command for delivery in self._by_session.values() for command in delivery.finish()]
