"""What a link costs: bulk against a plain socket in the same run, small messages one way, and there and back.

python -m benchmarks.transport [--quick]
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lightwork.transport import dial, endpoint
from lightwork.transport.link import Batch, Link, Receiver
from lightwork.transport.memory import memory_pair
from lightwork.wire.messages import PROTOCOL, AskStatus, Fetch, Hello, Taken

PIECE = bytes(1 << 16)


class Zeros:
    """A source of so many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left, len(PIECE))
        self._left -= size
        return PIECE if size == len(PIECE) else PIECE[:size]

    def close(self) -> None:
        pass


class Count:
    """A sink that counts."""

    def __init__(self) -> None:
        self.size = 0
        self.ended = asyncio.Event()

    def write(self, piece: bytes) -> int:
        self.size += len(piece)
        return len(piece)

    def finish(self) -> None:
        self.ended.set()

    def fail(self, reason: str) -> None:
        raise RuntimeError(reason)


class Server(Receiver):
    """Serves zeros, swallows Taken, answers AskStatus."""

    def received(self, link: Link, batch: Batch) -> None:
        for message, _ in batch:
            if type(message) is AskStatus:
                link.send(message)
            elif type(message) is Fetch:
                link.serve(message.stream, Zeros(int(message.name)))


class Caller(Receiver):
    """The asyncio client: wakes who waits for an answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def received(self, link: Link, batch: Batch) -> None:
        if any(type(message) is AskStatus for message, _ in batch):
            self.answer.set_result(None)

    async def ask(self, link: Link) -> None:
        self.answer = asyncio.get_running_loop().create_future()
        link.send(AskStatus(1))
        await self.answer


def hello(role: str) -> Hello:
    return Hello(PROTOCOL, role, role)


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


async def serve(address: str) -> None:
    listener = await endpoint.listen(address, Server(), hello("scheduler"))
    print(listener.address, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    listener.close()


async def measure(link: Link, caller: Caller, bulk: int, count: int) -> tuple[float, float, float]:
    """Bytes/s, messages/s, seconds there and back, on a loop."""
    sink, began = Count(), time.perf_counter()
    link.fetch("zeros", str(bulk), sink)
    await sink.ended.wait()
    speed = bulk / (time.perf_counter() - began)
    began = time.perf_counter()
    for number in range(count):
        link.send(Taken(number))
        if number % 100 == 99:
            await asyncio.sleep(0)
    await caller.ask(link)
    rate = count / (time.perf_counter() - began)
    times = []
    for _ in range(count // 100):
        began = time.perf_counter()
        await caller.ask(link)
        times.append(time.perf_counter() - began)
    return speed, rate, sorted(times)[len(times) // 2]


def measure_blocking(address: str, bulk: int, count: int) -> tuple[float, float, float]:
    """The same by a thread."""
    link = dial.connect(address, hello("client"))
    sink, began = Count(), time.perf_counter()
    link.fetch("zeros", str(bulk), sink)
    while not sink.ended.is_set():
        link.receive(1)
    speed = bulk / (time.perf_counter() - began)
    began = time.perf_counter()
    for number in range(count):
        link.send(Taken(number))
    link.send(AskStatus(1))
    while not link.receive(1):
        pass
    rate = count / (time.perf_counter() - began)
    times = []
    for _ in range(count // 100):
        began = time.perf_counter()
        link.send(AskStatus(1))
        while not link.receive(1):
            pass
        times.append(time.perf_counter() - began)
    link.close()
    return speed, rate, sorted(times)[len(times) // 2]


def plain(family: int, bulk: int) -> float:
    """Bytes/s of 64 KB writes and 256 KB reads between two processes, and nothing else."""
    code = (
        "import socket, sys\n"
        "sock = socket.socket(fileno=int(sys.argv[1])); piece = bytes(1 << 16)\n"
        "for _ in range(int(sys.argv[2]) >> 16): sock.sendall(piece)\n"
    )
    if family == socket.AF_INET:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            theirs = server.accept()[0]
    else:
        ours, theirs = socket.socketpair()
    with ours, theirs:
        view, got = memoryview(bytearray(1 << 18)), 0
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", code, str(theirs.fileno()), str(bulk)], pass_fds=[theirs.fileno()]
        )
        got, began = ours.recv_into(view), time.perf_counter()
        while got < bulk:
            got += ours.recv_into(view)
        speed = bulk / (time.perf_counter() - began)
        child.wait()
    return speed


async def over_socket(address: str, bulk: int, count: int) -> tuple[float, float, float]:
    caller = Caller()
    link = await endpoint.connect(address, caller, hello("client"))
    found = await measure(link, caller, bulk, count)
    link.close()
    await asyncio.sleep(0.01)
    return found


async def over_memory(bulk: int, count: int) -> tuple[float, float, float]:
    caller = Caller()
    link, _ = memory_pair((caller, hello("client")), (Server(), hello("scheduler")))
    return await measure(link, caller, bulk, count)


def run(name: str, work: Callable[[], tuple[float, float, float]], base: float) -> None:
    speed, rate, there_and_back = work()
    print(f"{name:32} {speed / 1e9:8.2f} {speed / base:8.2f} {rate / 1e3:12,.0f} {there_and_back * 1e6:10.0f}")


def against(address: str, loop: str, bulk: int, count: int, base: float, kind: str) -> None:
    """All clients against one server process."""
    command = [sys.executable, "-m", "benchmarks.transport", "serve", address, loop]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        where = server.stdout.readline().strip()
        run(f"{kind}, blocking to {loop}", lambda: measure_blocking(where, bulk, count), base)

        def on_loop() -> tuple[float, float, float]:
            with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
                return runner.run(over_socket(where, bulk, count))

        run(f"{kind}, {loop} to {loop}", on_loop, base)
    finally:
        server.stdin.close()
        server.wait(10)


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table."""
    if arguments and arguments[0] == "serve":
        with asyncio.Runner(loop_factory=loop_factory(arguments[2])) as runner:
            runner.run(serve(arguments[1]))
        return
    bulk, count = (200 << 20, 20_000) if "--quick" in arguments else (1 << 30, 100_000)
    print(f"{'link':32} {'GB/s':>8} {'of plain':>8} {'k messages/s':>12} {'us to+fro':>10}")
    with tempfile.TemporaryDirectory() as directory:
        for kind, family in (("unix", socket.AF_UNIX), ("loopback", socket.AF_INET)):
            base = max(plain(family, bulk) for _ in range(2))
            print(f"{kind + ', plain socket':32} {base / 1e9:8.2f} {1:8.2f}")
            for loop in ("asyncio", "uvloop"):
                against(f"{kind}:{Path(directory) / loop}{kind}", loop, bulk, count, base, kind)
    for loop in ("asyncio", "uvloop"):
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            run(f"memory, {loop}", lambda: runner.run(over_memory(bulk, count)), base)


if __name__ == "__main__":
    main(sys.argv[1:])
