"""Nodes that are fed garbage from another machine: they stay small, say little, and work for others meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import Farm
from tests.support.lab_host import Program

pytestmark = pytest.mark.slow

MB = 1 << 20
LIMIT_S = 120.0
TIMERS = "HELLO_S=3 RETRY_S=0.5 RETRY_MAX_S=0.5 LINE_S=1.5"
GROWTH_MAX = 100 * MB
LINES_MAX = 130  # about thousands of strangers
SLOWEST_S = 15.0

STEADY = """
def same(n):
    return n

if __name__ == "__main__":
    with lightwork.JobCluster(same, nodes=["a"]) as cluster:
        cluster.submit(0).get()
        say(ready=True)
        count, slowest = 0, 0.0
        while not os.path.exists("stop"):
            begun = time.monotonic()
            assert cluster.submit(count).get() == count
            count, slowest = count + 1, max(slowest, time.monotonic() - begun)
        say(count=count, slowest=slowest)
"""
AGAIN = """
def same(n):
    return n

if __name__ == "__main__":
    count, slowest = 0, 0.0
    while not os.path.exists("stop"):
        begun = time.monotonic()
        with lightwork.JobCluster(same, nodes=["b"]) as cluster:
            assert cluster.submit(count).get() == count
        count, slowest = count + 1, max(slowest, time.monotonic() - begun)
        if count == 1:
            say(ready=True)
    say(count=count, slowest=slowest)
"""
ONCE = """
if __name__ == "__main__":
    begun = time.monotonic()
    with lightwork.JobCluster(abs, nodes=["a"]) as cluster:
        assert cluster.submit(-1).get() == 1
    say(took=time.monotonic() - begun)
"""
FEEDER = """
import itertools, random, resource, socket, ssl, struct
from lightwork.security.credential import find
from lightwork.transport.tls import Encryption
from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import PROTOCOL, Hello

NODES = [("192.168.3.12", 9701), ("192.168.3.13", 9701)]
SOURCES = sys.argv[1].split(",")
GIB = 1 << 30
encryption = Encryption(find())
chance = random.Random(7)
turns = itertools.count()

def dial(node=None, source=None):
    turn = next(turns)
    node, source = node or NODES[turn % 2], source or SOURCES[turn % len(SOURCES)]
    return socket.create_connection(node, 20, source_address=(source, 0))

class Tls:
    "A socket with the right secret."

    def __init__(self, node=None):
        self.socket, self.inside, self.outside = dial(node), ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = encryption.begin(self.inside, self.outside, listening=False)

    def hello(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outside.read()

    def up(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.inside.write(self.socket.recv(1 << 16))
        self.flush()
        return self

    def flush(self):
        self.socket.sendall(self.outside.read())

    def send(self, data):
        self.tls.write(data)
        self.flush()

    def ends(self):
        "Whether the other side closes it; what it says before is not looked at."
        self.socket.settimeout(20)
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return True

def pour(sock, size):
    "Random bytes, as many as the other side takes."
    try:
        for _ in range(size >> 16):
            sock.sendall(chance.randbytes(1 << 16))
    except ConnectionError:
        pass
    return sock

"""
FEED = (
    FEEDER
    + """
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
    kept = [dial() for _ in range(10_000)]
    say(silent=len(kept))
    for cut in (1, 5, 100, 300):
        for _ in range(50):
            kept.append(dial())
            kept[-1].sendall(Tls().hello()[:cut])
    say(stopped=True)
    for first in (b"", b"\\x16\\x03\\x01", b"\\x16\\x03\\x01\\x40\\x00", b"GET / HTTP/1.1\\r\\n", b"SSH-2.0-x\\r\\n"):
        for _ in range(10):
            sock = dial()
            sock.sendall(first)
            kept.append(pour(sock, 1 << 20))
    say(noise=True)
    prefixes = [struct.pack("<II", 0xC0000000, 0), struct.pack("<II", 16, 0xC0000000), struct.pack("<II", 1 << 14, 0)]
    for prefix in prefixes:
        for _ in range(10):
            peer = Tls().up()
            peer.send(prefix)
            kept.append(pour(peer.socket, 1 << 20))
    for _ in range(20):
        peer = Tls().up()
        peer.send(chance.randbytes(1 << 14))
        kept.append(peer.socket)
    say(secret=True)
    while not os.path.exists("stop"):
        time.sleep(0.05)
"""
)
CLAIM = (
    FEEDER
    + """
if __name__ == "__main__":
    for turn in range(30):
        peer = Tls(NODES[0]).up()
        hello = Hello(PROTOCOL, "scheduler", "bad", session="bad%d" % turn, lease_ms=200, beat_ms=100)
        peer.send(b"".join(encode_frame(hello)))
        peer.socket.recv(1 << 16)
        data = chance.randbytes(1 << 14) if turn % 3 else struct.pack("<II", 16, 0xC0000000)
        peer.send(data)
        pour(peer.socket, 1 << 20)
        peer.socket.close()
    say(claimed=True)
"""
)


class Watch:
    """A node's process, and what it had before."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._small = self._memory("VmRSS")
        self._descriptors = self._open()

    def is_as_before(self) -> None:
        """It has never become large, and what it has opened is closed again."""
        limit = self._descriptors + 10
        wait_until(lambda: self._open() <= limit, f"{limit} descriptors at most, not {self._open()}", LIMIT_S)
        grown = self._memory("VmHWM") - self._small
        assert grown < GROWTH_MAX, f"{grown / MB:.0f} MB"
        assert "Traceback" not in self._program.err, self._program.err

    def lines(self, what: str) -> int:
        """How many lines of its log speak of this."""
        return sum(what in line for line in self._program.err.splitlines())

    def _memory(self, field: str) -> int:
        lines = Path(f"/proc/{self._program.pid}/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

    def _open(self) -> int:
        return len(os.listdir(f"/proc/{self._program.pid}/fd"))


@pytest.fixture
def farm() -> Iterator[Farm]:
    with Farm("client", "a", "b", "other", "feeder", timers=TIMERS) as farm:
        yield farm


def test_strangers(farm: Farm) -> None:
    """Silent ones by the thousand, handshakes that stop, noise; and noise of those who have the secret."""
    nodes = {host: farm.node(host, "--slots", "1") for host in "ab"}
    clients = {"a": farm.client("client", STEADY), "b": farm.client("other", AGAIN)}
    for client in clients.values():
        client.wait_for("ready", LIMIT_S)
    watched = {host: Watch(node) for host, node in nodes.items()}
    sources = [farm["feeder"].address, *(f"192.168.3.{n}" for n in range(101, 112))]
    for source in sources[1:]:
        farm["feeder"].ip("address", "add", f"{source}/24", "dev", "eth0")
    feeder = farm.client("feeder", FEED, ",".join(sources))
    feeder.wait_for("secret", LIMIT_S)  # and keeps what it has open
    assert feeder.get("silent") == 10_000
    for host, machine in (("a", "client"), ("b", "other")):
        watched[host].is_as_before()
        (farm[machine].work / "stop").touch()
        clients[host].wait(LIMIT_S)
        assert clients[host].get("count") > 3
        assert clients[host].get("slowest") < SLOWEST_S, clients[host].told()
        assert 0 < watched[host].lines("refused") < LINES_MAX, nodes[host].err
        assert "3,221,225,472" in nodes["a"].err + nodes["b"].err


def test_a_scheduler_that_goes_mad(farm: Farm) -> None:
    """It has the secret, is let in, and then sends anything. The node is soon there for others."""
    node = farm.node("a", "--slots", "1")
    farm.client("client", ONCE).wait(LIMIT_S)
    watch = Watch(node)
    feeder = farm.client("feeder", CLAIM, farm["feeder"].address)
    feeder.wait(LIMIT_S)
    client = farm.client("client", ONCE)
    client.wait(LIMIT_S)
    assert client.get("took") < SLOWEST_S
    watch.is_as_before()
    assert 0 < watch.lines("bad") <= 4 * 30
