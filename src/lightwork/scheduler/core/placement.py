"""Jobs to nodes. A turn comes after each batch of events:

    for each priority, the highest first
        among its stakes, whose turn it is by the policy (policies)
            the shape whose first job was submitted first
                --> a node that may run it, that has changed, and has room  --> Assign, and again from the stakes
                --> none has room: *blocked*. It is passed by others, but
                      a node is kept for it (`keeping`), where others get nothing until it has had its turn;
                      nobody later goes ahead where it waits for a slot, nor takes what it lacks of the scheduler's own

A shape is looked at if it is new (`fresh`), or if what has changed since the last turn is of use to it: what was full
then and has not changed is full still. So a turn costs what it moves, however many jobs wait and nodes there are.

A node gets one job per slot of a computation that nobody has measured, and then as many ahead as it will have done in
about 50 ms (`Node.room`): tiny jobs travel in batches, long ones go one at a time, and nothing waits for a timer.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace

from lightwork.scheduler.core.commands import Command
from lightwork.scheduler.core.exclusive import Charge, in_charge
from lightwork.scheduler.core.explain import cap_left, refusal
from lightwork.scheduler.core.handing_out import assign
from lightwork.scheduler.core.keeping import claim, closed_to, holder_of, keep, may_borrow, tidy
from lightwork.scheduler.core.needs import PLENTY
from lightwork.scheduler.core.nodes import Node
from lightwork.scheduler.core.policies import FAIR, KEYS, SUBMITTED
from lightwork.scheduler.core.queue import LAST
from lightwork.scheduler.core.sessions import Session
from lightwork.scheduler.core.shapes import NEVER, Level, Shape, Stake
from lightwork.scheduler.core.slot_time import keep_up
from lightwork.scheduler.core.state import State

QUANTUM_NS = 10_000_000  # so much slot time goes out at once, whoever comes next
FEW = 4  # nodes: of so few, one is kept at once; where there are more, another one may have room any moment,
PASSED_MAX = 4  # and the shape is passed by others in so many turns before
KEEP_UP_NS = 10_000  # for each running attempt, between two looks at what they had: a few percent of our time
LOOKED_AT = 64  # nodes, for room ahead: all of them have work, and will be heard of again

Waiting = list[tuple[int, Shape]]  # a heap: shapes of one stake, by their first job
Blocked = list[tuple[Shape, int]]
Entrants = list[tuple[float, int, Stake, Waiting]]  # a heap: stakes, by whose turn it is


def place(state: State) -> tuple[list[Command], Blocked]:
    """Hand out what can be handed out now; and which shapes found no room, and where they had looked."""
    if not state.queue.size:
        for shape in list(state.queue.shapes()):  # all that they had was cancelled
            state.queue.first(shape)
        state.field.changed = 0
        return [], []
    turn = Turn(state)
    turn.run()
    return turn.commands, turn.blocked


class Turn:
    """One of them. `barred`: where nobody goes ahead any more, for somebody earlier waits for a slot there."""

    def __init__(self, state: State) -> None:
        self.commands: list[Command] = []
        self.blocked: Blocked = []
        self._state = state
        self._queue, self._field = state.queue, state.field
        self._charge: Charge | None = None
        self._barred = 0
        self._looked = 0

    def run(self) -> None:
        """Until nothing fits any more."""
        state, field = self._state, self._field
        if state.exclusive or state.charge is not None:
            self._charge = in_charge(state)
            if self._charge != state.charge:  # who had to wait need not any more
                state.charge = self._charge
                for shape in self._queue.shapes():
                    shape.fresh = True
        lone = self._queue.lone()
        if lone is not None and not field.kept and self._charge is None:
            self._serve_lone(lone)
        else:
            self._serve_all()
        field.changed = 0
        field.floating.changed = False

    def _serve_lone(self, shape: Shape) -> None:
        """Nobody else waits: the same, without asking whose turn it is."""
        if shape.stake.session.congested:
            return
        queue = self._queue
        while (group := queue.first(shape)) is not None:
            found = self._find(shape)
            if found is None:
                self._block(shape)
                return
            node, room = found
            jobs = queue.take(group, room, queue.following(shape))
            shape.since = NEVER
            if self._field.claimed:
                self._field.release(shape)
            self.commands += assign(node, shape.stake.session, jobs, self._state.tokens)

    def _serve_all(self) -> None:
        field, state = self._field, self._state
        self._key = KEYS[state.order]
        if field.kept or field.claimed:
            tidy(self._queue, field, self._charge)
        field.released = True
        while field.released:  # what was kept and is free may be of use to those who were looked at before
            field.released = False
            for level in self._queue.levels():
                if level.stakes:
                    self._serve_level(level)
            if field.kept or field.claimed:
                tidy(self._queue, field, self._charge)

    def _serve_level(self, level: Level) -> None:
        entrants: Entrants = []
        state = self._state
        if len(level.stakes) > 1 and state.now_ns - state.kept_up_ns > KEEP_UP_NS * len(state.running):
            keep_up(state)
        for stake in list(level.stakes):
            waiting = self._waiting(stake)
            if waiting:
                entrants.append((self._key(stake, waiting[0][0]), stake.number, stake, waiting))
        heapify(entrants)
        while entrants:
            _, number, stake, waiting = entrants[0]
            following = min((entry[0] for entry in entrants[1:3]), default=None)
            if self._serve(stake, waiting, following):
                level.reached = max(level.reached, stake.passed)
            if waiting:
                heapreplace(entrants, (self._key(stake, waiting[0][0]), number, stake, waiting))
            else:
                heappop(entrants)

    def _waiting(self, stake: Stake) -> Waiting:
        """Its shapes that may find room now."""
        session = stake.session
        if session.congested:
            return []
        limit = self._limit(session)
        waiting: Waiting = []
        for shape in list(stake.shapes):
            if not self._reach(shape):
                continue
            group = self._queue.first(shape)
            if group is not None and group.line[0].ordinal < limit:
                waiting.append((group.line[0].ordinal, shape))
        heapify(waiting)
        return waiting

    def _limit(self, session: Session) -> int:
        return LAST if self._charge is None else self._charge.limit(session.name)

    def _reach(self, shape: Shape) -> int:
        """Where it may find room that it did not find before."""
        field = self._field
        if shape.seen != field.now:
            refresh(self._state, shape)
        if shape.fresh or (field.floating.changed and field.floating.part(shape.need.amounts)):
            shape.fresh = True
            reach = shape.fit
        else:
            reach = shape.fit & (field.changed | shape.news)
        return reach & shape.preferred(self._bits(shape.avoid)) if shape.avoid else reach

    def _bits(self, names: frozenset[str]) -> int:
        nodes = self._state.nodes
        return sum(nodes[name].bit for name in names if name in nodes)

    def _serve(self, stake: Stake, waiting: Waiting, following: float | None) -> bool:
        """Its first shape gets some of its jobs placed, or is blocked."""
        shape = waiting[0][1]
        queue = self._queue
        group = queue.first(shape)
        found = self._find(shape) if group is not None else None
        if group is None or found is None:
            heappop(waiting)
            if group is not None:
                self._block(shape)
            return False
        node, room = found
        limit = self._limit(stake.session)
        before = min(limit, queue.following(shape), *(entry[0] for entry in waiting[1:3]))
        if following is not None and self._state.order == SUBMITTED:
            before = min(before, int(following))
        count = min(room, self._quota(stake, shape, following))
        jobs = queue.take(group, count, before)
        if jobs:
            self.commands += assign(node, stake.session, jobs, self._state.tokens)
            shape.since = NEVER
            if self._field.kept or self._field.claimed:
                self._field.release(shape)
        group = queue.first(shape)
        if group is None or group.line[0].ordinal >= limit:
            heappop(waiting)
        else:
            heapreplace(waiting, (group.line[0].ordinal, shape))
        return bool(jobs)

    def _quota(self, stake: Stake, shape: Shape, following: float | None) -> int:
        """How many jobs of it may go before it is another one's turn."""
        if following is None or self._state.order != FAIR:
            return PLENTY
        cost_ns = max(1, shape.cost_ns())
        ahead = int(max(0.0, following - stake.passed) * stake.session.weight / cost_ns) + 1
        return max(ahead, QUANTUM_NS // cost_ns)

    # --- where ---

    def _find(self, shape: Shape) -> tuple[Node, int] | None:
        """A node, and how many of its jobs there is room for; None: nowhere."""
        field = self._field
        self._looked = reach = self._reach(shape)
        session = shape.stake.session
        if shape.fit == reach and not reach & (reach - 1) and shape.need.plain and not shape.once and not field.kept:
            return self._find_there(shape, session, reach) if reach else None
        room = field.room(shape.need)
        most = field.floating.count(room.floating) if room.floating else PLENTY
        if not most or (field.claimed and not may_borrow(field, shape, room.floating)):
            self._looked = 0  # it is not for want of room
            return None
        beside = 0
        if field.kept:
            closed, beside = closed_to(field, shape)
            reach &= ~closed
        while free := reach & room.bits:
            node = field.best(free)
            holder = holder_of(field, node, shape) if beside & node.bit else None
            other = holder.need if holder is not None else None
            fits = min(node.count(shape.need.cpus, room.local, other), most) if self._still(node, session, shape) else 0
            share = session.shares.get(node.name)
            if fits and share is not None and share.cap:
                fits = min(fits, cap_left(node, session, shape))
            if fits:
                return node, fits
            reach &= ~node.bit
        return self._find_ahead(shape, session, reach & ~beside)

    def _find_there(self, shape: Shape, session: Session, bit: int) -> tuple[Node, int] | None:
        """There is only this node for it, and one slot is all it takes."""
        node = self._field.nodes[bit.bit_length() - 1]
        if node is None or not self._still(node, session, shape):
            return None
        most = self._ahead(node, session, shape)
        if self._barred & bit:
            most = min(most, node.idle_slots)
        return (node, most) if most > 0 else None

    def _find_ahead(self, shape: Shape, session: Session, reach: int) -> tuple[Node, int] | None:
        """All slots are taken: where it will be done soon."""
        if not shape.need.plain or shape.once or not shape.record.mean_ns:
            return None
        reach &= ~self._barred
        best, most = None, 0
        for looked, node in enumerate(self._field.each(reach)):
            if looked == LOOKED_AT:
                break
            ahead = self._ahead(node, session, shape)
            if ahead > most and self._still(node, session, shape):
                best, most = node, ahead
        return (best, most) if best is not None else None

    def _ahead(self, node: Node, session: Session, shape: Shape) -> int:
        share = session.shares.get(node.name)
        ahead = node.room(shape)
        return ahead if share is None or not share.cap else min(ahead, cap_left(node, session, shape))

    def _still(self, node: Node, session: Session, shape: Shape) -> bool:
        """Asked once more: not all that speaks against a node is told of in time."""
        if refusal(node, session, shape.sample) is None:
            return True
        shape.fit &= ~node.bit
        self._field.doubt(node.bit)
        return False

    def _block(self, shape: Shape) -> None:
        """It finds no room: others may pass it, but not for ever."""
        self.blocked.append((shape, self._looked))
        shape.fresh, shape.news = False, 0
        if shape.need.plain:
            self._barred |= shape.fit
        if shape.since is NEVER:
            self._queue.blocked += 1
            shape.since, shape.passed = (-shape.stake.priority, self._queue.blocked), 0
        field = self._field
        if not shape.need.plain or field.fractions or field.kept or field.claimed:
            claim(field, shape)
            shape.passed += 1
            many = shape.passed <= PASSED_MAX and shape.fit.bit_count() > FEW
            if not many and self._queue.lone() is None:
                keep(field, shape, self._state.now_ns)


def refresh(state: State, shape: Shape) -> None:
    """Ask again where the shape may run, about the nodes that are in doubt."""
    field = state.field
    doubted = field.doubted(shape.seen)
    fit = shape.fit & field.all & ~doubted
    session = shape.stake.session
    for node in field.each(doubted & field.all):
        if refusal(node, session, shape.sample) is None:
            fit |= node.bit
    shape.news |= fit & (doubted | ~shape.fit)
    shape.fit, shape.seen = fit, field.now
