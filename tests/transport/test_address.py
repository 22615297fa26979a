"""Addresses, and listeners that come and go."""

import os
import socket
import stat

import pytest

from lightwork.model.errors import StartFailed, UserError, WrongCredential
from lightwork.security.token_file import Token
from lightwork.transport import endpoint
from lightwork.transport.address import local_address, target
from tests.transport.links import CLIENT, LOOPS, SCHEDULER, Recorder, run, until

each_loop = pytest.mark.parametrize("loop", LOOPS)


def test_local_address_is_a_socket_or_a_token_file(monkeypatch, tmp_path):
    monkeypatch.delenv("LIGHTWORK_PORTABLE", raising=False)
    assert local_address(tmp_path, "lab") == f"unix:{tmp_path}/lab.sock"
    monkeypatch.setenv("LIGHTWORK_PORTABLE", "1")
    assert local_address(tmp_path, "lab") == f"loopback:{tmp_path}/lab.token"


@pytest.mark.parametrize(
    "address", ["", "unix:", "host:80", "/path", "tcp:10.0.0.1:80", "tcp:127.0.0.1:x", "tcp:::1:80"]
)
def test_no_addresses(address):
    with pytest.raises(UserError):
        target(address, Token.new())


def test_a_port_without_its_token():
    with pytest.raises(WrongCredential):
        target("tcp:127.0.0.1:80")


@each_loop
def test_a_port_with_its_token(loop, tmp_path):
    from lightwork.security import token_file

    async def work():
        server = Recorder()
        listener = await endpoint.listen(f"loopback:{tmp_path}/t", server, SCHEDULER)
        address, token = token_file.read(tmp_path / "t")
        link = await endpoint.connect(address, Recorder(), CLIENT, token=token)
        link.close()
        with pytest.raises(WrongCredential):
            await endpoint.connect(address, Recorder(), CLIENT, token=Token.new())
        listener.close()

    run(loop, work)


@each_loop
@pytest.mark.parametrize("kind", ["unix", "loopback"])
def test_a_listener_leaves_its_links_and_no_trace(kind, loop, tmp_path):
    async def work():
        server, client = Recorder(), Recorder()
        listener = await endpoint.listen(f"{kind}:{tmp_path}/x", server, SCHEDULER)
        assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
        link = await endpoint.connect(listener.address, client, CLIENT)
        await until(lambda: server.links)
        listener.close()
        listener.close()
        assert os.listdir(tmp_path) == []
        assert link.up
        again = await endpoint.listen(f"{kind}:{tmp_path}/x", server, SCHEDULER)
        listener.close()  # what is there now is another's
        assert os.listdir(tmp_path) == ["x"]
        again.close()
        link.close()
        await until(lambda: client.lost and server.lost)

    run(loop, work)


@each_loop
def test_a_living_listener_is_not_displaced_a_dead_one_is(loop, tmp_path):
    path = str(tmp_path / "x")

    async def work():
        listener = await endpoint.listen(f"unix:{path}", Recorder(), SCHEDULER)
        with pytest.raises(StartFailed, match="another program listens"):
            await endpoint.listen(f"unix:{path}", Recorder(), SCHEDULER)
        assert os.path.exists(path)
        listener.close()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        listener = await endpoint.listen(f"unix:{path}", Recorder(), SCHEDULER)
        (await endpoint.connect(f"unix:{path}", Recorder(), CLIENT)).close()
        listener.close()

    run(loop, work)


def test_listening_where_one_cannot(tmp_path):
    (tmp_path / "file").write_text("mine")

    async def work():
        for address, words in (
            (f"unix:{tmp_path}/file", "no socket"),
            (f"unix:{tmp_path}/none/x", "cannot listen"),
            (f"unix:{tmp_path}/{'x' * 100}", "too long"),
            (f"loopback:{tmp_path}/none/x", "token file"),
            ("tcp:127.0.0.1:80", "cannot listen"),
        ):
            with pytest.raises(StartFailed, match=words):
                await endpoint.listen(address, Recorder(), SCHEDULER)

    run("asyncio", work)
    assert (tmp_path / "file").read_text() == "mine"


@each_loop
def test_a_connected_socket_is_adopted(loop):
    from lightwork.transport.stream import StreamLink
    from lightwork.wire.connection import Connection
    from lightwork.wire.messages import Taken

    async def work():
        import asyncio

        near, far = socket.socketpair()
        server, client = Recorder(), Recorder()
        running = asyncio.get_running_loop()
        await running.create_unix_connection(
            lambda: StreamLink(Connection(SCHEDULER, listening=True), server, "pair"), sock=far
        )
        link = await endpoint.adopt(near, client, CLIENT)
        link.send(Taken(1))
        await until(lambda: server.got)
        link.close()
        await until(lambda: server.lost and client.lost)

    run(loop, work)
