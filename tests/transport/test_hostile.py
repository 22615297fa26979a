"""What strangers, broken peers and crowds do to a listener: nothing to the others."""

import asyncio
import socket
import struct

import pytest

from lightwork.config.limits import HELLO_MAX
from lightwork.model.errors import FrameTooLong, LinkBroken, ProtocolError, WrongCredential
from lightwork.transport import dial, endpoint, stream as stream_module
from lightwork.wire import dialogue as dialogue_module
from lightwork.wire.connection import Connection
from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import PROTOCOL, Hello, Ping, Pong, Refused, Taken
from tests.transport.links import CLIENT, LOOPS, SCHEDULER, Gather, Recorder, Zeros, listening, run, until

each_kind = pytest.mark.parametrize("kind", ["unix", "loopback"])
each_loop = pytest.mark.parametrize("loop", LOOPS)


def frame(message, body: bytes = b"") -> bytes:
    return b"".join(encode_frame(message, body))


def raw(address: str) -> socket.socket:
    """A plain socket to the address."""
    from lightwork.transport.address import target

    found = target(address)
    sock = socket.socket(found.family, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(found.where)
    return sock


def rest(sock: socket.socket) -> bytes:
    """All that still comes; waits for the end."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def greeting(address: str) -> bytes:
    """A good hello for this address."""
    from lightwork.security.token_file import DIAL
    from lightwork.transport.address import target, with_proof

    return frame(with_proof(CLIENT, target(address).token, DIAL))


BAD_BEGINNINGS = {
    "three gigabytes": (struct.pack("<II", 3 << 30, 0), FrameTooLong),
    "long hello": (struct.pack("<II", HELLO_MAX + 1, 0) + bytes(1 << 16), FrameTooLong),
    "body": (struct.pack("<II", 40, 1), FrameTooLong),
    "http": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", FrameTooLong),
    "tls": (bytes.fromhex("16030100f8010000f40303") + bytes(300), FrameTooLong),
    "zeros": (bytes(5000), ProtocolError),
    "no hello": (frame(Ping(1)), ProtocolError),
    "half a frame": (frame(CLIENT)[:9], LinkBroken),
    "nothing": (b"", LinkBroken),
}


@each_loop
@each_kind
@pytest.mark.parametrize("case", BAD_BEGINNINGS)
def test_bad_beginnings(kind, loop, case):
    data, error = BAD_BEGINNINGS[case]

    async def work():
        server = Recorder()
        async with listening(kind, server) as address:
            sock = await asyncio.to_thread(raw, address)
            sock.sendall(data)
            if error is LinkBroken:
                sock.close()
            else:
                await asyncio.to_thread(rest, sock)
                sock.close()
            await until(lambda: server.refused)
            assert type(server.refused[0]) is error
            assert not server.links and not server.lost

    run(loop, work)


@each_loop
@each_kind
def test_garbage_after_a_good_hello(kind, loop):
    async def work():
        server = Recorder()
        async with listening(kind, server) as address:
            sock = await asyncio.to_thread(raw, address)
            sock.sendall(greeting(address) + frame(Taken(1)) + b"\x05\x00\x00\x00\x00\x00\x00\x00garbage")
            answer = await asyncio.to_thread(rest, sock)
            sock.close()
            await until(lambda: server.lost)
            assert server.messages == [Taken(1)]  # what was good before is not lost
            assert isinstance(server.lost[0], ProtocolError)
            reader = Connection(CLIENT, listening=False)
            reader.feed(answer)
            assert isinstance(reader.error, ProtocolError)  # and the sender is told why

    run(loop, work)


@each_loop
@each_kind
def test_a_cut_line(kind, loop):
    """The peer dies in the middle of a message, while streams run both ways."""

    async def work():
        source, sink = Zeros(100 << 20), Gather()
        server = Recorder(lambda fetch: source)
        async with listening(kind, server) as address:
            sock = await asyncio.to_thread(raw, address)
            from lightwork.wire.messages import Fetch

            sock.sendall(greeting(address) + frame(Fetch(1, "blob", "x")) + frame(Taken(1), bytes(1000))[:500])
            await until(lambda: source.given)
            server.links[0].fetch("blob", "x", sink)
            sock.close()
            await until(lambda: server.lost)
            assert isinstance(server.lost[0], LinkBroken)
            assert source.closed == 1
            assert sink.end

    run(loop, work)


@each_loop
@each_kind
def test_who_does_not_say_hello_is_sent_away(kind, loop, monkeypatch):
    monkeypatch.setattr(stream_module, "HELLO_S", 0.2)
    monkeypatch.setattr(dialogue_module, "HELLO_S", 0.2)

    async def work():
        server = Recorder()
        async with listening(kind, server) as address:
            socks = [await asyncio.to_thread(raw, address) for _ in range(20)]
            socks[0].sendall(frame(CLIENT)[:5])
            for sock in socks:
                assert b"say hello" in await asyncio.to_thread(rest, sock)
                sock.close()
            await until(lambda: len(server.refused) == 20)

    run(loop, work)


@each_loop
@each_kind
def test_half_closed_and_not_reading_does_not_last_for_ever(kind, loop, monkeypatch):
    monkeypatch.setattr(stream_module, "LINK_CLOSE_S", 0.2)

    async def work():
        server = Recorder()
        async with listening(kind, server) as address:
            sock = await asyncio.to_thread(raw, address)
            sock.sendall(greeting(address))
            await until(lambda: server.links)
            for number in range(1000):
                server.links[0].send(Taken(number), bytes(50_000))
            await asyncio.sleep(0.05)
            sock.shutdown(socket.SHUT_WR)
            await until(lambda: server.lost)
            sock.close()

    run(loop, work)


@each_loop
@each_kind
def test_a_thousand_links(kind, loop):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2200:
        pytest.skip("so many descriptors are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2200), hard))
    count = 1000

    def dial_all(address: str) -> int:
        """All connect, then all ask, then all are answered: one thread plays them all."""
        hello, socks = greeting(address), []
        for _ in range(count):
            socks.append(raw(address))
            socks[-1].sendall(hello)
        answered = 0
        for number, sock in enumerate(socks):
            sock.sendall(frame(Ping(number)))
        for number, sock in enumerate(socks):
            line = Connection(CLIENT, listening=False)
            while not answered_by(line, sock, number):
                pass
            answered += 1
        for sock in socks:
            sock.close()
        return answered

    def answered_by(line: Connection, sock: socket.socket, number: int) -> bool:
        return (Pong(number), b"") in line.feed(sock.recv(1000))

    async def work():
        server = Recorder()
        async with listening(kind, server) as address:
            assert await asyncio.to_thread(dial_all, address) == count
            await until(lambda: len(server.lost) == count)
            assert len(set(server.links)) == count

    try:
        run(loop, work)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the loopback credential ---


@each_loop
def test_a_stranger_on_the_port_learns_nothing(loop):
    """Any user can connect to the port: without the proof there is a refusal, and none of ours is shown."""

    async def work():
        server = Recorder()
        async with listening("loopback", server) as address:
            for credential in ("", "x", "0" * 64):
                sock = await asyncio.to_thread(raw, address)
                sock.sendall(frame(Hello(PROTOCOL, "client", "c", credential=credential)))
                answer = await asyncio.to_thread(rest, sock)
                sock.close()
                reader = Connection(CLIENT, listening=False)
                reader.feed(answer)
                assert isinstance(reader.error, WrongCredential)
                assert reader.peer is None
            await until(lambda: len(server.refused) == 3)
            assert not server.links

    run(loop, work)


def test_who_listens_on_a_dead_listeners_port_is_not_believed(tmp_path):
    """It is shown the dialler's proof; sent back, that is not the listener's."""

    class Parrot(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            shown = Connection(SCHEDULER, listening=True)
            seen: list[Hello] = []

            def look(hello: Hello) -> Refused:
                seen.append(hello)
                return Refused("x", "x")

            shown._check = look
            shown.feed(data)
            if seen:
                self.transport.write(frame(Hello(PROTOCOL, "scheduler", "s", credential=seen[0].credential)))

    async def work():
        listener = await endpoint.listen(f"loopback:{tmp_path}/t", Recorder(), SCHEDULER)
        from lightwork.security import token_file

        _, token = token_file.read(tmp_path / "t")
        listener.close()
        server = await asyncio.get_running_loop().create_server(Parrot, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        token_file.create(tmp_path / "t", f"tcp:127.0.0.1:{port}", token)
        client = Recorder()
        with pytest.raises(WrongCredential):
            await endpoint.connect(f"loopback:{tmp_path}/t", client, CLIENT)
        with pytest.raises(WrongCredential):
            await asyncio.to_thread(dial.connect, f"loopback:{tmp_path}/t", CLIENT)
        assert not client.links
        server.close()

    run("asyncio", work)
