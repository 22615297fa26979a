"""Crowds at an encrypted port: half-open connections by the thousand, noise, no descriptors left. Others are served."""

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from functools import partial

import psutil
import pytest

from lightwork.config.limits import STRANGERS_A_SOURCE, STRANGERS_MAX
from lightwork.model.errors import LightworkError
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.transport import dial
from lightwork.transport.address import split_host_port
from lightwork.transport.strangers import Strangers, source_of
from lightwork.transport.tls import Encryption
from lightwork.wire.connection import Connection
from lightwork.wire.messages import PROTOCOL, AskStatus, Hello
from tests.transport.links import CLIENT

SECRET = secret.generate()
CIPHER = Encryption(Credential(secrets=(SECRET,), origin="here"))
each_loop = pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.slow)])


class Server:
    """The process, and an honest peer's view of it."""

    def __init__(self, address: str, pid: int) -> None:
        self.address = address
        self.where = split_host_port(address.removeprefix("tcp:"))
        self.process = psutil.Process(pid)

    def raw(self) -> socket.socket:
        return socket.create_connection(self.where, 10)

    def link(self):
        return dial.connect(self.address, CLIENT, encryption=CIPHER)

    def ask(self, link) -> dict:
        """Its refusals."""
        link.send(AskStatus(1))
        while True:
            for message, body in link.receive(10):
                if type(message) is AskStatus:
                    return json.loads(body)

    def served(self) -> float:
        """Seconds until a new peer has its answer."""
        began = time.monotonic()
        for _ in range(5):  # as every program of ours does: again
            with contextlib.suppress(LightworkError):
                link = self.link()
                self.ask(link)
                link.abort()
                return time.monotonic() - began
        raise AssertionError("not served")


@contextlib.contextmanager
def server(loop: str, *options: str):
    environ = {**os.environ, secret.VARIABLE: SECRET}
    command = [sys.executable, "-m", "tests.transport.lone_server", loop, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdin and process.stdout
        try:
            yield Server(process.stdout.readline().strip(), process.pid)
            assert process.poll() is None  # it has survived
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def greeting() -> bytes:
    """The beginning of a handshake; whoever stops there has cost the listener its part."""
    return b"".join(CIPHER.line(Connection(CLIENT, listening=False), "x").data_to_send())


@contextlib.contextmanager
def descriptors(wanted: int):
    """So many, or as many as are allowed."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield max(soft, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.soak)])
def test_ten_thousand_half_open_connections(loop):
    """Every other one stops in the middle of the handshake, the rest say nothing at all."""
    hello = greeting()
    with server(loop) as there, descriptors(11_000) as room, contextlib.ExitStack() as stack:
        friend = there.link()
        there.ask(friend)
        memory, held = there.process.memory_info().rss, deque[socket.socket]()
        slowest = 0.0
        for number in range(10_000):
            sock = there.raw()
            stack.callback(sock.close)
            if number % 2:
                with contextlib.suppress(OSError):  # displaced already
                    sock.sendall(hello)
            held.append(sock)
            if len(held) > room - 500:
                held.popleft().close()
            if number % 2_000 == 1_999:
                began = time.monotonic()
                there.ask(friend)
                slowest = max(slowest, there.served(), time.monotonic() - began)
                assert there.process.num_fds() < STRANGERS_A_SOURCE + 60
        refused = there.ask(friend)
        assert refused["LinkBroken"] >= 10_000 - STRANGERS_A_SOURCE - 10
        assert there.process.memory_info().rss - memory < 60 << 20
        assert slowest < 15
        friend.abort()


@each_loop
def test_noise_of_every_kind(loop):
    """Before TLS and within it, after a good hello too: refused at once, and others are served."""
    chance = random.Random(5)
    hello = greeting()
    beginnings = [
        struct.pack("<II", 3 << 30, 0),
        struct.pack(">I", 3 << 30) + bytes(1000),
        b"\x16\x03\x01\xff\xff" + bytes(70_000),
        hello[:5],
        hello + hello,
        hello[:-1] + b"\xff",
        hello + bytes(100),
        b"\x16\x03\x03\x00\x00" * 10_000,
        b"\x14\x03\x03\x00\x01\x01" * 1000,
        *(chance.randbytes(chance.randrange(1, 5000)) for _ in range(60)),
        *(b"\x16\x03\x01" + chance.randbytes(chance.randrange(1, 5000)) for _ in range(60)),
    ]
    for _ in range(60):
        broken = bytearray(hello)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        beginnings.append(bytes(broken))
    with server(loop) as there:
        friend = there.link()
        memory = there.process.memory_info().rss
        for beginning in beginnings:
            with there.raw() as sock, contextlib.suppress(OSError):
                sock.sendall(beginning)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
        assert there.served() < 15
        assert sum(there.ask(friend).values()) >= len(beginnings)
        assert there.process.memory_info().rss - memory < 40 << 20
        friend.abort()


@each_loop
@pytest.mark.parametrize("greeted", [False, True])
def test_three_gigabytes_announced_within_tls(loop, greeted):
    """By somebody who has the secret, and does not keep to the protocol."""

    class Liar(Connection):
        def data_to_send(self, most=0):
            data, self.lies = (super().data_to_send() if greeted else []), getattr(self, "lies", 0) + 1
            return [*data, struct.pack("<II", 3 << 30, 3 << 30)] if self.lies == 1 else []

    with server(loop) as there:
        friend = there.link()
        memory = there.process.memory_info().rss
        sock = there.raw()
        line = CIPHER.line(Liar(Hello(PROTOCOL, "client", "liar"), listening=False), "x")
        with sock, contextlib.suppress(OSError):
            for _ in range(5):
                for data in line.data_to_send():
                    sock.sendall(data)
                count = sock.recv_into(line.room())
                if not count:
                    break
                line.cut(count)
            sock.settimeout(5)
            while sock.recv(4096):
                pass
        end = time.monotonic() + 10
        while not (refused := there.ask(friend)) and not greeted and time.monotonic() < end:
            time.sleep(0.01)
        assert refused == ({} if greeted else {"FrameTooLong": 1})
        assert there.process.memory_info().rss - memory < 10 << 20
        friend.abort()


@each_loop
def test_no_descriptors_left(loop):
    """A listener that runs out of them goes on when there are some again, and serves those it has meanwhile."""
    with server(loop, "60") as there, contextlib.ExitStack() as stack:
        friend, links = there.link(), []
        with pytest.raises(LightworkError):
            for _ in range(100):
                links.append(there.link())
        assert len(links) > 10
        strangers = [stack.enter_context(there.raw()) for _ in range(20)]
        began = time.process_time()
        assert there.ask(friend)["ClusterError"] >= 1
        busy = there.process.cpu_times().user
        time.sleep(1)
        assert there.process.cpu_times().user - busy < 0.5  # it does not spin
        for link in links:
            link.abort()
        for stranger in strangers:
            stranger.close()
        assert there.served() < 10
        assert there.ask(friend)["ClusterError"] == 1
        assert time.process_time() - began < 10
        friend.abort()


# --- who goes first ---


def test_the_oldest_of_the_same_source_makes_room():
    gone: list[int] = []
    crowd = Strangers(most=10, most_a_source=3)
    for number in range(5):
        crowd.came(number, "10.0.0.1", partial(gone.append, number))
    assert gone == [0, 1]
    crowd.came(5, "10.0.0.2", partial(gone.append, 5))
    assert gone == [0, 1]
    assert len(crowd) == 4


def test_the_oldest_of_all_makes_room_when_sources_are_many():
    gone: list[int] = []
    crowd = Strangers(most=10, most_a_source=3)
    for number in range(25):
        crowd.came(number, f"10.0.{number}.1", partial(gone.append, number))
    assert gone == list(range(15))
    assert len(crowd) == 10
    crowd.left(20)
    crowd.left(20)
    crowd.came(25, "10.9.9.9", partial(gone.append, 25))
    assert gone == list(range(15))
    for number in range(15, 26):
        crowd.left(number)
    assert len(crowd) == 0
    assert crowd._by_source == {}
    crowd.displace_oldest()


def test_an_ipv6_network_is_one_source():
    assert source_of("fd00::1") == source_of("fd00::ffff:1") != source_of("fd00:0:0:1::1")
    assert source_of("fe80::1%eth0") == source_of("fe80::2%eth1")
    assert source_of("::ffff:10.0.0.1") == "10.0.0.1" != source_of("::ffff:10.0.0.2")
    assert source_of("10.0.0.1") == "10.0.0.1"
    assert STRANGERS_A_SOURCE < STRANGERS_MAX
