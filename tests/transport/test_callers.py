"""Who else calls an encrypted port: told on the listener's side, in one sentence."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from lightwork.wire.frames import encode_frame
from tests.transport.links import CLIENT, Recorder, listening, run, until


def calling(data: bytes) -> tuple[Recorder, bytes]:
    """Say this to an encrypted port; what its receiver was told, and what it answered."""
    server, answer = Recorder(), []

    def call(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.sendall(data)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(4096):
                    got += piece
            return got

    async def work():
        async with listening("tls", server) as address:
            answer.append(await asyncio.to_thread(call, int(address.rpartition(":")[2])))
            await until(lambda: server.refused)

    run("asyncio", work)
    assert not server.links
    return server, answer[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: lab1:9701\r\n\r\n", "an HTTP client at 127.0.0.1:"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH client at 127.0.0.1:"),
        (b"".join(encode_frame(CLIENT)), "speaks without encryption here: it has no credential"),
        (b"\x00\x00\x00\xc0" + bytes(100), "neither TLS nor a greeting"),
        (b"\x16\x03\x01\x40\x00" + bytes(20_000), "a TLS client at 127.0.0.1:"),
        (b"\x16" * 70_000, "a TLS client at 127.0.0.1:"),
    ],
    ids=["http", "ssh", "plain", "3 GiB", "noise in tls", "noise"],
)
def test_callers_of_other_kinds(data, words):
    server, answer = calling(data)
    assert words in str(server.refused[0])
    assert answer.startswith(b"HTTP/1.1 400") == data.startswith(b"GET")
    if data.startswith(b"GET"):
        assert b"for Lightwork programs" in answer


@pytest.mark.parametrize(
    ("version", "words"),
    [(ssl.TLSVersion.TLSv1_2, "speaks a TLS older than 1.3"), (ssl.TLSVersion.TLSv1_3, "that is no Lightwork program")],
)
def test_a_browser(version, words):
    server = Recorder()

    def call(port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        with socket.create_connection(("127.0.0.1", port), 10) as sock, contextlib.suppress(OSError):
            with context.wrap_socket(sock) as tls:
                tls.recv(10)

    async def work():
        async with listening("tls", server) as address:
            await asyncio.to_thread(call, int(address.rpartition(":")[2]))
            await until(lambda: server.refused)

    run("asyncio", work)
    assert words in str(server.refused[0]), server.refused
