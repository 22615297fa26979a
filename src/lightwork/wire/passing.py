"""A relay's side of a node's link: it greets the node, and passes on unread what node and scheduler say to each other.

    node --bytes--> hello                  : ours to judge, as any listener or dialler does
                    Fetch, Credit          : given out one by one, for some are ours to answer
                    all else               : given out as bytes, as `Passed`
         <--------- urgent, ours, control, bulk and streams of our own in turn

Our own words (a refusal, a sign of life, the end of a stream) go between whole frames of what is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from lightwork.config.limits import READ_BUFFER, WRITE_MAX
from lightwork.model.errors import PeerError
from lightwork.wire.connection import Connection
from lightwork.wire.cutting import BULK, CREDIT, FETCH, Cut, FrameCutter, Lanes
from lightwork.wire.dialogue import Check, accept
from lightwork.wire.frames import PREFIX, Buffer, Frame, FrameReader, decode_header, encode_frame
from lightwork.wire.messages import Credit, Fetch, Hello, Message

BLOB = "blob"
_FIRST_BUFFER = 16 << 10  # idle links, and strangers, are cheap


class Passed(Struct):
    """What the service gets for frames that it passes on, beside their bytes."""

    lane: int
    ends: bool  # with a frame


class _PassingReader(FrameReader):
    """Cuts, and reads nothing. Its frames are Cuts, with nothing beside them."""

    def __init__(self) -> None:
        super().__init__()
        self._cutter = FrameCutter()
        self._room = memoryview(bytearray(_FIRST_BUFFER))

    def room(self) -> memoryview:
        """Where the next bytes are to be received."""
        return self._room

    def received(self, count: int) -> list[Frame]:
        """What they complete."""
        cuts: list[Any] = [(cut, b"") for cut in self._cutter.cut(bytes(self._room[:count]))]
        self.error = self._cutter.error
        if count == len(self._room) < READ_BUFFER:
            self._room = memoryview(bytearray(4 * count))
        return cuts


class PassingConnection(Connection):
    """See the picture. `lanes` is for the node; `on_left`: so many bytes of that have left."""

    def __init__(self, hello: Hello, *, listening: bool, check: Check = accept, now: float = 0.0) -> None:
        self.lanes = Lanes()  # for the node
        self.on_left: Callable[[int], None] = lambda size: None
        self.greeting: Callable[[], Hello] | None = None  # for a listener whose hello is not always the same
        self._ours = True  # whose bulk is next
        super().__init__(hello, listening=listening, check=check, now=now)
        self.reader = _PassingReader()

    # --- incoming ---

    def take(self, frames: Iterable[Any]) -> list[Any]:
        """What the service should see: (Fetch, b"") of a blob, (Passed, bytes) of all else."""
        out: list[Any] = []
        for cut, _ in frames:
            if self.error is not None:
                break
            try:
                if self.peer is None:
                    self._first(_decoded(cut))
                elif cut.tag not in (FETCH, CREDIT) or not self._is_ours(_decoded(cut), out):
                    out.append((Passed(cut.lane, cut.ends), cut.data))
            except PeerError as error:
                self.fail(error)
        return out

    def _is_ours(self, message: Message, out: list[Any]) -> bool:
        if isinstance(message, Fetch) and message.kind == BLOB:
            self._server.asked(message)
            out.append((message, b""))
            return True
        return isinstance(message, Credit) and self._server.knows(message.stream) and self._granted(message)

    def _granted(self, credit: Credit) -> bool:
        self._server.granted(credit)
        return True

    # --- outgoing ---

    def _go_up(self, hello: Hello) -> None:
        if self.greeting is not None:
            self.hello = self.greeting()
        super()._go_up(hello)

    def disown(self, stream: int) -> None:
        """This Fetch is to be passed on after all."""
        self._server.drop(stream)

    def close(self, reason: str = "") -> None:
        """What waits still leaves, and nothing is taken any more. No goodbye: the scheduler says its own."""
        self.closing = True
        self._server.close()

    def lost(self) -> None:
        """The line is gone, or ends."""
        super().lost()
        self.lanes.clear()

    def data_to_send(self, most: int = WRITE_MAX) -> list[Buffer]:
        """What goes next; of bulk one piece."""
        out: list[Buffer] = []
        size = passed = 0
        while size < most:
            piece, theirs = self._next_control()
            if piece is None:
                break
            out.append(piece)
            size += len(piece)
            passed += len(piece) if theirs else 0
        if not out and not self.lanes.midst:
            out, passed = self._next_bulk()
        if passed:
            self.on_left(passed)
        return out

    def _next_control(self) -> tuple[Buffer | None, bool]:
        """And whether it is passed on."""
        lanes = self.lanes
        if not lanes.midst and self._urgent:
            (data,) = self._urgent.popleft()
            self.queued_bytes -= len(data)
            return data, False
        lane = lanes.best()
        return (lanes.take(), True) if lane is not None and lane != BULK else (None, False)

    def _next_bulk(self) -> tuple[list[Buffer], int]:
        """In turn; and how much of it is passed on."""
        self._ours = not self._ours
        chunk = self._chunk() if self._ours or self.lanes.best() is None else None
        if chunk is not None:
            return encode_frame(*chunk), 0
        if self.lanes.best() is None:
            return [], 0
        data = self.lanes.take()
        return [data], len(data)

    @property
    def has_output(self) -> bool:
        """Whether there may be something to send."""
        if self.lanes.midst:
            return self.lanes.best() is not None
        return bool(self._urgent) or self.lanes.best() is not None or super().has_output

    def _put(self, message: Message, body: Buffer = b"") -> None:
        """Between whole frames, before all that is passed on."""
        data = b"".join(encode_frame(message, body))
        self._urgent.append([data])
        self.queued_bytes += len(data)


def _decoded(cut: Cut) -> Message:
    view = memoryview(cut.data)
    size = PREFIX.unpack_from(view)[0]
    return decode_header(view[PREFIX.size : PREFIX.size + size])
