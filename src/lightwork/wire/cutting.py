"""Frames as they are: where they begin and end, and what must not wait behind what. For who passes them on unread.

    bytes --FrameCutter--> Cut, Cut, ... --Lanes--> urgent  : signs of life; before all others
                                                    control : in order
                                                    bulk    : pieces of streams; when nothing else waits

Small frames come whole, those behind one another in one piece. A large one comes in pieces, as its bytes come: until
its last piece is out nothing else may leave.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from lightwork.config.limits import BODY_MAX, CHUNK, HEADER_MAX, HELLO_MAX
from lightwork.model.errors import FrameTooLong, PeerError, ProtocolError
from lightwork.wire.frames import PREFIX, Buffer
from lightwork.wire.messages import Chunk, Credit, Fetch, Ping, Pong

URGENT, CONTROL, BULK = range(3)
WHOLE_MAX = 128 << 10  # a frame up to this size comes whole
PIECE_COST = 256  # bytes that a piece takes in memory beside its own: small ones may be many
_FIRST = 14  # bytes that tell what a frame is: its prefix, and the tag behind the longest way to begin an array


def _tag(kind: type) -> int:
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]  # msgspec's
    assert isinstance(tag, int)
    return tag


FETCH, CREDIT, CHUNK_TAG = _tag(Fetch), _tag(Credit), _tag(Chunk)
_LANES = {_tag(Ping): URGENT, _tag(Pong): URGENT, CHUNK_TAG: BULK}
_ALONE = (FETCH, CREDIT)  # whoever passes frames on may want to look at these


class Cut(NamedTuple):
    """Whole frames of one lane, or a piece of a large one. `tag`: of a frame that comes alone, else 0."""

    lane: int
    data: Buffer
    tag: int = 0
    ends: bool = True  # with a frame


class FrameCutter:
    """Of one direction of a link. What is wrong with the bytes is told by `error`, and they are not cut any further."""

    def __init__(self, *, greeted: bool = False) -> None:
        self.error: PeerError | None = None
        self._greeted = greeted  # else the first frame is the hello: it comes alone, and must be short
        self._rest = bytearray()  # of a frame that will come whole
        self._missing = 0  # of a large one that has begun

    def cut(self, data: Buffer) -> list[Cut]:
        """What these bytes complete."""
        out: list[Cut] = []
        if self.error is not None:
            return out
        if self._rest:
            self._rest += data
            data, self._rest = bytes(self._rest), bytearray()
        try:
            self._cut(memoryview(data), out)
        except PeerError as error:
            self.error = error
        return out

    def _cut(self, view: memoryview, out: list[Cut]) -> None:
        at = run = 0  # whole frames of one lane from `run` to `at` have not been given out yet
        run_lane = CONTROL
        end = len(view)
        while at < end:
            if self._missing:
                take = min(self._missing, end - at)
                self._missing -= take
                out.append(Cut(CONTROL, view[at : at + take], ends=not self._missing))
                at = run = at + take
                continue
            size = self._measure(view[at:])
            if not size or (size > end - at and size <= WHOLE_MAX):
                break
            tag = _tag_of(view, at) if self._greeted else 0
            lane = _LANES.get(tag, CONTROL)
            alone = lane == BULK or tag in _ALONE or size > end - at or not self._greeted
            self._greeted = True
            if run < at and (alone or lane != run_lane):
                out.append(Cut(run_lane, view[run:at]))
                run = at
            if not alone:
                run_lane = lane
                at += size
                continue
            if size > end - at:
                self._missing = size
            else:
                out.append(Cut(lane, view[at : at + size], tag))
                at += size
            run = at
        if run < at:
            out.append(Cut(run_lane, view[run:at]))
        self._rest += view[at:]

    def _measure(self, view: memoryview) -> int:
        """The size of the frame that begins here; 0: too little of it is here to tell."""
        if len(view) < PREFIX.size:
            return 0
        header, body = PREFIX.unpack_from(view)
        most = (HEADER_MAX, BODY_MAX) if self._greeted else (HELLO_MAX, 0)
        if header > most[0] or body > most[1]:
            raise FrameTooLong(
                f"a frame of {header:,} + {body:,} bytes was announced; at most {most[0]:,} + {most[1]:,}"
            )
        size = int(PREFIX.size + header + body)
        if len(view) < min(size, _FIRST):
            return 0
        if body > CHUNK and self._greeted and _tag_of(view, 0) == CHUNK_TAG:
            raise FrameTooLong(f"Chunk of {body:,} bytes; at most {CHUNK:,}")
        return size


def _tag_of(view: memoryview, at: int) -> int:
    """What kind of message the frame at this place is (tags are below 128: one byte)."""
    size = PREFIX.unpack_from(view, at)[0]
    begins = at + PREFIX.size
    first = view[begins] if size else 0
    place = {0xDC: 3, 0xDD: 5}.get(first, 1 if 0x90 <= first <= 0x9F else size)
    if place >= size:
        raise ProtocolError("not a message")
    return view[begins + place]


class Lanes:
    """What waits for its way out."""

    __slots__ = ("_lanes", "midst", "size")

    def __init__(self) -> None:
        self.size = 0  # bytes, as they are in memory
        self.midst = False  # a large frame has begun to leave
        self._lanes: tuple[deque[Cut], deque[Cut], deque[Cut]] = (deque(), deque(), deque())

    def put(self, cut: Cut) -> None:
        """The bytes are kept as they are, and must not change."""
        self._lanes[cut.lane].append(cut)
        self.size += len(cut.data) + PIECE_COST

    def best(self) -> int | None:
        """The lane that `take` takes from; None: nothing can leave now."""
        if self.midst:
            return CONTROL if self._lanes[CONTROL] else None
        return next((lane for lane, waiting in enumerate(self._lanes) if waiting), None)

    def take(self) -> Buffer:
        """The next piece; only if there is a `best` lane."""
        lane = self.best()
        assert lane is not None
        cut = self._lanes[lane].popleft()
        if lane == CONTROL:
            self.midst = not cut.ends
        self.size -= len(cut.data) + PIECE_COST
        return cut.data

    def clear(self) -> None:
        """Nobody wants it any more."""
        for lane in self._lanes:
            lane.clear()
        self.size, self.midst = 0, False
