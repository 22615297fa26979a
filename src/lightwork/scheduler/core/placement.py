"""Jobs to nodes. A turn comes after each batch of events:

    for each priority, the highest first
        among its stakes, whose turn it is by the policy (policies)
            the shape whose first job was submitted first
                --> a node that may run it, that has changed, and has room  --> Assign, and again from the stakes
                --> none has room: *blocked*. It is passed by others, but
                      a node is kept for it (`keeping`), where others get nothing until it has had its turn;
                      nobody later goes ahead where it waits for a slot, nor takes what it lacks of the scheduler's own

A shape is looked at if it is new (`fresh`), or if what has changed since the last turn is of use to it: what was full
then and has not changed is full still. And when nothing is left for anybody, the others are not asked: who is new is
blocked, who was is. So a turn costs what it moves, however many jobs wait and nodes there are.

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
from lightwork.scheduler.core.needs import PLENTY, WHOLE
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
        state.field.changed = 0
        return [], []
    turn = Turn(state)
    turn.run()
    return turn.commands, turn.blocked


class Turn:
    """One of them. `barred`: where nobody goes ahead any more, for somebody earlier waits for a slot there. Of a level:
    `open`, `part`, `ahead`: where those who are looked at may find a slot, or less, or go ahead; `stood`: where one
    waited before."""

    def __init__(self, state: State) -> None:
        self.commands: list[Command] = []
        self.blocked: Blocked = []
        self._state = state
        self._queue, self._field = state.queue, state.field
        self._charge: Charge | None = None
        self._barred = self._open = self._part = self._ahead = self._stood = 0
        self._looked = 0

    def run(self) -> None:
        """Until nothing fits any more."""
        state, field = self._state, self._field
        if state.exclusive or state.charge is not None:
            self._charge = in_charge(state)
            if self._charge != state.charge:  # who had to wait need not any more
                state.charge = self._charge
                for shape in self._queue.shapes():
                    self._queue.freshen(shape)
        if not (field.changed or field.floating.changed or self._queue.stirred or field.now != state.placed):
            return
        state.placed = field.now
        lone = self._queue.lone()
        if lone is not None and not field.kept and self._charge is None:
            self._serve_lone(lone)
        else:
            self._serve_all()
        field.changed = 0
        field.floating.changed = self._queue.stirred = False

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
            shape.is_served()
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
        self._open = self._part = self._ahead = self._stood = 0
        if len(level.stakes) > 1 and state.now_ns - state.kept_up_ns > KEEP_UP_NS * len(state.running):
            keep_up(state)
        for stake in list(level.stakes):
            waiting = self._waiting(stake)
            if waiting:
                entrants.append((self._key(stake, waiting[0][0]), stake.number, stake, waiting))
        heapify(entrants)
        while entrants and self._is_something_left():
            _, number, stake, waiting = entrants[0]
            following = min((entry[0] for entry in entrants[1:3]), default=None)
            if self._serve(stake, waiting, following):
                level.reached = max(level.reached, stake.passed)
            if waiting:
                heapreplace(entrants, (self._key(stake, waiting[0][0]), number, stake, waiting))
            else:
                heappop(entrants)
        for shape in [entry[1] for _, _, _, waiting in entrants for entry in waiting]:
            if shape.fresh or shape.since is NEVER:
                self._looked = self._reach(shape)
                self._block(shape)
        self._barred |= self._stood

    def _waiting(self, stake: Stake) -> Waiting:
        """Its shapes that may find room now; and those that wait for a slot, for nobody later may go ahead there."""
        session = stake.session
        if session.congested:
            return []
        limit, field = self._limit(session), self._field
        now, lent, changed = field.now, field.floating.changed, field.changed
        waiting: Waiting = []
        for shape in list(stake.shapes):
            stands = shape.waits & shape.fit
            if not (stands or shape.fresh or lent or shape.seen != now or shape.fit & (changed | shape.news)):
                continue
            reach = self._reach(shape)
            group = self._queue.first(shape) if reach or stands else None
            if group is not None and group.line[0].ordinal < limit:
                self._open |= reach
                self._part |= reach if shape.need.cpus < WHOLE else 0
                self._ahead |= reach if may_go_ahead(shape) else 0
                self._stood |= stands
                waiting.append((group.line[0].ordinal, shape))
        heapify(waiting)
        return waiting

    def _is_something_left(self) -> bool:
        """Whether anybody may find a slot, or asks for less than one, or may go ahead."""
        return self._part != 0 or self._open & self._field.idle != 0 or self._ahead & ~self._barred != 0

    def _limit(self, session: Session) -> int:
        return LAST if self._charge is None else self._charge.limit(session.name)

    def _reach(self, shape: Shape) -> int:
        """Where it may find room that it did not find before."""
        field = self._field
        if shape.seen != field.now:
            refresh(self._state, shape)
        if shape.fresh or (field.floating.changed and field.floating.part(shape.need.amounts)):
            self._queue.freshen(shape)
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
            shape.is_served()
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
        while free := field.free(room, reach):
            node = field.best(free)
            holder = holder_of(field, node, shape) if beside & node.bit else None
            other = holder.need if holder is not None else None
            fits = min(node.count(shape.need.cpus, room.local, other), most) if self._still(node, session, shape) else 0
            if fits and (fits := min(fits, cap_left(node, session, shape))):
                return node, fits
            reach &= ~node.bit
        return self._find_ahead(shape, session, reach & ~beside)

    def _find_there(self, shape: Shape, session: Session, bit: int) -> tuple[Node, int] | None:
        """There is only this node for it, and one slot is all it takes."""
        node = self._field.nodes[bit.bit_length() - 1]
        if node is None or not self._still(node, session, shape):
            return None
        most = self._room(node, session, shape)
        if self._barred & bit:
            most = min(most, node.idle_slots)
        return (node, most) if most > 0 else None

    def _find_ahead(self, shape: Shape, session: Session, reach: int) -> tuple[Node, int] | None:
        """All slots are taken: where it will be done soon."""
        if not may_go_ahead(shape):
            return None
        reach &= ~self._barred
        best, most = None, 0
        for looked, node in enumerate(self._field.each(reach)):
            if looked == LOOKED_AT:
                break
            ahead = self._room(node, session, shape)
            if ahead > most and self._still(node, session, shape):
                best, most = node, ahead
        return (best, most) if best is not None else None

    def _room(self, node: Node, session: Session, shape: Shape) -> int:
        room = node.room(shape)
        return min(room, cap_left(node, session, shape)) if room and session.capped else room

    def _waits_at(self, shape: Shape) -> int:
        """Where there may be room for it: not where its session has all that it is to have."""
        session, nodes = shape.stake.session, self._state.nodes
        found = [nodes[name] for name in session.capped if name in nodes]
        return shape.fit & ~sum(node.bit for node in found if cap_left(node, session, shape) <= 0)

    def _still(self, node: Node, session: Session, shape: Shape) -> bool:
        """Asked once more: not all that speaks against a node is told of in time."""
        if refusal(node, session, shape.sample) is None:
            return True
        shape.fit &= ~node.bit
        self._field.doubt(node.bit)
        return False

    def _block(self, shape: Shape) -> None:
        """It finds no room: others may pass it, but not for ever. (Where it is limited nobody stands aside for it.)"""
        if shape.waits and not self._looked:  # as before
            self._barred |= shape.waits
            return
        shape.fresh, shape.news = False, 0
        waits = self._waits_at(shape) if shape.stake.session.capped else shape.fit
        field = self._field
        if shape.fit and not waits:
            shape.is_served()
            field.release(shape)
            return
        self.blocked.append((shape, self._looked))
        if shape.need.plain:
            shape.waits = waits
            self._barred |= waits
        if shape.since is NEVER:
            self._queue.blocked += 1
            shape.since, shape.passed = (-shape.stake.priority, self._queue.blocked), 0
        if not shape.need.plain or field.fractions or field.kept or field.claimed:
            claim(field, shape)
            shape.passed += 1
            many = shape.passed <= PASSED_MAX and shape.fit.bit_count() > FEW
            if not many and self._queue.lone() is None:
                keep(field, shape, waits, self._state.now_ns)


def may_go_ahead(shape: Shape) -> bool:
    """Whether its jobs may wait on a node: they need a slot and nothing else, and are known to be short."""
    return shape.need.plain and not shape.once and shape.record.mean_ns > 0


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
