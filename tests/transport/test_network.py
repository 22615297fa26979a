"""Addresses of other machines: as users write them, listening on them, and what a link says about its ends."""

import asyncio
import contextlib
import socket

import pytest

from lightwork.config.timers import CLIENT_LEASE_S, DEAD_PEER_S, DEAD_SCHEDULER_S
from lightwork.model.errors import StartFailed, UserError
from lightwork.transport import dial, endpoint
from lightwork.transport.address import join_host_port, network_address, split_host_port
from lightwork.transport.blocking import BlockingLink
from lightwork.transport.stream import StreamLink
from lightwork.wire.connection import Connection
from lightwork.wire.messages import PROTOCOL, Hello
from tests.transport.links import CLIENT, LOOPS, SCHEDULER, Recorder, dialled, encryption, listening, run, until

each_loop = pytest.mark.parametrize("loop", LOOPS)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("lab1", "tcp:lab1:9701"),
        (" lab1 ", "tcp:lab1:9701"),
        ("lab1.example.com:80", "tcp:lab1.example.com:80"),
        ("lab-1:9702", "tcp:lab-1:9702"),
        ("tcp:lab1:9702", "tcp:lab1:9702"),
        ("tcp:lab1", "tcp:lab1:9701"),
        ("192.168.3.4", "tcp:192.168.3.4:9701"),
        ("192.168.3.4:1", "tcp:192.168.3.4:1"),
        ("::1", "tcp:[::1]:9701"),
        ("[::1]", "tcp:[::1]:9701"),
        ("[::1]:80", "tcp:[::1]:80"),
        ("fe80::1%eth0", "tcp:[fe80::1%eth0]:9701"),
        ("[fe80::1%eth0]:80", "tcp:[fe80::1%eth0]:80"),
        ("::ffff:10.0.0.1", "tcp:[::ffff:10.0.0.1]:9701"),
        ("tcp:[::1]:80", "tcp:[::1]:80"),
        ("b\u00fccher:1", "tcp:b\u00fccher:1"),
        ("unix:/a/b.sock", "unix:/a/b.sock"),
        ("loopback:/a/b", "loopback:/a/b"),
    ],
)
def test_what_users_write(text, meant):
    assert network_address(text, 9701) == meant
    if meant.startswith("tcp:"):
        assert network_address(meant, 1) == meant
        host, port = split_host_port(meant.removeprefix("tcp:"))
        assert f"tcp:{join_host_port(host, port)}" == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [("*", "*:9701"), ("*:80", "*:80"), (":80", "*:80"), ("80", "*:80"), ("lab1", "lab1:9701"), ("::", "[::]:9701")],
)
def test_what_users_write_to_listen_on(text, meant):
    assert network_address(text, 9701, listening=True) == f"tcp:{meant}"


@pytest.mark.parametrize(
    "text",
    "| |:80|80|*|*:80|lab1:|lab1:x|lab1:70000|lab1:0|lab1:-1|lab1:1:2|http://lab1|a b|a/b|[::1|[::1]80|::1]:80"
    "|[lab1]:80:|tcp:|unix:|user@lab1|lab1:\u0661|:::x".split("|"),
)
def test_what_is_no_address(text):
    with pytest.raises(UserError, match=r"is no |listen there, not connect"):
        network_address(text, 9701)


@pytest.mark.parametrize("text", ["lab1", "::1:80", "lab1:x", ":80", "[::1]:", ""])
def test_no_host_and_port(text):
    with pytest.raises(UserError):
        split_host_port(text)


def test_other_machines_need_a_credential():
    with pytest.raises(UserError, match="with a credential only") as caught:
        dial.connect("tcp:lab1:9701", CLIENT)
    assert "lightwork secret" in caught.value.hint

    async def work():
        with pytest.raises(UserError, match="with a credential only"):
            await endpoint.connect("tcp:lab1:9701", Recorder(), CLIENT)
        with pytest.raises(StartFailed, match="without a credential"):
            await endpoint.listen("tcp:127.0.0.1:0", Recorder(), SCHEDULER)

    asyncio.run(work())


@each_loop
@needs_ipv6
def test_all_addresses_are_ipv4_and_ipv6(loop):
    async def work():
        server, client = Recorder(), Recorder()
        listener = await endpoint.listen("tcp:*:0", server, SCHEDULER, encryption=encryption())
        host, port = split_host_port(listener.address.removeprefix("tcp:"))
        assert host == "*" and port
        count = 0
        for number, where in enumerate((f"127.0.0.1:{port}", f"[::1]:{port}")):
            for kind in ("tls", "blocking-tls"):
                link = await dialled(kind, f"tcp:{where}", client)
                assert link.address == where
                count += 1
                await until(lambda: len(server.links) == count)
                theirs = server.links[-1]
                assert theirs.address == link.local_address
                assert theirs.local_address == where
                assert theirs.address.startswith(("127.0.0.1:", "[::1]:")[number])
                link.abort()
        listener.close()

    run(loop, work)


@each_loop
def test_a_name_that_this_machine_has(loop):
    async def work():
        listener = await endpoint.listen("tcp:localhost:0", Recorder(), SCHEDULER, encryption=encryption())
        assert listener.address.startswith("tcp:localhost:")
        link = await endpoint.connect(listener.address, Recorder(), CLIENT, encryption=encryption())
        link.abort()
        listener.close()

    run(loop, work)


@each_loop
def test_a_taken_port_and_the_next_free_one(loop):
    async def work():
        first = await endpoint.listen("tcp:*:0", Recorder(), SCHEDULER, encryption=encryption())
        port = int(first.address.rpartition(":")[2])
        with pytest.raises(StartFailed, match=rf"cannot listen on \*:{port}: port {port} is in use") as caught:
            await endpoint.listen(f"tcp:*:{port}", Recorder(), SCHEDULER, encryption=encryption())
        assert "another port" in caught.value.hint
        second = await endpoint.listen(f"tcp:*:{port}", Recorder(), SCHEDULER, encryption=encryption(), free=True)
        assert port < int(second.address.rpartition(":")[2]) < port + 100
        first.close()
        again = await endpoint.listen(f"tcp:*:{port}", Recorder(), SCHEDULER, encryption=encryption())
        assert again.address == f"tcp:*:{port}"
        again.close()
        second.close()

    run(loop, work)


def test_a_port_that_only_ipv4_has_taken_is_taken():
    async def work():
        with socket.create_server(("0.0.0.0", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(StartFailed, match="in use"):
                await endpoint.listen(f"tcp:*:{port}", Recorder(), SCHEDULER, encryption=encryption())
            listener = await endpoint.listen(f"tcp:*:{port}", Recorder(), SCHEDULER, encryption=encryption(), free=True)
            assert int(listener.address.rpartition(":")[2]) != port
            listener.close()

    run("asyncio", work)


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "no address of this machine"), ("no-such-host.invalid", "no-such-host")]
)
def test_where_one_cannot_listen(host, words):
    from lightwork.model.errors import LightworkError

    async def work():
        with pytest.raises(LightworkError, match=words) as caught:
            await endpoint.listen(f"tcp:{host}:0", Recorder(), SCHEDULER, encryption=encryption())
        assert caught.value.hint

    run("asyncio", work)


def test_no_descriptor_is_left(monkeypatch):
    """Whatever goes wrong with the second socket closes the first."""
    import gc
    import warnings

    async def work():
        with socket.create_server(("0.0.0.0", 0)) as other:
            port = other.getsockname()[1]
            for _ in range(3):
                with contextlib.suppress(StartFailed):
                    await endpoint.listen(f"tcp:*:{port}", Recorder(), SCHEDULER, encryption=encryption())

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        run("asyncio", work)
        gc.collect()


@each_loop
def test_sockets_are_tuned(loop):
    async def work():
        server = Recorder()
        async with listening("tls", server) as address:
            link = await dialled("tls", address, Recorder())
            await until(lambda: server.links)
            for end in (link, server.links[0]):
                assert isinstance(end, StreamLink) and end._transport
                sock = end._transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD_PEER_S * 1000
            link.abort()

    run(loop, work)


def test_a_client_gives_up_a_dead_scheduler_before_its_lease_is_over():
    assert 2 * DEAD_SCHEDULER_S <= CLIENT_LEASE_S
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        link = BlockingLink(sock, Connection(Hello(PROTOCOL, "client", "c"), listening=False), "there")
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD_SCHEDULER_S * 1000
        if hasattr(socket, "TCP_KEEPIDLE"):
            tries = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
            pause = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            quiet = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            assert quiet + tries * pause <= DEAD_SCHEDULER_S
        link.abort()


def test_a_link_to_a_unix_socket_has_no_ends_to_show():
    async def work():
        async with listening("unix", Recorder()) as address:
            link = await dialled("unix", address, Recorder())
            assert (link.address, link.local_address) == (address, "")
            link.abort()

    run("asyncio", work)
