"""All nodes as bits of one number, so that what is asked of a thousand of them is one operation.

    node       a     b     c     d   ...          `changed`   where room may have come since the last turn
    bit        1     2     4     8                `rooms`     need -> where there is room for it now
    idle       0     3    -2     1                 buckets    how many slots are idle -> where
                                                   weights    heavier nodes are filled first -> where
    a turn looks at:  what the shape may use  &  what has changed  &  where there is room for its need

What a shape may use (`Shape.fit`) is found by asking `explain.refusal` once for each node. When the answer for some
nodes may be another one (`doubt`), shapes find that in a log, and ask about those again when their turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lightwork.scheduler.core.needs import WHOLE, Amounts, Floating, Need

if TYPE_CHECKING:
    from lightwork.scheduler.core.nodes import Node
    from lightwork.scheduler.core.shapes import Shape

LOG_MAX = 256  # doubts that are remembered one by one
ROOMS_MAX = 256
EXACT = 8  # so many idle slots are told apart; above that, powers of two are


class Room:
    """Where there is room for one more attempt with this need: see `Field.free`. What is `stale` is looked at again."""

    __slots__ = ("bits", "floating", "local", "need", "stale")

    def __init__(self, need: Need, floating: Amounts, stale: int) -> None:
        self.need = need
        self.floating = floating
        self.local: Amounts = tuple(pair for pair in need.amounts if pair not in floating)
        self.bits = 0
        self.stale = stale


class Field:
    """The table of bits."""

    def __init__(self, floating: Floating | None = None) -> None:
        self.floating = floating or Floating()
        self.all = 0
        self.changed = 0
        self._moved = 0  # where bits do not say how things stand
        self.fractions = False  # somebody asks for less than a slot
        self.nodes: list[Node | None] = []
        self.kept: dict[Shape, Node] = {}  # for whom, see `keeping`
        self.claimed: dict[str, Shape] = {}
        self.released = False  # something that was kept is free: others may want it
        self.out: dict[int, int] = {}  # attempts on nodes, by priority
        self._buckets: dict[int, int] = {}
        self._weights: dict[int, int] = {0: 0}
        self._order = [0]  # of weights, the heaviest first
        self._rooms: dict[Need, Room] = {}
        self._log: list[int] = []
        self._base = 0  # so many of the log were forgotten
        self._read = True  # the last of the log was

    # --- nodes ---

    def add(self, node: Node) -> None:
        """It gets a bit."""
        if None in self.nodes:
            index = self.nodes.index(None)
            self.nodes[index] = node
        else:
            index = len(self.nodes)
            self.nodes.append(node)
        node.field, node.bit = self, 1 << index
        self.all |= node.bit
        node.bucket = _bucket(node.idle_slots)
        self._buckets[node.bucket] = self._buckets.get(node.bucket, 0) | node.bit
        self._weigh(node)
        self.doubt(node.bit)
        self.touch(node)

    def remove(self, node: Node) -> None:
        """Its bit is free for another."""
        bit = node.bit
        self._buckets[node.bucket] &= ~bit
        self._weights[node.placed_weight] &= ~bit
        for room in self._rooms.values():
            room.bits &= ~bit
            room.stale &= ~bit
        self.all &= ~bit
        self.changed &= ~bit
        for shape in [shape for shape, kept in self.kept.items() if kept is node]:
            del self.kept[shape]
        self.nodes[bit.bit_length() - 1] = None
        node.bit = 0
        self.doubt(bit)

    def touch(self, node: Node, *, freed: bool = True) -> None:
        """What it has left is another amount; `freed`: perhaps more."""
        self._moved |= node.bit
        if freed:
            self.changed |= node.bit

    def _settle(self) -> None:
        """Bits follow what has moved, once somebody asks."""
        moved, self._moved = self._moved & self.all, 0
        for room in self._rooms.values():
            room.stale |= moved
        for node in self.each(moved):
            bucket = _bucket(node.idle_slots)
            if bucket != node.bucket:
                self._buckets[node.bucket] ^= node.bit
                self._buckets[bucket] = self._buckets.get(bucket, 0) | node.bit
                node.bucket = bucket
            if node.weight != node.placed_weight:
                self._weights[node.placed_weight] &= ~node.bit
                self._weigh(node)

    def _weigh(self, node: Node) -> None:
        node.placed_weight = node.weight
        self._weights[node.weight] = self._weights.get(node.weight, 0) | node.bit
        self._weights = {weight: bits for weight, bits in self._weights.items() if bits}
        self._order = sorted(self._weights, reverse=True)

    def each(self, bits: int) -> Iterator[Node]:
        """The nodes of these bits."""
        nodes = self.nodes
        while bits:
            low = bits & -bits
            node = nodes[low.bit_length() - 1]
            if node is not None:
                yield node
            bits ^= low

    @property
    def idle(self) -> int:
        """Nodes with a slot without an attempt."""
        if self._moved:
            self._settle()
        return self.all & ~(self._buckets.get(0, 0) | self._buckets.get(-1, 0))

    @property
    def crowded(self) -> int:
        """Nodes with more attempts than slots."""
        if self._moved:
            self._settle()
        return self._buckets.get(-1, 0)

    def best(self, bits: int) -> Node:
        """Of these (there must be one) the heaviest, then the idlest, then the first that came."""
        if self._moved:
            self._settle()
        if len(self._order) > 1:
            bits = next(found for weight in self._order if (found := bits & self._weights[weight]))
        if bits & (bits - 1):
            for bucket in sorted(self._buckets, reverse=True):
                if found := bits & self._buckets[bucket]:
                    bits = found
                    break
        node = self.nodes[(bits & -bits).bit_length() - 1]
        assert node is not None
        return node

    # --- room ---

    def room(self, need: Need) -> Room:
        """What is known of where there is room for this."""
        room = self._rooms.get(need)
        if room is None:
            if len(self._rooms) >= ROOMS_MAX:
                self._rooms.clear()
            room = self._rooms[need] = Room(need, self.floating.part(need.amounts), self.all)
            self.fractions = self.fractions or need.cpus < WHOLE
        return room

    def free(self, room: Room, bits: int) -> int:
        """Of these nodes, those where there is room for it now. Only nodes that have a slot are counted out."""
        if self._moved:
            self._settle()
        if room.need.cpus >= WHOLE:
            bits &= self.idle
        if stale := room.stale & bits:
            room.stale ^= stale
            room.bits &= ~stale
            for node in self.each(stale):
                if node.count(room.need.cpus, room.local):
                    room.bits |= node.bit
        return room.bits & bits

    def release(self, shape: Shape, *, node_only: bool = False) -> None:
        """Nothing is kept for this shape any more."""
        node = self.kept.pop(shape, None)
        if node is not None:
            self.changed |= node.bit
            self.released = True
        for name in [] if node_only else [name for name, holder in self.claimed.items() if holder is shape]:
            del self.claimed[name]
            self.floating.changed = self.released = True

    def claim(self, name: str, shape: Shape) -> None:
        """What the scheduler lends by this name is for this shape first."""
        if name in self.claimed:
            self.floating.changed = self.released = True
        self.claimed[name] = shape

    # --- doubts ---

    def doubt(self, bits: int) -> None:
        """Who may use these nodes is to be asked again."""
        if not self._read:  # nobody has seen the last one alone
            self._log[-1] |= bits
            return
        if len(self._log) >= LOG_MAX:
            self._base += len(self._log)
            self._log.clear()
        self._log.append(bits)
        self._read = False

    @property
    def now(self) -> int:
        """How far the log has come."""
        return self._base + len(self._log)

    def doubted(self, since: int) -> int:
        """Nodes in doubt since the log had come so far."""
        self._read = True
        if since < self._base:
            return self.all
        bits = 0
        for one in self._log[since - self._base :]:
            bits |= one
        return bits


def _bucket(idle: int) -> int:
    if idle <= 0:
        return 0 if idle == 0 else -1
    return idle if idle <= EXACT else EXACT + (idle // EXACT).bit_length()
