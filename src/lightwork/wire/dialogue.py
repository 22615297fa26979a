"""The one state machine of a link, on messages: hello, refusal, streams, goodbye. No I/O, no clock.

    dialler                             listener
      | ---- Hello (credential) ---------> |  checks version and credential; a stranger learns nothing but a refusal
      | <--- Hello, or Refused ----------- |  checked likewise: who answers must be ours, too
      |                up                  |  now what was sent before goes out
      | <---------- messages ------------> |
      | ---- Goodbye --------------------> |

`take` gets what came and returns what the service should see: not Ping (answered here), Credit (used up here) and
the hello. What went wrong stands in `error`; then nothing more is taken, and only a Refused still goes out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

from msgspec.structs import replace

from lightwork.config.limits import SEND_QUEUE_MAX
from lightwork.config.timers import HELLO_S
from lightwork.model.errors import (
    AlreadyConnected,
    NodeBusy,
    PeerError,
    ProtocolError,
    SessionOver,
    VersionMismatch,
    WrongCredential,
)
from lightwork.wire.frames import Buffer, Frame
from lightwork.wire.messages import (
    PROTOCOL,
    PROTOCOL_OLDEST,
    Chunk,
    Credit,
    Fetch,
    Goodbye,
    Hello,
    Message,
    Ping,
    Pong,
    Refused,
)
from lightwork.wire.streams import Asker, Server, Source

Check: TypeAlias = Callable[[Hello], Refused | None]

VERSION, CREDENTIAL, PROTOCOL_CODE, TOO_LATE = "version", "credential", "protocol", "late"
BUSY, CONNECTED = "busy", "connected"  # a node's words to a scheduler: somebody else has it; you have it already
SESSION = "session"  # a durable scheduler's word to a client: it is no more, or not yours any more
_REFUSALS: dict[str, type[PeerError]] = {
    VERSION: VersionMismatch,
    CREDENTIAL: WrongCredential,
    PROTOCOL_CODE: ProtocolError,
    BUSY: NodeBusy,
    CONNECTED: AlreadyConnected,
    SESSION: SessionOver,
}
_NOMINAL = 64  # what a message counts in the queue beside its body, where it is not encoded


class Feeder(Protocol):
    """Who has more to say over a link than should wait there: asked for it a piece at a time, as the line takes it."""

    @property
    def waiting(self) -> bool:
        """Whether `next` may have something."""

    def next(self, chunk: Callable[[], tuple[Message, Buffer] | None]) -> tuple[Message, Buffer] | None:
        """The next message, or what `chunk` gives, which is the next piece of the link's own streams."""


def accept(hello: Hello) -> Refused | None:
    """The check that lets everyone in who speaks our protocol."""
    return None


def check_version(theirs: Hello, ours: Hello) -> Refused | None:
    """A peer may be older than we by one protocol; one that is newer decides itself whether it still speaks ours."""
    if theirs.protocol >= PROTOCOL_OLDEST:
        return None
    spoken = f"{PROTOCOL_OLDEST} to {PROTOCOL}" if PROTOCOL_OLDEST < PROTOCOL else str(PROTOCOL)
    return Refused(
        VERSION,
        f"{_who(theirs)} speaks protocol {theirs.protocol}, {_who(ours)} speaks {spoken}",
        "install the same version of Lightwork on both sides: pip install --upgrade lightwork",
    )


def _who(hello: Hello) -> str:
    return " ".join(filter(None, ("the", hello.role, hello.software and f"({hello.software})")))


def error_of(refused: Refused) -> PeerError:
    """What a refusal means to the refused."""
    return _REFUSALS.get(refused.code, PeerError)(refused.message, hint=refused.hint)


class Dialogue:
    """One side of a link. A subclass may keep what waits for its way out in another form (`_pack`)."""

    def __init__(self, hello: Hello, *, listening: bool, check: Check = accept, now: float = 0.0) -> None:
        self.hello = hello
        self.peer: Hello | None = None  # set when the link is up
        self.error: PeerError | None = None
        self.left = False  # the peer said goodbye
        self.closing = False  # we did
        self.queued_bytes = 0
        self.listening = listening
        self.feeder: Feeder | None = None
        self.proven: Check | None = None  # set by a line that knows which credential the peer has shown
        self._check = check
        self._deadline = now + HELLO_S
        self._control: deque[Any] = deque()  # goes out next
        self._held: list[tuple[list[Any], int]] = []  # waits until the link is up
        self._server = Server()
        self._asker = Asker()
        if not listening:
            self._put(hello)

    # --- outgoing ---

    def send(self, message: Message, body: Buffer = b"") -> None:
        """Queue a message. Before the link is up it waits; after its end it is dropped, for the loss is told anyway."""
        if self.peer is None:
            if self.error is None and not self.closing:
                self._held.append(self._pack(message, body))
                self.queued_bytes += self._held[-1][1]
        elif self.error is None and not self.closing:
            self.closing = type(message) is Goodbye
            self._put(message, body)

    def fetch(self, kind: str, name: str, offset: int = 0) -> int:
        """Ask for a stream; its number. Its chunks come among the messages."""
        number, fetch = self._asker.ask(kind, name, offset)
        if fetch is not None:
            self.send(fetch)
        return number

    def consumed(self, stream: int, size: int) -> None:
        """So many bytes of a stream have been taken: the other side may send as many more."""
        credit = self._asker.consumed(stream, size)
        if credit is not None:
            self.send(credit)

    def cancel(self, stream: int) -> None:
        """No more of this stream, please."""
        credit = self._asker.cancel(stream)
        if credit is not None:
            self.send(credit)
            self._ask_next()

    def serve(self, stream: int, source: Source) -> None:
        """Answer a Fetch."""
        self._server.serve(stream, source)

    def refuse(self, stream: int, reason: str) -> None:
        """No, or no more: the asker hears it next, whatever its credit."""
        self._server.refuse(stream, reason)

    def ready(self, stream: int) -> None:
        """The source of a served stream, which had nothing, has something."""
        self._server.ready(stream)

    def close(self, reason: str = "") -> None:
        """Say goodbye after what is queued; streams end here."""
        self.send(Goodbye(reason))
        self.lost()

    def lost(self) -> None:
        """The line is gone: let go of all sources."""
        self.closing = True
        self._server.close()
        self._drop_held()

    def _drop_held(self) -> None:
        self.queued_bytes -= sum(size for _, size in self._held)
        self._held.clear()

    @property
    def has_output(self) -> bool:
        """Whether there may be something to send."""
        if self._control:
            return True
        bulk = self._server.waiting or (self.feeder is not None and self.feeder.waiting)
        return bulk and not self.closing and self.error is None

    def frames_to_send(self, chunks: int) -> list[Frame]:
        """All messages and up to `chunks` pieces of streams, for a link that does not encode."""
        frames: list[Frame] = list(self._control)
        self._control.clear()
        self.queued_bytes = sum(size for _, size in self._held)
        while chunks and (chunk := self._chunk()) is not None:
            frames.append((chunk[0], bytes(chunk[1])))
            chunks -= 1
        return frames

    def _chunk(self) -> tuple[Message, Buffer] | None:
        if self.closing or self.error is not None:
            return None
        next_chunk = self._server.next_chunk
        return next_chunk() if self.feeder is None else self.feeder.next(next_chunk)

    def _put(self, message: Message, body: Buffer = b"") -> None:
        items, size = self._pack(message, body)
        self._control += items
        self.queued_bytes += size

    def _pack(self, message: Message, body: Buffer) -> tuple[list[Any], int]:
        """What waits in the queue for this message, and for how many bytes it counts."""
        return [(message, bytes(body))], len(body) + _NOMINAL

    # --- incoming ---

    def take(self, frames: Iterable[Frame]) -> list[Frame]:
        """What the service should see of what came."""
        out: list[Frame] = []
        inner = _INNER
        for frame in frames:
            if self.error is not None:
                break
            message = frame[0]
            handler = inner.get(type(message))
            if self.peer is None:
                self._first(message)
            elif handler is None:
                out.append(frame)
            else:
                try:
                    if handler(self, message, frame[1]):
                        out.append(frame)
                except PeerError as error:
                    self.fail(error)
        return out

    def tick(self, now: float) -> None:
        """Give up on a peer that does not say hello."""
        if self.peer is None and self.error is None and now >= self._deadline:
            sentence = f"the other side did not say hello within {HELLO_S:g} s"
            self._refuse(Refused(TOO_LATE, sentence), ProtocolError(sentence))

    def fail(self, error: PeerError) -> None:
        """The peer did what it must not: tell it why, take nothing more."""
        self._refuse(Refused(PROTOCOL_CODE, str(error)), error)

    def break_off(self, error: PeerError) -> None:
        """The line carries no further word: nothing more is said or taken."""
        if self.error is None:
            self.error = error
            self._held.clear()
            self._drop_output()
            self._server.close()

    def _drop_output(self) -> None:
        self._control.clear()
        self.queued_bytes = 0

    def _refuse(self, refused: Refused, error: PeerError) -> None:
        if self.error is None:
            self.error = error
            self._drop_held()
            self._put(refused)
            self._server.close()

    def _first(self, message: Message) -> None:
        if type(message) is Refused:
            self.break_off(error_of(message))
        elif type(message) is not Hello:
            self.fail(ProtocolError(f"{type(message).__name__} came before the hello"))
        else:
            refused = check_version(message, self.hello)
            if refused is None and self.proven is not None:
                refused = self.proven(message)
            refused = refused or self._check(message)
            if refused is None:
                self._go_up(message)
            else:
                self._refuse(refused, error_of(refused))

    def _go_up(self, hello: Hello) -> None:
        self.peer = replace(hello, credential="") if hello.credential else hello
        if self.listening:
            self._put(self.hello)
        for items, _ in self._held:
            self._control += items
        self._held.clear()

    def _late_hello(self, message: Hello, body: bytes) -> bool:
        raise ProtocolError("Hello: a second one")

    def _on_refused(self, message: Refused, body: bytes) -> bool:
        self.break_off(error_of(message))
        return False

    def _on_goodbye(self, message: Goodbye, body: bytes) -> bool:
        self.left = True
        return True

    def _on_fetch(self, message: Fetch, body: bytes) -> bool:
        self._server.asked(message)
        return True

    def _on_chunk(self, message: Chunk, body: bytes) -> bool:
        wanted = self._asker.arrived(message, len(body))
        if message.last:
            self._ask_next()
        return wanted

    def _on_credit(self, message: Credit, body: bytes) -> bool:
        self._server.granted(message)
        return False

    def _on_ping(self, message: Ping, body: bytes) -> bool:
        if self.queued_bytes < SEND_QUEUE_MAX:  # who does not read gets no answers either
            self.send(Pong(message.number))
        return False

    def _ask_next(self) -> None:
        fetch = self._asker.next_in_line()
        if fetch is not None:
            self.send(fetch)


# What the service does not see. Not in the object: one that refers to itself would stay until the collector comes, and
# with it the buffers of a link that has ended.
_INNER: dict[type, Callable[[Dialogue, Any, bytes], bool]] = {
    Hello: Dialogue._late_hello,
    Refused: Dialogue._on_refused,
    Goodbye: Dialogue._on_goodbye,
    Fetch: Dialogue._on_fetch,
    Chunk: Dialogue._on_chunk,
    Credit: Dialogue._on_credit,
    Ping: Dialogue._on_ping,
}
