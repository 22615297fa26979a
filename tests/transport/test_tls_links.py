"""Encrypted links under load from threads, cut in the middle, and after a fork."""

import asyncio
import contextlib
import os
import socket
import threading
from typing import Any

import pytest

from lightwork.model.errors import LinkBroken
from lightwork.transport import dial
from lightwork.transport.address import split_host_port
from lightwork.wire.messages import AskStatus, Taken
from tests.transport.links import CLIENT, LOOPS, Gather, Recorder, Zeros, dialled, encryption, listening, run, until

each_loop = pytest.mark.parametrize("loop", LOOPS)


@each_loop
def test_many_senders_and_a_reader_on_one_link(loop):
    count, senders = 200, 8

    async def work():
        server = Recorder(lambda fetch: Zeros(30 << 20), lambda link, message, body: link.send(message, body))
        async with listening("tls", server) as address:
            link = await asyncio.to_thread(dial.connect, address, CLIENT, encryption=encryption())
            sink = Gather()
            got: list[tuple[Any, bytes]] = []
            link.fetch("blob", "x", sink)

            def read() -> None:
                while len(got) < count * senders or sink.end is None:
                    got.extend(link.receive(20))

            def send(sender: int) -> None:
                for number in range(count):
                    link.send(AskStatus(sender * count + number), bytes(number * 40))

            threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
            threads.append(threading.Thread(target=read))
            for thread in threads:
                thread.start()
            await until(lambda: not any(thread.is_alive() for thread in threads))
            assert (sink.end, sink.size) == ("", 30 << 20)
            numbers = [message.number for message, _ in got]
            assert sorted(numbers) == list(range(count * senders))
            assert all(len(body) == message.number % count * 40 for message, body in got)
            for sender in range(senders):  # each one's order is kept
                own = [number for number in numbers if number // count == sender]
                assert own == sorted(own)
            await asyncio.to_thread(link.close)

    run(loop, work)


@contextlib.contextmanager
def scissors(address: str):
    """A way to the address that can be cut: gives its own address, and the cut."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends: list[socket.socket] = []

        def carry(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = server.accept()
                    far = socket.create_connection(split_host_port(address.removeprefix("tcp:")))
                    ends.extend((near, far))
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=carry, args=pair, daemon=True).start()

        def cut() -> None:
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp:127.0.0.1:{server.getsockname()[1]}", cut
        cut()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for end in ends:
            end.close()


@each_loop
@pytest.mark.parametrize("kind", ["tls", "blocking-tls"])
def test_a_cut_line_is_broken_whatever_tls_thinks(kind, loop):
    """End of file without TLS's own end, in the middle of a record: no error of its own, and streams end."""

    async def work():
        server, client, sink = Recorder(lambda fetch: Zeros(1 << 30)), Recorder(), Gather()
        async with listening("tls", server) as address:
            with scissors(address) as (way, cut):
                link = await dialled(kind, way, client)
                link.fetch("blob", "x", sink)
                await until(lambda: sink.size > 1 << 20)
                cut()
                await until(lambda: client.lost and server.lost)
                assert type(client.lost[0]) is type(server.lost[0]) is LinkBroken
                assert sink.end
                link.send(Taken(1))  # no error

    run(loop, work)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_lets_go_of_it():
    async def work():
        server = Recorder(on_message=lambda link, message, body: link.send(message, body))
        async with listening("tls", server) as address:
            link = await asyncio.to_thread(dial.connect, address, CLIENT, encryption=encryption())
            child = os.fork()
            if child == 0:
                os._exit(0 if link.fileno() == -1 else 1)
            assert os.waitpid(child, 0)[1] == 0
            link.send(Taken(1))
            assert await asyncio.to_thread(link.receive, 10) == [(Taken(1), b"")]
            await asyncio.to_thread(link.close)

    run("asyncio", work)
