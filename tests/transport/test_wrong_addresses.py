"""Every way to get an address wrong: what, where and what to do, within five seconds."""

import asyncio
import contextlib
import errno
import http.server
import socket
import ssl
import sys
import threading
import time

import pytest

from lightwork.config import timers
from lightwork.model.errors import LightworkError, PeerError, SaysNothing, Unreachable, UserError
from lightwork.transport import dial, endpoint, lookup, reach, soon
from lightwork.transport.tls import Encryption
from lightwork.wire.frames import encode_frame
from lightwork.wire.messages import PROTOCOL_OLDEST, Hello
from tests.security.certificates import make
from tests.transport.links import CLIENT, SCHEDULER, Recorder, connected, dialled, encryption, listening, run, until

WAYS = ("asyncio", pytest.param("uvloop", marks=pytest.mark.slow), "thread")
each_way = pytest.mark.parametrize("way", WAYS)


def failing(way: str, address: str, cipher: Encryption | None = None, work=None) -> LightworkError:
    """Dial in vain; the error, which has to come in time. `work` runs meanwhile on the loop that dials."""
    found: list[LightworkError] = []

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            where = await stack.enter_async_context(work()) if work else address
            began = time.monotonic()
            with pytest.raises(LightworkError) as caught:
                (await connected(way, where, cipher or encryption())).abort()
            assert time.monotonic() - began < 5
            found.append(caught.value)

    run("asyncio" if way == "thread" else way, main)
    return found[0]


@contextlib.contextmanager
def serving(answer: bytes | None, first: bool = False, close: bool = False):
    """A TCP server of another kind: answers what comes (or speaks first), or stays silent; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    held.append(sock)
                    if close:
                        sock.close()
                        continue
                    if not first and answer is not None:
                        sock.recv(4096)
                    if answer is not None:
                        sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for sock in held:
            sock.close()


@pytest.fixture
def hurry(monkeypatch):
    """What takes three seconds to users takes less here."""
    for module in (timers, reach):
        monkeypatch.setattr(module, "CONNECT_S", 0.4)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def addresses(monkeypatch, *numbers: str) -> None:
    """What the name `lab1` means."""

    def look(host, port, flags=0):
        if host != "lab1":
            return real(host, port, flags)
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        return [address for number in numbers for address in real(number, port)]

    real = lookup._addresses
    monkeypatch.setattr(lookup, "_addresses", look)


# --- names ---


@each_way
def test_no_such_host(way, monkeypatch):
    def look(host, port, **_):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    error = failing(way, "tcp:lab9:9701")
    assert type(error) is Unreachable
    assert error.args[0] == "there is no host named lab9"
    assert "spelling" in error.hint


@each_way
def test_a_name_server_that_does_not_answer(way, monkeypatch):
    def look(host, port, **_):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    assert "the name server does not answer for lab9" in str(failing(way, "tcp:lab9:9701"))


@each_way
def test_a_look_up_that_hangs(way, monkeypatch, hurry):
    hang, asked = threading.Event(), []

    def look(host, port, **options):
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(host)
        hang.wait(30)
        return real("127.0.0.1", port, **options)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look)
    error = failing(way, f"tcp:{way}9:9701")
    assert error.args[0] == f"the look-up of the name {way}9 took over 0.4 s"
    assert "IP address" in error.hint
    assert asked == [f"{way}9"]  # each has its own: a look-up goes on when its asker has gone
    hang.set()


def test_the_loop_goes_on_meanwhile_and_one_name_is_asked_for_once(monkeypatch):
    asked, enough = [], threading.Event()

    def look(host, port, **options):
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(host)
        enough.wait(20)
        return real("127.0.0.1", port, **options)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look)

    async def work():
        looking = [asyncio.ensure_future(soon.resolve_soon("lab8", 9701, 30)) for _ in range(20)]
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not any(look.done() for look in looking)
        enough.set()
        assert all(found[0].number == "127.0.0.1" for found in await asyncio.gather(*looking))
        assert asked == ["lab8"]

    run("asyncio", work)


@each_way
@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_what_is_no_name(way, host):
    error = failing(way, f"tcp:{host}:9701")
    assert isinstance(error, UserError | Unreachable)
    assert host in str(error)


# --- the way there ---


@each_way
def test_refused(way):
    port = free_port()
    error = failing(way, f"tcp:127.0.0.1:{port}")
    assert type(error) is Unreachable
    assert error.args[0] == f"nobody listens at 127.0.0.1:{port}: connection refused"
    assert f"port {port}" in error.hint


@each_way
def test_refused_by_name_shows_the_address(way, monkeypatch):
    addresses(monkeypatch, "127.0.1.1")
    port = free_port()
    error = failing(way, f"tcp:lab1:{port}")
    assert error.args[0] == f"nobody listens at lab1:{port} (127.0.1.1): connection refused"
    assert "/etc/hosts" in error.hint  # the name of this machine, as Debian writes it


@each_way
@pytest.mark.skipif(sys.platform != "linux", reason="needs a queue that drops what does not fit")
def test_dropped(way, hurry):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        time.sleep(0.1)
        where = "127.0.0.1:%d" % server.getsockname()[1]
        error = failing(way, f"tcp:{where}")
    assert type(error) is Unreachable
    assert error.args[0] == f"no answer from {where} within 0.4 s"
    assert "firewall" in error.hint


@each_way
@pytest.mark.skipif(sys.platform != "linux", reason="the error number differs")
def test_only_ipv6_and_no_route(way, monkeypatch):
    addresses(monkeypatch, "ff0e::1", "ff0e::2")  # nobody has a route for TCP there
    error = failing(way, "tcp:lab1:9701")
    assert type(error) is Unreachable
    assert error.args[0] == "lab1 has only IPv6 addresses (ff0e::1 and ff0e::2), and this machine has no route there"
    assert "IPv4" in error.hint
    assert "[ff0e::1]:9701 is IPv6, and this machine has no route" in str(failing(way, "tcp:[ff0e::1]:9701"))


@each_way
@pytest.mark.skipif(sys.platform != "linux", reason="the error number differs")
def test_several_addresses_each_say_what_they_said(way, monkeypatch):
    addresses(monkeypatch, "ff0e::1", "127.0.0.1")
    port = free_port()
    error = failing(way, f"tcp:lab1:{port}")
    assert "127.0.0.1: connection refused" in str(error)
    assert "ff0e::1: network is unreachable" in str(error)


@each_way
@pytest.mark.skipif(sys.platform != "linux", reason="the error number differs")
def test_the_address_that_works_is_taken(way, monkeypatch):
    addresses(monkeypatch, "ff0e::1", "127.0.0.1")

    async def work():
        server = Recorder()
        async with listening("tls", server) as address:
            where = address.replace("127.0.0.1", "lab1")
            link = await dialled("blocking-tls" if way == "thread" else "tls", where, Recorder())
            assert link.address == address.removeprefix("tcp:")
            await until(lambda: server.links)
            assert server.links[0].address == link.local_address
            link.abort()

    run("asyncio" if way == "thread" else way, work)


# --- somebody else is there ---


@each_way
def test_a_silent_server(way, hurry):
    with serving(None) as port:
        error = failing(way, f"tcp:127.0.0.1:{port}")
    assert type(error) is SaysNothing
    assert error.args[0] == f"something at 127.0.0.1:{port} takes connections but says nothing"
    assert "port" in error.hint


@each_way
@pytest.mark.parametrize(
    ("answer", "first", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", True, 'an SSH server answers at {} ("SSH-2.0-OpenSSH_9.2p1 Debian-2")'),
        (b"220 mail.example.com ESMTP Postfix\r\n", True, 'something else answers at {} ("220 mail.example.com ESMTP'),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "an HTTP server answers at {}, no Lightwork program"),
        (b"-ERR unknown command\r\n", False, 'something else answers at {} ("-ERR unknown command")'),
        (b"\x00\x01\x02\x03" * 1000, False, "something else answers at {}, no Lightwork program"),
        (bytes.fromhex("15030100020246"), False, "{} speaks a TLS older than 1.3"),
        (bytes.fromhex("15030300020228"), False, "a TLS server that is no Lightwork program answers at {}"),
        (b"".join(encode_frame(SCHEDULER)), False, "the Lightwork program at {} speaks without encryption"),
    ],
    ids=["ssh", "mail", "http", "redis", "noise", "old tls", "alert", "plain"],
)
def test_another_server(way, answer, first, words):
    with serving(answer, first) as port:
        error = failing(way, f"tcp:127.0.0.1:{port}")
    assert isinstance(error, PeerError)
    assert words.format(f"127.0.0.1:{port}") in str(error)
    assert error.hint


@each_way
def test_a_server_that_hangs_up(way):
    with serving(None, close=True) as port:
        error = failing(way, f"tcp:127.0.0.1:{port}")
    assert isinstance(error, PeerError)
    assert "without a word" in str(error)


@each_way
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_real_http_server(way, encrypted, tmp_path):
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        if encrypted:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*make("web").write(tmp_path, "web"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread.start()
        where = f"127.0.0.1:{server.server_port}"
        error = failing(way, f"tcp:{where}")
        server.shutdown()
    kind = "a TLS server that is no Lightwork program" if encrypted else "an HTTP server"
    assert f"{kind} answers at {where}" in str(error)


@each_way
def test_an_older_program(way):
    server = Recorder()
    error = failing(way, "", work=lambda: listening("tls", server, hello=Hello(PROTOCOL_OLDEST - 1, "node", "old")))
    assert "same version" in error.hint
    assert error.args[0].startswith("127.0.0.1:")
    assert f"speaks protocol {PROTOCOL_OLDEST - 1}" in error.args[0]


def test_a_unix_socket_without_its_program(tmp_path):
    path = tmp_path / "x.sock"
    for words in ("there is no such socket", "nobody listens at .* any more"):
        with pytest.raises(Unreachable, match=words) as caught:
            dial.connect(f"unix:{path}", CLIENT)
        assert str(path) in str(caught.value) and caught.value.hint
        with pytest.raises(Unreachable, match=words):
            asyncio.run(endpoint.connect(f"unix:{path}", Recorder(), CLIENT))
        dead = socket.socket(socket.AF_UNIX)
        if not path.exists():
            dead.bind(str(path))
        dead.close()


@pytest.mark.parametrize(
    ("code", "number", "words", "hint"),
    [
        (errno.EHOSTUNREACH, "192.168.3.9", "cannot be reached: no route to the host", "firewall"),
        (errno.EPERM, "192.168.3.9", "operation not permitted", "firewall of this machine"),
        (errno.EINVAL, "fe80::9", "invalid argument", "[fe80::9%eth0]:9701"),
        (errno.ENETUNREACH, "192.168.3.9", "this machine has no route to lab1:9701 (192.168.3.9)", "connected"),
    ],
)
def test_what_else_a_network_may_say(code, number, words, hint):
    error = reach.unreachable("lab1:9701", [(number, OSError(code, "x"))])
    assert words in error.args[0] and "lab1:9701" in error.args[0]
    assert hint in error.hint
