"""A dialogue in bytes: what a socket's owner needs, be it a loop or a thread.

    socket --recv_into--> room() --received(n)--> messages

    send()  --> control queue  --+
    serve() --> streams (bulk) --+--data_to_send()--> socket

Control goes first; a piece of bulk only when no control waits, one for each call: then whatever came meanwhile is
ahead of the next piece. These methods (room, received = cut + judge, has_output, data_to_send) are the byte side of a
line; encryption is a second class with the same methods that wraps this one.
"""

from __future__ import annotations

from collections import deque

from lightwork.config.limits import PONGS_MAX, WRITE_MAX
from lightwork.wire.dialogue import Check, Dialogue, accept
from lightwork.wire.frames import Buffer, Frame, FrameReader, encode_frame
from lightwork.wire.messages import Hello, Message, Ping, Pong

URGENT = (Hello, Ping, Pong)


class Connection(Dialogue):
    """One side of a link over bytes."""

    def __init__(self, hello: Hello, *, listening: bool, check: Check = accept, now: float = 0.0) -> None:
        self.reader = FrameReader()
        self._rest: deque[Buffer] = deque()  # of the frame that has begun
        self._urgent: deque[list[Buffer]] = deque()  # frames that go before all others
        super().__init__(hello, listening=listening, check=check, now=now)

    def room(self) -> memoryview:
        """Where the next bytes are to be received."""
        return self.reader.room()

    def received(self, count: int) -> list[Frame]:
        """The messages that the `count` bytes now in `room()` complete, for the service. See also `error`, `peer`."""
        return self.judge(self.reader.received(count))

    def cut(self, count: int) -> list[Frame]:
        """The first half of `received`, for who cuts frames outside of the lock that the rest needs."""
        return self.reader.received(count)

    def judge(self, frames: list[Frame]) -> list[Frame]:
        """The second half."""
        out = self.take(frames)
        if self.reader.error is not None:
            self.fail(self.reader.error)
        return out

    def feed(self, data: Buffer) -> list[Frame]:
        """`received` for bytes that lie elsewhere."""
        out: list[Frame] = []
        view = memoryview(data)
        while view and self.error is None:
            room = self.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            out += self.received(count)
            view = view[count:]
        return out

    def data_to_send(self, most: int = WRITE_MAX) -> list[Buffer]:
        """Control messages of up to `most` bytes, or, if there are none, one chunk. Take them: they are not kept."""
        if not self._control and not self._rest and not self._urgent:
            chunk = self._chunk()
            return [] if chunk is None else encode_frame(*chunk)
        out: list[Buffer] = []
        left = most
        while left > 0 and (self._rest or self._begin_frame()):
            data = self._rest.popleft()
            if len(data) > left:
                view = memoryview(data)
                self._rest.appendleft(view[left:])
                data = view[:left]
            left -= len(data)
            out.append(data)
        self.queued_bytes -= most - left
        return out

    def _begin_frame(self) -> bool:
        """The next one; a sign of life does not wait behind megabytes, or a slow line would look like a dead one."""
        for queue in (self._urgent, self._control):
            if queue:
                self._rest += queue.popleft()
                return True
        return False

    def urgent_to_send(self) -> list[Buffer]:
        """Only what goes before all others, if a frame may begin now. Take it: it is not kept."""
        out: list[Buffer] = []
        while self._urgent and not self._rest:
            out += self._urgent.popleft()
        self.queued_bytes -= sum(map(len, out))
        return out

    @property
    def has_urgent(self) -> bool:
        """Whether `urgent_to_send` has something."""
        return bool(self._urgent and not self._rest)

    @property
    def has_control(self) -> bool:
        """Whether `data_to_send` has something that is no piece of a stream."""
        return bool(self._rest or self._urgent or self._control)

    @property
    def has_output(self) -> bool:
        """Whether there may be something to send."""
        return bool(self._rest or self._urgent) or super().has_output

    def _drop_output(self) -> None:
        self._rest.clear()
        self._urgent.clear()
        super()._drop_output()

    def _put(self, message: Message, body: Buffer = b"") -> None:
        if type(message) is Pong and len(self._urgent) >= PONGS_MAX:  # who does not read gets no answers either
            return
        items, size = self._pack(message, body)
        (self._urgent if type(message) in URGENT else self._control).extend(items)
        self.queued_bytes += size

    def _pack(self, message: Message, body: Buffer) -> tuple[list[list[Buffer]], int]:
        data = encode_frame(message, body)
        return [data], sum(map(len, data))
