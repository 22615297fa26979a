"""A durable scheduler of the test's: the model behind a real socket, in threads. Clients reach it as SharedJobCluster.

with FakeDurable(directory) as fake:
    cluster = SharedJobCluster(f, scheduler=fake.address)
fake.hold = True       jobs wait until the test says `fake.finish(...)`
fake.cut()             the link breaks
fake.down(), fake.up() nobody listens meanwhile; with crash=True what was not on disk is lost
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lightwork.model.states import JobState
from lightwork.payload.reading import unpack_memory, unpack_value
from lightwork.transport.files import BytesSource
from lightwork.wire.connection import Connection
from lightwork.wire.messages import (
    PROTOCOL,
    Answer,
    AskHosts,
    AskJobs,
    AskSessions,
    AskStatus,
    AskWhy,
    AwaitReady,
    ChangeHosts,
    Chunk,
    ControlNode,
    Fetch,
    Goodbye,
    Hello,
    Message,
    NodeStatus,
    Refused,
    Seek,
    SendFile,
    Sessions,
    SessionStatus,
    Status,
    Submit,
    Tailor,
    Terms,
    Update,
)
from lightwork.wire.outcome import Outcome, encode_outcome
from lightwork.wire.streams import Refusal
from tests.client.durable_model import Entry, Model

NODE = NodeStatus("far", address="10.0.0.7:9701", slots=2)


class _Link:
    """One connection."""

    def __init__(self, fake: FakeDurable, sock: socket.socket) -> None:
        self.fake, self.sock = fake, sock
        hello = Hello(PROTOCOL, "scheduler", "fake", fake.identity, epoch=fake.epoch)
        self.connection = Connection(hello, listening=True, check=fake.check)
        self.joined = False

    def push(self) -> None:
        for data in iter(self.connection.data_to_send, []):
            for piece in data:
                with contextlib.suppress(OSError):
                    self.sock.sendall(piece)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class FakeDurable(Model):
    """See above."""

    def __init__(self, directory: Path, name: str = "s.sock") -> None:
        super().__init__()
        self.path = str(directory / name)
        self.address = f"unix:{self.path}"
        self.identity = "the fake"
        self.epoch = 1
        self.hold = False
        self.slow = False  # nothing gets to the disk until the test says so
        self.refusal: Callable[[Hello], Refused | None] = lambda hello: None
        self.hellos: list[Hello] = []
        self.messages: list[Any] = []
        self.blobs: dict[str, bytes] = {}
        self.files: dict[int, list[Any]] = {}  # that jobs leave, by number
        self.streams: dict[int, tuple[int, bytearray]] = {}
        self.arguments: dict[int, bytes] = {}  # large ones that were fetched
        self.pieces = 1 << 30  # bytes of a blob after which the link breaks
        self.mute: set[type] = set()  # questions that are not answered
        self.replies: dict[type, Any] = {}  # to a question: a function that makes the answer
        self.session = ""
        self._line: deque[tuple[Any, bytes]] = deque()
        self.link: _Link | None = None
        self._links: list[_Link] = []
        self.lock = threading.RLock()
        self._listener: socket.socket | None = None
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # --- what a test makes it do ---

    def up(self) -> None:
        """It listens."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(8)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self, *, crash: bool = False) -> None:
        """Nobody listens, and all links are gone."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            if crash:
                self.crash()
                self.epoch += 1
            for link in self._links:
                link.close()
            self._links.clear()
            self.link = None

    def cut(self) -> None:
        """The link breaks."""
        with self.lock:
            if self.link is not None:
                self.link.close()
                self.link = None
                super().leave()

    def say(self, message: Message, body: bytes = b"") -> None:
        """To the client, out of turn."""
        assert self.link is not None
        self.link.connection.send(message, body)
        self.link.push()

    def finish(self, *numbers: int, state: int = 2) -> None:
        """These jobs end, or all."""
        with self.lock:
            self.end(list(numbers) or [n for n, one in self.now.entries.items() if not one.state], state)
            self._settle()

    def write(self) -> None:
        """All is on disk."""
        with self.lock:
            slow, self.slow = self.slow, False
            self._settle()
            self.slow = slow

    def wait(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not true within {within_s} s"
            time.sleep(0.002)

    def told_of(self, kind: type) -> list[Any]:
        return [message for message in list(self.messages) if isinstance(message, kind)]

    def fetch(self, number: int) -> None:
        """Ask for a large argument, over the link that is there."""
        with self.lock:
            assert self.link is not None
            stream = self.link.connection.fetch("argument", str(number))
            self.streams[stream] = number, bytearray()
            self.link.push()

    # --- links ---

    def check(self, hello: Hello) -> Refused | None:
        refused = self.refusal(hello)
        if refused is not None or hello.role != "client":
            return refused
        if hello.incarnation and (self.closed or hello.incarnation != self.now.incarnation):
            return Refused("session", f"session {hello.session} is not there any more")
        if not hello.incarnation and self.link is not None:
            return Refused("busy", f"session {hello.session} is in use by process 1 of somebody")
        return None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            link = _Link(self, sock)
            with self.lock:
                self._links.append(link)
            threading.Thread(target=self._run, args=(link,), daemon=True).start()

    def _run(self, link: _Link) -> None:
        try:
            while True:
                count = link.sock.recv_into(link.connection.room())
                if not count:
                    break
                with self.lock:
                    self._received(link, count)
                    link.push()
        except OSError:
            pass
        with self.lock:
            if self.link is link:
                self.link = None
                super().leave()
        link.sock.close()

    def _received(self, link: _Link, count: int) -> None:
        frames = link.connection.received(count)
        peer = link.connection.peer
        if peer is not None and not link.joined:
            link.joined = True
            self.hellos.append(peer)
            if peer.role == "client":
                if self.link is not None:
                    self.link.close()
                self.link, self.session = link, peer.session
                self.closed = False
                self._line.clear()
                self.join(peer.incarnation)
        for message, body in frames:
            if self.link is link or (peer is not None and peer.role == "watcher"):
                self._told_by(link, message, body)
        if self.link is link:
            self._settle()

    def _settle(self) -> None:
        if not self.hold:
            self.end([n for n, one in self.now.entries.items() if not one.state])
        if self.slow:
            return
        self.written()
        link = self.link
        if link is None:
            return
        for message, body in self.said:
            if isinstance(message, Goodbye):
                link.push()
            link.connection.send(message, body)
        self.said.clear()
        link.push()

    # --- what it is told ---

    def _told_by(self, link: _Link, message: Any, body: bytes) -> None:
        self.messages.append(message)
        match message:
            case AskStatus():
                unended = sum(not one.state for one in self.now.entries.values())
                link.connection.send(Status(message.number, [NODE], unended, 0))
            case Seek() | ControlNode() | SendFile() | Update() | AwaitReady() | ChangeHosts() | AskHosts() | AskWhy():
                if type(message) not in self.mute:
                    answer = self.replies.get(type(message))
                    link.connection.send(answer(message) if answer is not None else Answer(message.number))
            case Terms():
                pass
            case AskSessions():
                names = [self.session] if self.now.incarnation and not self.closed else []
                link.connection.send(Sessions(message.number, [SessionStatus(name) for name in names]))
            case Tailor() | AskJobs():
                pass
            case Fetch():
                self._serve(link, message)
            case Chunk():
                self._chunk(link, message, body)
            case Goodbye():
                pass
            case _:
                self._line.append((message, body))
                if isinstance(message, Submit):
                    for number in _large(message):
                        if number not in self.arguments:
                            self.fetch(number)
                self._take()

    def _take(self) -> None:
        """Messages in order; a submit waits for its large arguments, and all behind it."""
        while self._line and all(number in self.arguments for number in _large(self._line[0][0])):
            self.told(*self._line.popleft())

    def _serve(self, link: _Link, message: Fetch) -> None:
        data = self.blobs.get(message.name)
        if message.kind == "argument":
            data = self.arguments.get(int(message.name))
        source = BytesSource(data, message.offset) if data is not None else Refusal(f"no {message.kind} {message.name}")
        if data is not None and self.pieces < len(data) - message.offset:
            source = _Breaks(self, BytesSource(data, message.offset))  # type: ignore[assignment]
        link.connection.serve(message.stream, source)

    def _chunk(self, link: _Link, message: Chunk, body: bytes) -> None:
        number, data = self.streams[message.stream]
        data += body
        link.connection.consumed(message.stream, len(body))
        if message.last and not message.error:
            self.arguments[number] = bytes(data)
            self._take()

    def outcome(self, entry: Entry) -> bytes:
        if entry.state != JobState.FINISHED:
            return encode_outcome(Outcome(b""))
        computation = self.defined[entry.computation]
        if computation.kind != "function":
            return b""
        call, *_ = pickle.loads(computation.payload)
        large = self.arguments.get(entry.number)
        args, kwargs = unpack_value(entry.arguments) if large is None else unpack_memory(memoryview(large))
        return pickle.dumps(call(*args, **kwargs), 5)


def _large(message: Any) -> list[int]:
    return [message.first + row.index for row in message.apart] if isinstance(message, Submit) else []


class _Breaks:
    """A source after whose first pieces the link breaks."""

    def __init__(self, fake: FakeDurable, source: BytesSource) -> None:
        self._fake, self._source = fake, source
        self._left = fake.pieces

    def read(self, size: int) -> memoryview:
        if self._left <= 0:
            self._fake.pieces = self._left = 1 << 30
            self._fake.cut()
        piece = self._source.read(size)
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._source.close()
