"""A dialogue in bytes: what a socket's owner needs, be it a loop or a thread.

    socket --recv_into--> room() --received(n)--> messages

    send()  --> control queue  --+
    serve() --> streams (bulk) --+--data_to_send()--> socket

Control goes first; a piece of bulk only when no control waits, one for each call: then whatever came meanwhile is
ahead of the next piece. These four methods (room, received, has_output, data_to_send) are the byte side of a line;
encryption is a second class with the same four that wraps this one.
"""

from __future__ import annotations

from lightwork.config.limits import WRITE_MAX
from lightwork.wire.dialogue import Check, Dialogue, accept
from lightwork.wire.frames import Buffer, Frame, FrameReader, encode_frame
from lightwork.wire.messages import Hello, Message


class Connection(Dialogue):
    """One side of a link over bytes."""

    def __init__(self, hello: Hello, *, listening: bool, check: Check = accept, now: float = 0.0) -> None:
        self.reader = FrameReader()
        super().__init__(hello, listening=listening, check=check, now=now)

    def room(self) -> memoryview:
        """Where the next bytes are to be received."""
        return self.reader.room()

    def received(self, count: int) -> list[Frame]:
        """The messages that the `count` bytes now in `room()` complete, for the service. See also `error`, `peer`."""
        return self.judge(self.reader.received(count))

    def judge(self, frames: list[Frame]) -> list[Frame]:
        """The second half of `received`, for who cuts frames outside of the lock that the rest needs."""
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
        control = self._control
        if not control:
            chunk = self._chunk()
            return [] if chunk is None else encode_frame(*chunk)
        out: list[Buffer] = []
        left = most
        while control and left > 0:
            data = control.popleft()
            if len(data) > left:
                view = memoryview(data)
                control.appendleft(view[left:])
                data = view[:left]
            left -= len(data)
            out.append(data)
        self.queued_bytes -= most - left
        return out

    def _pack(self, message: Message, body: Buffer) -> tuple[list[Buffer], int]:
        data = encode_frame(message, body)
        return data, sum(map(len, data))
