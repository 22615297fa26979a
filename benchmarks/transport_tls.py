"""What encryption costs: links over TLS 1.3 against the loops' own TLS and a plain socket, in the same run.

python -m benchmarks.transport_tls [--quick]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from benchmarks.transport import PIECE, Caller, Count, Server, hello, loop_factory, plain
from lightwork.security.credential import Credential, find
from lightwork.security.identity import identity_of
from lightwork.transport import dial, endpoint
from lightwork.transport.address import split_host_port
from lightwork.transport.link import Link
from lightwork.transport.stream import StreamLink, settled
from lightwork.transport.tls import Encryption
from lightwork.wire.connection import Connection
from lightwork.wire.frames import Buffer, Frame
from lightwork.wire.messages import AskStatus, Taken

T = TypeVar("T")
LOOPS = ("asyncio", "uvloop")
ROUNDS = 3


def credential() -> Credential:
    """From the environment: the same for both processes."""
    found = find()
    assert found is not None
    return found


def own_context(side: int) -> ssl.SSLContext:
    """For the loops' own TLS: as ours."""
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    identity = identity_of(credential())
    context.load_verify_locations(cadata=identity.authorities)
    sealed, password = identity.sealed_key()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pem"
        path.write_text(sealed + identity.chain)
        context.load_cert_chain(path, password=password)
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


class Pour(asyncio.BufferedProtocol):
    """Sends as many bytes as the first line that comes says, in pieces of 64 KB, as fast as they are taken."""

    def __init__(self) -> None:
        self._buffer = bytearray(1 << 18)
        self._left = 0
        self._paused = False

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 16)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        self._left += int(bytes(self._buffer[:count]))
        self._go_on()

    def _go_on(self) -> None:
        while self._left > 0 and not self._paused:
            self._transport.write(PIECE)
            self._left -= len(PIECE)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._go_on()


class OwnLink(StreamLink):
    """Our link above the loop's own TLS, which knows no buffer limit of 0."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=1 << 16)  # type: ignore[attr-defined]


class Drain(asyncio.BufferedProtocol):
    """Counts what comes."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(1 << 18))
        self.expected = 0
        self.ended = asyncio.Event()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        self.expected -= count
        if self.expected <= 0:
            self.ended.set()


class Bytes(Connection):
    """What a TlsLine takes for a connection: pours as many bytes as come with the first read say, or counts them."""

    owed = expected = 0

    def __init__(self, listening: bool) -> None:
        super().__init__(hello("x"), listening=listening)
        self.peer = self.hello
        self._space = memoryview(bytearray(1 << 18))
        self.ended = asyncio.Event()

    def room(self) -> memoryview:
        return self._space

    def cut(self, count: int) -> list[Frame]:
        if self.listening:
            self.owed += int(bytes(self._space[:count]))
        else:
            self.expected -= count
            if self.expected <= 0:
                self.ended.set()
        return []

    @property
    def has_output(self) -> bool:
        return self.owed > 0

    def data_to_send(self, most: int = 0) -> list[Buffer]:
        if self.owed <= 0:
            return []
        self.owed -= len(PIECE)
        return [PIECE] if self.listening else [b"%d" % self.expected]


class Bare(asyncio.BufferedProtocol):
    """A TlsLine, and nothing above it."""

    _paused = False

    def __init__(self, talk: Bytes) -> None:
        self.line = _encryption().line(talk, "peer")

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=0)
        self._go_on()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.line.room()

    def buffer_updated(self, count: int) -> None:
        self.line.received(count)
        self._go_on()

    def _go_on(self) -> None:
        while not self._paused and (data := self.line.data_to_send()):
            self._transport.write(data[0])

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._go_on()


async def serve(kind: str) -> None:
    """The other process."""
    loop = asyncio.get_running_loop()
    context = own_context(ssl.PROTOCOL_TLS_SERVER)
    if kind == "line":
        listener = await endpoint.listen("tcp:127.0.0.1:0", Server(), hello("scheduler"), encryption=_encryption())
        print(listener.address.removeprefix("tcp:"), flush=True)
    else:
        made: dict[str, Callable[[], asyncio.BaseProtocol]] = {
            "bytes": Pour,
            "bare": lambda: Bare(Bytes(listening=True)),
            "link": lambda: OwnLink(_connection(True), Server(), "own"),
        }
        server = await loop.create_server(made[kind], "127.0.0.1", 0, ssl=None if kind == "bare" else context)
        print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def _encryption() -> Encryption:
    return Encryption(credential())


def _connection(listening: bool) -> Connection:
    now = asyncio.get_running_loop().time()
    return Connection(hello("scheduler" if listening else "client"), listening=listening, now=now)


class Other:
    """The serving process."""

    def __init__(self, where: str, pid: int) -> None:
        self.where = where
        self._process = psutil.Process(pid)

    def spent(self) -> float:
        """Seconds of processor that both processes have used: what others do on this machine changes it little."""
        times = self._process.cpu_times()
        return time.process_time() + times.user + times.system


@contextlib.contextmanager
def other_process(kind: str, loop: str) -> Iterator[Other]:
    """A server of that kind."""
    command = [sys.executable, "-m", "benchmarks.transport_tls", "serve", kind, loop]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield Other(server.stdout.readline().strip(), server.pid)
        server.kill()


class Found(NamedTuple):
    """What was measured; the best of several is the fastest."""

    speed: float  # bytes/s
    cost: float  # seconds of processor a GB, both sides
    rate: float = 0.0  # messages/s
    there_and_back: float = 0.0


async def own_bytes(other: Other, bulk: int, count: int) -> Found:
    """The loop's own TLS, and nothing above it."""
    drain = Drain()
    drain.expected = bulk
    loop = asyncio.get_running_loop()
    context = own_context(ssl.PROTOCOL_TLS_CLIENT)
    transport, _ = await loop.create_connection(lambda: drain, *split_host_port(other.where), ssl=context)
    spent, began = other.spent(), time.perf_counter()
    transport.write(b"%d" % bulk)
    await drain.ended.wait()
    found = Found(bulk / (time.perf_counter() - began), (other.spent() - spent) * 1e9 / bulk)
    transport.abort()
    return found


async def our_bytes(other: Other, bulk: int, count: int) -> Found:
    """Our encryption, and nothing above it."""
    talk = Bytes(listening=False)
    talk.expected = bulk
    talk.owed = 1
    spent, began = other.spent(), time.perf_counter()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: Bare(talk), *split_host_port(other.where))
    await talk.ended.wait()
    found = Found(bulk / (time.perf_counter() - began), (other.spent() - spent) * 1e9 / bulk)
    transport.abort()
    return found


@contextlib.asynccontextmanager
async def own_link(where: str, caller: Caller) -> AsyncIterator[Link]:
    """Our link over the loop's own TLS."""
    loop = asyncio.get_running_loop()
    context = own_context(ssl.PROTOCOL_TLS_CLIENT)
    _, link = await loop.create_connection(
        lambda: OwnLink(_connection(False), caller, "own"), *split_host_port(where), ssl=context
    )
    await settled(link)
    yield link
    link.abort()


@contextlib.asynccontextmanager
async def our_link(where: str, caller: Caller) -> AsyncIterator[Link]:
    """Our link with our encryption."""
    link = await endpoint.connect(f"tcp:{where}", caller, hello("client"), encryption=_encryption())
    yield link
    link.abort()


def over(
    opened: Callable[[str, Caller], contextlib.AbstractAsyncContextManager[Link]],
) -> Callable[[Other, int, int], Awaitable[Found]]:
    """How to measure a kind of link on a loop."""

    async def measure(other: Other, bulk: int, count: int) -> Found:
        caller = Caller()
        async with opened(other.where, caller) as link:
            sink, spent, began = Count(), other.spent(), time.perf_counter()
            link.fetch("zeros", str(bulk), sink)
            await sink.ended.wait()
            speed, cost = bulk / (time.perf_counter() - began), (other.spent() - spent) * 1e9 / bulk
            began = time.perf_counter()
            for number in range(count):
                link.send(Taken(number))
                if number % 100 == 99:
                    await asyncio.sleep(0)
            await caller.ask(link)
            rate = count / (time.perf_counter() - began)
            times = []
            for _ in range(count // 20):
                began = time.perf_counter()
                await caller.ask(link)
                times.append(time.perf_counter() - began)
            return Found(speed, cost, rate, sorted(times)[len(times) // 2])

    return measure


class Ended:
    """A sink for a thread."""

    reached = False

    def write(self, piece: bytes) -> int:
        return len(piece)

    def finish(self) -> None:
        self.reached = True

    def fail(self, reason: str) -> None:
        raise RuntimeError(reason)


def over_thread(other: Other, bulk: int, count: int) -> Found:
    """The same by a thread."""
    link = dial.connect(f"tcp:{other.where}", hello("client"), encryption=_encryption())
    sink, spent, began = Ended(), other.spent(), time.perf_counter()
    link.fetch("zeros", str(bulk), sink)
    while not sink.reached:
        link.receive(1)
    speed, cost = bulk / (time.perf_counter() - began), (other.spent() - spent) * 1e9 / bulk
    began = time.perf_counter()
    for number in range(count):
        link.send(Taken(number))
    link.send(AskStatus(1))
    while not link.receive(1):
        pass
    rate = count / (time.perf_counter() - began)
    times = []
    for _ in range(count // 20):
        began = time.perf_counter()
        link.send(AskStatus(1))
        while not link.receive(1):
            pass
        times.append(time.perf_counter() - began)
    link.close()
    return Found(speed, cost, rate, sorted(times)[len(times) // 2])


def on_loop(loop: str, work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on such a loop."""

    async def main() -> T:
        return await work()

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(main())


def row(name: str, found: Found, base: float) -> None:
    """One line of the table."""
    rest = f" {found.rate / 1e3:12,.0f} {found.there_and_back * 1e6:10.0f}" if found.rate else ""
    print(f"{name:34} {found.speed / 1e9:6.2f} {found.speed / base:9.2f} {found.cost:9.2f}{rest}", flush=True)


def table(loop: str, bulk: int, count: int) -> None:
    """One loop against itself in another process; the kinds take turns, so that a busy machine hits them alike."""
    kinds = {
        f"{loop}'s own TLS, bytes alone": ("bytes", own_bytes),
        f"{loop}, encrypted bytes alone": ("bare", our_bytes),
        f"{loop}'s own TLS, our link": ("link", over(own_link)),
        f"{loop}, encrypted link": ("line", over(our_link)),
    }
    found: dict[str, list[Found]] = {}
    for _ in range(ROUNDS):
        for name, (kind, measure) in kinds.items():
            with other_process(kind, loop) as other:
                found.setdefault(name, []).append(on_loop(loop, lambda m=measure, o=other: m(o, bulk, count)))  # type: ignore[misc]
        with other_process("line", loop) as other:
            found.setdefault(f"thread to {loop}, encrypted link", []).append(over_thread(other, bulk, count))
    base = max(found[f"{loop}'s own TLS, bytes alone"]).speed
    for name, several in found.items():
        best = Found(max(several).speed, min(one.cost for one in several), max(one.rate for one in several))
        row(name, best._replace(there_and_back=min(one.there_and_back for one in several)), base)


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table."""
    if arguments and arguments[0] == "serve":
        on_loop(arguments[2], lambda: serve(arguments[1]))
        return
    from lightwork.security import secret

    os.environ[secret.VARIABLE] = secret.generate()
    bulk, count = (200 << 20, 20_000) if "--quick" in arguments else (1 << 30, 100_000)
    print(f"{'':34} {'GB/s':>6} {'of bytes':>9} {'CPU s/GB':>9} {'k messages/s':>12} {'us to+fro':>10}")
    print(f"{'plain socket':34} {max(plain(socket.AF_INET, bulk) for _ in range(ROUNDS)) / 1e9:6.2f}")
    for loop in LOOPS:
        table(loop, bulk, count)


if __name__ == "__main__":
    main(sys.argv[1:])
