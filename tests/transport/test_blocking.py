"""The thread's side: who may do what meanwhile, and what a fork must not keep open."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from lightwork.config.limits import STREAM_CREDIT
from lightwork.model.errors import LinkBroken, ProtocolError, Unreachable
from lightwork.transport import dial
from lightwork.transport.link import Link
from lightwork.wire.connection import Connection
from lightwork.wire.messages import AskStatus, Fetch, Goodbye, Ping, Taken
from tests.e2e.helpers import wait_until
from tests.transport.links import CLIENT, SCHEDULER, Gather, Recorder, Zeros, listening


class Other:
    """The far end of a socket pair, spoken by the test itself."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.line = Connection(SCHEDULER, listening=True)
        self.got: list = []

    def read(self) -> list:
        """What came, in one read."""
        count = self.sock.recv_into(self.line.room())
        frames = self.line.received(count) if count else []
        self.got += frames
        return frames

    def write(self) -> None:
        while data := self.line.data_to_send():
            self.sock.sendall(b"".join(data))

    def say(self, message, body: bytes = b"") -> None:
        self.line.send(message, body)
        self.write()


@contextlib.contextmanager
def pair():
    near, far = socket.socketpair()
    far.settimeout(10)
    other = Other(far)

    def greet() -> None:
        other.read()
        other.write()

    thread = threading.Thread(target=greet)
    thread.start()
    link = dial.adopt(near, CLIENT)
    thread.join()
    try:
        yield link, other
    finally:
        link.abort()
        far.close()


def test_messages_that_came_with_the_hello_are_not_lost():
    near, far = socket.socketpair()
    other = Other(far)
    other.line.send(Taken(5))

    def greet() -> None:
        other.read()
        other.write()

    thread = threading.Thread(target=greet)
    thread.start()
    link = dial.adopt(near, CLIENT)
    thread.join()
    assert link.receive(1) == [(Taken(5), b"")]
    link.abort()
    far.close()


def test_an_idle_line_is_written_at_once():
    with pair() as (link, other):
        link.send(Taken(1), b"abc")
        assert not link.wants_write
        assert other.read() == [(Taken(1), b"abc")]


def test_receive_keeps_its_time_and_zero_only_looks():
    with pair() as (link, other):
        began = time.monotonic()
        assert link.receive(0) == []
        assert link.receive(0.1) == []
        assert 0.1 <= time.monotonic() - began < 2
        other.say(Taken(1))
        assert link.receive(0) == [(Taken(1), b"")]


def test_half_a_message_is_waited_for():
    with pair() as (link, other):
        other.line.send(Taken(1), b"abcdef")
        data = b"".join(other.line.data_to_send())
        other.sock.sendall(data[:9])
        assert link.receive(0.05) == []
        threading.Timer(0.05, other.sock.sendall, [data[9:]]).start()
        assert link.receive(5) == [(Taken(1), b"abcdef")]


def test_wakeup_returns_the_reader_or_the_next_one():
    with pair() as (link, _):
        threading.Timer(0.05, link.wakeup).start()
        began = time.monotonic()
        assert link.receive(30) == []
        link.wakeup()
        assert link.receive(30) == []
        assert time.monotonic() - began < 10
        assert link.receive(0.05) == []


def test_a_busy_line_queues_and_never_blocks():
    with pair() as (link, other):
        rings = []
        link.on_backlog = lambda: rings.append(1)
        began = time.monotonic()
        for number in range(200):
            link.send(Taken(number), bytes(50_000))
        assert time.monotonic() - began < 5
        assert rings and link.wants_write
        assert link.queued_bytes > 5_000_000
        assert link.drain(0, 0.05) is False
        thread = threading.Thread(target=link.drain, args=(0, 20))
        thread.start()
        while len(other.got) < 200:
            other.read()
        thread.join()
        assert link.queued_bytes == 0
        assert link.drain(0, 1) is True
        assert [message for message, _ in other.got] == [Taken(number) for number in range(200)]


def test_the_reader_flushes_what_others_queue():
    """A sender that finds the line busy gets the sleeping reader to write the rest."""
    with pair() as (link, other):
        reader = threading.Thread(target=link.receive, args=(20,))
        reader.start()
        wait_until(lambda: link._asleep, "it sleeps, for reading only")
        link.on_backlog = pytest.fail
        for number in range(100):
            link.send(Taken(number), bytes(50_000))
        while len(other.got) < 100:
            other.read()
        link.on_backlog = None
        link.wakeup()
        reader.join(10)
        assert not reader.is_alive()


def test_a_reader_that_returns_says_what_it_leaves():
    with pair() as (link, other):
        for number in range(100):
            link.send(Taken(number), bytes(50_000))
        rings = []
        link.on_backlog = lambda: rings.append(1)
        other.sock.sendall(b"")
        link.wakeup()
        assert link.receive(5) == []
        assert rings == [1]


def test_many_senders_one_reader():
    with pair() as (link, other):
        count, senders = 300, 8

        def work(sender: int) -> None:
            for number in range(count):
                link.send(AskStatus(sender * count + number), bytes(number))

        threads = [threading.Thread(target=work, args=(sender,)) for sender in range(senders)]
        threads.append(threading.Thread(target=lambda: [link.receive(0.05) for _ in range(10)]))
        for thread in threads:
            thread.start()
        while len(other.got) < count * senders:
            other.read()
        for thread in threads:
            thread.join()
        numbers = [message.number for message, _ in other.got]
        assert sorted(numbers) == list(range(count * senders))
        for sender in range(senders):  # each one's order is kept
            own = [number for number in numbers if number // count == sender]
            assert own == sorted(own)


def test_all_that_came_is_given_out_before_the_loss():
    with pair() as (link, other):
        other.say(Taken(1))
        other.line.close("over")
        other.write()
        other.sock.close()
        link.send(Taken(2))  # the line is dead already: no error, and nothing that came is lost
        got = link.receive(1)
        assert got == [(Taken(1), b""), (Goodbye("over"), b"")]
        with pytest.raises(LinkBroken, match="has left"):
            link.receive(1)
        with pytest.raises(LinkBroken):
            link.receive(1)
        assert link.left and not link.up
        assert link.fileno() == -1  # closed


def test_a_broken_link_fails_its_streams_and_wakes_its_drainer():
    with pair() as (link, other):
        sink, source = Gather(), Zeros(10 * STREAM_CREDIT)
        link.fetch("blob", "x", sink)
        other.read()
        other.line.fetch("blob", "y")
        other.write()
        ((fetch, _),) = link.receive(1)
        assert type(fetch) is Fetch
        link.serve(fetch.stream, source)
        for number in range(100):
            link.send(Taken(number), bytes(50_000))
        found = []
        thread = threading.Thread(target=lambda: found.append(link.drain(0, 30)))
        thread.start()
        other.sock.close()
        with pytest.raises(LinkBroken):
            while True:
                link.receive(5)
        thread.join(10)
        assert found == [False]
        assert sink.end
        assert source.closed == 1


def test_garbage_is_named():
    with pair() as (link, other):
        other.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(ProtocolError, match="announced"):
            link.receive(1)


def test_close_from_another_thread_ends_the_reader():
    with pair() as (link, other):
        ended = []

        def read() -> None:
            try:
                while True:
                    link.receive(30)
            except LinkBroken as error:
                ended.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.05)
        link.close("bye")
        thread.join(10)
        assert ended
        assert link.fileno() == -1
        other.read()
        assert other.got == [(Goodbye("bye"), b"")]
        link.close()  # again: nothing


def test_close_does_not_wait_for_ever_for_who_does_not_read():
    with pair() as (link, _):
        for number in range(100):
            link.send(Taken(number), bytes(50_000))
        began = time.monotonic()
        link.close(timeout=0.2)
        assert time.monotonic() - began < 5


def test_nobody_there(tmp_path):
    for address in (f"unix:{tmp_path}/no.sock", f"loopback:{tmp_path}/no.token"):
        with pytest.raises(Unreachable, match=r"no\.(sock|token)"):
            dial.connect(address, CLIENT)


def test_nobody_says_hello():
    near, far = socket.socketpair()
    began = time.monotonic()
    with pytest.raises(ProtocolError, match="hello"):
        dial.adopt(near, CLIENT, timeout=0.2)
    assert time.monotonic() - began < 5
    assert near.fileno() == -1
    far.close()


def test_a_forked_child_lets_go():
    """The child cannot use the link, and its copy does not keep the line open."""
    code = """
        import os, socket, sys, time
        from lightwork.model.errors import ForkedCluster
        from tests.transport.test_blocking import pair
        from lightwork.wire.messages import Taken
        with pair() as (link, other):
            child = os.fork()
            if child == 0:
                try:
                    link.send(Taken(1))
                except ForkedCluster:
                    other.sock.close()
                    time.sleep(30)
                os._exit(1)
            link.send(Taken(7))
            assert other.read()[0][0] == Taken(7)
            link.abort()
            assert other.sock.recv(100) == b""
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            os.kill(child, 9); os.waitpid(child, 0)
            print("eof")
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in (".", os.environ.get("PYTHONPATH")) if p)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, env=environment)
    assert (done.stdout, done.returncode) == ("eof\n", 0), done.stderr


def test_it_needs_no_loop():
    code = "import sys, lightwork.transport.dial, lightwork.transport.files; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0


def test_descriptors_above_1024(tmp_path):
    """A user's program may have many files open: select() would fail."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("so many descriptors are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1050)]
    try:
        with pair() as (link, other):
            assert link.fileno() > 1024
            other.say(Ping(1))
            assert link.receive(1) == []
            other.read()
            for _ in range(100):
                link.send(Taken(1), bytes(50_000))
            assert link.drain(0, 0.05) is False
    finally:
        for descriptor in many:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_fetches_of_files_while_messages_flow(tmp_path):
    """What the client does all day: a file each way, and messages meanwhile."""
    from lightwork.transport.files import FileSink, FileSource

    content = os.urandom(3_000_000)
    (tmp_path / "here").write_bytes(content)
    (tmp_path / "there").write_bytes(content[::-1])
    ended: list[str] = []

    def echo(link: Link, message, body) -> None:
        link.send(message, body)

    server = Recorder(lambda fetch: FileSource(tmp_path / "there"), echo)
    ready, stop = threading.Event(), threading.Event()
    where: list[str] = []

    async def serve() -> None:
        async with listening("unix", server) as address:
            where.append(address)
            ready.set()
            while not server.links:
                await asyncio.sleep(0.001)
            server.links[0].fetch("blob", "here", FileSink(tmp_path / "copied there", ended.append))
            while not stop.is_set():
                await asyncio.sleep(0.001)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    link = dial.connect(where[0], CLIENT)
    link.fetch("spool", "there", FileSink(tmp_path / "copied here", ended.append))
    answers, number = 0, 0
    while len(ended) < 2 or answers < 100:
        if number < 100:
            link.send(Taken(number))
            number += 1
        for message, _ in link.receive(5):
            if type(message) is Fetch:
                link.serve(message.stream, FileSource(tmp_path / message.name))
            else:
                answers += 1
    link.close()
    stop.set()
    thread.join(10)
    assert ended == ["", ""]
    assert (tmp_path / "copied there").read_bytes() == content
    assert (tmp_path / "copied here").read_bytes() == content[::-1]
