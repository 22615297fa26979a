"""Both ends of a link of any kind, behind one face, so that one suite proves all kinds alike.

memory                two ends in this loop           blocking-unix       the dialler is a thread
unix, loopback, tls   both ends asyncio               blocking-loopback, blocking-tls
"""

import asyncio
import contextlib
import functools
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lightwork.model.errors import LightworkError
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.transport import dial, endpoint
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.transport.memory import memory_pair
from lightwork.transport.tls import Encryption
from lightwork.wire.dialogue import accept
from lightwork.wire.messages import PROTOCOL, Fetch, Hello

KINDS = ("memory", "unix", "loopback", "tls", "blocking-unix", "blocking-loopback", "blocking-tls")
SOCKETS = KINDS[1:]
LOOPS = (
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.slow),  # each is quick, all together are not
    pytest.param("bare", marks=pytest.mark.slow),
)
CLIENT, SCHEDULER = Hello(PROTOCOL, "client", "c"), Hello(PROTOCOL, "scheduler", "s")


@functools.cache
def encryption(name: str = "ours") -> Encryption:
    """That of the cluster of this name: each has a secret of its own."""
    return Encryption(Credential(secrets=(secret.generate(),), origin=f"the secret of {name}"))


class BareLoop(asyncio.SelectorEventLoop):
    """A loop as poor as Windows' Proactor: transports and timers, no descriptors, no signals."""

    def _none(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    add_reader = add_writer = add_signal_handler = _none  # type: ignore[assignment]


def run(loop: str, work) -> None:
    """Run a coroutine function's test on the loop; what the loop would only log fails it."""
    complaints: list[dict] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await asyncio.wait_for(work(), 60)

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        runner.run(main())
    assert complaints == [], complaints


def _factory(name: str):
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return BareLoop if name == "bare" else asyncio.new_event_loop


async def until(condition, timeout: float = 20.0) -> None:
    """Wait for a condition; fail if it does not come true."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.001)


class Recorder(Receiver):
    """Writes down all that a receiver is told."""

    def __init__(self, on_fetch=None, on_message=None) -> None:
        self.links: list[Link] = []
        self.batches: list[Batch] = []
        self.lost: list[LightworkError | None] = []
        self.refused: list[LightworkError] = []
        self.drained = 0
        self.on_fetch = on_fetch  # gives the source, or None
        self.on_message = on_message

    @property
    def got(self) -> Batch:
        return [frame for batch in self.batches for frame in batch]

    @property
    def messages(self) -> list:
        return [message for message, _ in self.got]

    def link_up(self, link: Link) -> None:
        assert link not in self.links
        assert link.peer
        self.links.append(link)

    def received(self, link: Link, batch: Batch) -> None:
        assert batch
        assert link in self.links
        assert not self.lost
        self.batches.append(batch)
        for message, body in batch:
            if type(message) is Fetch and self.on_fetch is not None:
                source = self.on_fetch(message)
                link.serve(message.stream, source) if source is not None else link.refuse(
                    message.stream, "no such thing"
                )
            elif self.on_message is not None:
                self.on_message(link, message, body)

    def link_lost(self, link: Link, error: LightworkError | None) -> None:
        assert link in self.links
        self.lost.append(error)

    def link_refused(self, address: str, error: LightworkError) -> None:
        self.refused.append(error)

    def link_drained(self, link: Link) -> None:
        self.drained += 1


class Thread:
    """A blocking link's reader, which tells a recorder what it gets."""

    def __init__(self, link: BlockingLink, recorder: Recorder) -> None:
        self.link, self._recorder = link, recorder
        recorder.link_up(link)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                batch = self.link.receive(10)
            except LightworkError as error:
                self._recorder.link_lost(self.link, None if self.link.left or "was closed" in str(error) else error)
                return
            if batch:
                self._recorder.received(self.link, batch)

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


class Pair:
    """`client` dialled `server`; each has its link and its recorder."""

    client: Link
    server: Link

    def __init__(self, kind: str, client_side: Recorder | None = None, server_side: Recorder | None = None) -> None:
        self.kind = kind
        self.client_side = client_side or Recorder()
        self.server_side = server_side or Recorder()
        self._ends = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Pair":
        if self.kind == "memory":
            memory_pair((self.client_side, CLIENT), (self.server_side, SCHEDULER))
            await until(lambda: self.client_side.links)
            self.client = self.client_side.links[0]
        else:
            address = await self._ends.enter_async_context(listening(self.kind, self.server_side))
            self.client = await dialled(self.kind, address, self.client_side)
        await until(lambda: self.server_side.links)
        self.server = self.server_side.links[0]
        return self

    async def __aexit__(self, *exception) -> None:
        self.client.abort()
        self.server.abort()
        if exception[0] is None:
            await until(lambda: self.client_side.lost and self.server_side.lost)
        await self._ends.aclose()


@contextlib.asynccontextmanager
async def listening(kind: str, receiver: Receiver, check=accept, hello: Hello = SCHEDULER):
    """A listener for this kind of link; gives its address."""
    if kind.endswith("tls"):
        listener = await endpoint.listen("tcp:127.0.0.1:0", receiver, hello, check, encryption=encryption())
        try:
            yield listener.address
        finally:
            listener.close()
        return
    with tempfile.TemporaryDirectory(prefix="lw") as directory:
        address = f"{kind.rpartition('-')[2]}:{Path(directory) / 'x'}"
        listener = await endpoint.listen(address, receiver, hello, check)
        try:
            yield listener.address
        finally:
            listener.close()


async def dialled(kind: str, address: str, receiver: Recorder, hello: Hello = CLIENT) -> Link:
    """A link to the address, by the loop or by a thread."""
    cipher = encryption() if kind.endswith("tls") else None
    if not kind.startswith("blocking"):
        return await endpoint.connect(address, receiver, hello, encryption=cipher)
    link = await asyncio.to_thread(dial.connect, address, hello, encryption=cipher)
    Thread(link, receiver)
    return link


async def connected(way: str, address: str, cipher: Encryption) -> Link:
    """Dial an encrypted port, by this loop or (\"thread\") by a thread."""
    if way == "thread":
        return await asyncio.to_thread(dial.connect, address, CLIENT, encryption=cipher)
    return await endpoint.connect(address, Recorder(), CLIENT, encryption=cipher)


class Zeros:
    """A source of so many zero bytes that remembers what became of it."""

    def __init__(self, size: int) -> None:
        self.size = self.left = size
        self.closed = 0

    @property
    def given(self) -> int:
        return self.size - self.left

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)

    def close(self) -> None:
        self.closed += 1


class Gather:
    """A sink that counts, and consumes only if told to."""

    def __init__(self, consume: bool = True, keep: bool = False) -> None:
        self.consume, self.keep = consume, keep
        self.size = self.pieces = 0
        self.data = bytearray()
        self.end: str | None = None

    def write(self, piece: bytes) -> int:
        assert self.end is None
        self.size += len(piece)
        self.pieces += 1
        if self.keep:
            self.data += piece
        return len(piece) if self.consume else 0

    def finish(self) -> None:
        assert self.end is None
        self.end = ""

    def fail(self, reason: str) -> None:
        assert self.end is None
        self.end = reason
