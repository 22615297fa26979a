"""A listener with two credentials, and those who hold the cluster credential and want to be a node."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from typing import Any

import pytest

from lightwork.model.errors import LightworkError, WrongCredential
from lightwork.security.credential import Credential
from lightwork.transport import endpoint
from lightwork.transport.tls import Encryption
from lightwork.transport.tls_roles import TwoCredentials
from lightwork.wire.connection import Connection
from lightwork.wire.messages import PROTOCOL, Hello
from tests.security.certificates import Made, authority, key, make
from tests.transport.links import SCHEDULER, Recorder, run, until
from tests.transport.roles import BOTH, CLUSTER, CLUSTER_SECRET, NODES, OURS, ROLES, meeting, own


class Rogue(Encryption):
    """Verifies nothing, asks by whatever name, and shows whatever certificate."""

    def __init__(self, shown: Made, name: str | None) -> None:
        super().__init__(CLUSTER)
        context = self._dialling
        context.verify_mode = ssl.CERT_NONE
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(shown.key_pem() + shown.chain)
            file.flush()
            context.load_cert_chain(file.name)
        self._name = name

    def begin(self, incoming: Any, outgoing: Any, listening: bool, role: str = "", hello: bytes = b"") -> Any:
        return self._dialling.wrap_bio(incoming, outgoing, server_hostname=self._name)


def signed(title: str = "lightwork peer", *, authority: bool = False, signer: Made | None = None) -> Made:
    """A certificate as only a holder of the cluster secret can make it: by the key of its authority, or of `signer`."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    from lightwork.security.identity import _BEGIN, _END, authority_key

    private, root = key(), authority_key(CLUSTER_SECRET)
    above = signer.private if signer else root
    issuer = signer.certificate.subject if signer else x509.Name.from_rfc4514_string("CN=lightwork cluster")
    builder = x509.CertificateBuilder(
        issuer, x509.Name.from_rfc4514_string(f"CN={title}"), private.public_key(), 1234, _BEGIN, _END
    )
    for extension, critical in (
        (x509.BasicConstraints(authority, None), True),
        (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical)
    return Made(builder.sign(above, SHA256()), private, signer.chain if signer else "")


@pytest.mark.parametrize("name", ["1.lightwork", "2.lightwork", "elsewhere.example", None])
@pytest.mark.parametrize("role", ["node", "relay"])
def test_no_server_name_makes_a_client_a_node(name: str | None, role: str) -> None:
    met = meeting("asyncio", role, Rogue(signed(), name))
    assert met.server.links == []
    assert f"a {role} needs the node credential" in str(met.error)
    assert f"a {role} needs the node credential" in str(met.refused[0])
    met = meeting("asyncio", "client", Rogue(signed(), name))
    assert met.error is None  # what it may be, it is by any name


@pytest.mark.parametrize("name", ["1.lightwork", "2.lightwork"])
def test_a_certificate_that_may_sign_others_is_no_way_in(name: str) -> None:
    """Under a secret's authority nothing signs further certificates: that is what pathlen=0 is for."""
    between = signed(authority=True)
    met = meeting("asyncio", "node", Rogue(signed(signer=between), name))
    assert met.server.links == []
    assert isinstance(met.error, LightworkError)
    assert isinstance(met.refused[0], WrongCredential)
    met = meeting("asyncio", "node", Rogue(signed(authority=True), name))  # or shows that one itself
    assert met.server.links == []
    assert met.error is not None


@pytest.mark.parametrize("title", ["lightwork cluster", "node", "1.lightwork", "lightwork node credential"])
def test_no_name_in_a_certificate_makes_a_client_a_node(title: str) -> None:
    met = meeting("asyncio", "node", Rogue(signed(title), "1.lightwork"))
    assert met.server.links == []
    assert "a node needs the node credential" in str(met.error)


def test_an_authority_of_the_same_name_is_not_the_same_authority() -> None:
    forged = make("lightwork cluster", authority=True, uses=())  # its subject is that of the real ones
    met = meeting("asyncio", "node", Rogue(make("lightwork peer", forged), "1.lightwork"))
    assert met.server.links == []
    assert isinstance(met.refused[0], WrongCredential)


def test_a_common_root_gives_clients_no_way_to_be_nodes() -> None:
    """Both authorities are of one company, whose root stands in both files, as chains of certificates have it."""
    root = authority("company")
    fleet, users = make("fleet", root, authority=True, uses=()), make("users", root, authority=True, uses=())
    both = TwoCredentials(
        own(make("s", fleet), fleet.pem + root.pem, "n.pem"), own(make("s", users), users.pem + root.pem, "c.pem")
    )
    node, client = own(make("a", fleet), fleet.pem, "a.pem"), own(make("b", users), users.pem, "b.pem")
    assert meeting("asyncio", "node", Encryption(node), both).error is None
    assert meeting("asyncio", "client", Encryption(client), both).error is None
    assert "a node needs the node credential" in str(meeting("asyncio", "node", Encryption(client), both).error)
    for made in (
        make("c", make("own", users, authority=True, uses=())),  # a client's certificate that may sign, and does
        make("d", root),  # by the root itself: it stands for both, and so for none
    ):
        for role in ("node", "client"):
            met = meeting("asyncio", role, Rogue(made, "1.lightwork"), both)
            assert met.server.links == []
            assert met.error is not None


def test_what_was_recorded_on_the_wire_opens_nothing() -> None:
    """All bytes that a node has sent, sent again: every handshake has new keys."""

    class Recording(Encryption):
        sent = b""

        def line(self, connection: Any, peer: str) -> Any:
            made, said = super().line(connection, peer), self

            class Tap:
                def __getattr__(self, name: str) -> Any:
                    return getattr(made, name)

                def data_to_send(self, most: int = 1 << 16) -> Any:
                    data = made.data_to_send(most)
                    said.sent += b"".join(map(bytes, data))
                    return data

            return Tap()

    server = Recorder()

    async def work() -> None:
        listener = await endpoint.listen("tcp:127.0.0.1:0", server, SCHEDULER, encryption=BOTH)
        recording = Recording(NODES)
        link = await endpoint.connect(listener.address, Recorder(), Hello(PROTOCOL, "node", "x"), encryption=recording)
        await until(lambda: server.links)
        link.abort()
        assert len(recording.sent) > 500
        host, _, port = listener.address.removeprefix("tcp:").rpartition(":")

        def replay() -> bytes:
            with socket.create_connection((host, int(port)), 10) as sock:
                sock.sendall(recording.sent)
                sock.settimeout(10)
                answer = b""
                while piece := sock.recv(1 << 16):
                    answer += piece
                return answer

        answer = await asyncio.to_thread(replay)
        assert b"lightwork" not in answer
        await until(lambda: server.refused)
        listener.close()

    run("asyncio", work)
    assert len(server.links) == 1


def test_nothing_on_the_wire_tells_one_cluster_from_another() -> None:
    """All that goes in clear of two handshakes, under other secrets, differs by chance alone: no name, no digest."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from lightwork.security.identity import identity_of

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = Encryption(CLUSTER).begin(incoming, outgoing, False, "client")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    assert b"2.lightwork" in hello
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = BOTH.begin(into, out, True)
    into.write(hello)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    answer = out.read()
    for credential in (NODES, CLUSTER):
        for certificate in x509.load_pem_x509_certificates(
            (identity_of(credential).authorities + identity_of(credential).chain).encode()
        ):
            digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
            assert digest not in hello + answer
            assert certificate.public_bytes(Encoding.DER)[:40] not in hello + answer
    assert b"lightwork cluster" not in hello + answer


def shaken(server: Encryption, ours: Encryption, role: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a handshake, without a wire."""
    one_in, one_out, two_in, two_out = (ssl.MemoryBIO() for _ in range(4))
    one = ours.begin(one_in, one_out, False, role)
    with pytest.raises(ssl.SSLWantReadError):
        one.do_handshake()
    hello = one_out.read()
    assert not any(server.whole(hello[:size]) for size in range(len(hello)))
    assert server.whole(hello)
    two = server.begin(two_in, two_out, True, hello=hello)
    two_in.write(hello)
    for _ in range(4):
        for end in (one, two):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            two_in.write(one_out.read())
            one_in.write(two_out.read())
    with pytest.raises(ssl.SSLWantReadError):  # whatever else came by then was read
        one.read(1)
    return one, two


@pytest.mark.parametrize(("role", "ours"), [("node", NODES), ("client", CLUSTER)])
def test_no_session_is_resumed_whichever_certificate_was_shown(role: str, ours: Credential) -> None:
    one, two = shaken(BOTH, Encryption(ours), role)
    assert one.version() == two.version() == "TLSv1.3"
    assert one.session is not None and not one.session.has_ticket
    assert two.getpeercert(binary_form=True)


@pytest.mark.parametrize("role", ["node", "client"])
def test_first_words_may_come_byte_by_byte(role: str) -> None:
    dialler = Encryption(ROLES[role]).line(Connection(Hello(PROTOCOL, role, "x"), listening=False), "there")
    listener = BOTH.line(Connection(SCHEDULER, listening=True), "here:1")
    for _ in range(4):
        for one, other in ((dialler, listener), (listener, dialler)):
            for byte in b"".join(map(bytes, one.data_to_send())):
                other.room()[:1] = bytes([byte])
                other.received(1)
    assert dialler._connection.peer == SCHEDULER
    assert listener._connection.peer is not None and listener._connection.peer.role == role


@pytest.mark.parametrize("name", [b"\xff" * 11, b"\0" * 11, b"xn--\xc3\xa4.ab ", b".lightwork."])
def test_a_server_name_that_is_garbage_ends_that_handshake_alone(name: bytes) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        Encryption(CLUSTER).begin(incoming, outgoing, False, "client").do_handshake()
    hello = outgoing.read()
    assert hello.count(b"2.lightwork") == 1
    server = Recorder()

    async def work() -> None:
        listener = await endpoint.listen("tcp:127.0.0.1:0", server, SCHEDULER, encryption=BOTH)
        host, _, port = listener.address.removeprefix("tcp:").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(hello.replace(b"2.lightwork", name[:11].ljust(11, b"x")))
        assert await reader.read(1 << 16)  # an alert, or the beginning of an answer
        writer.close()
        await until(lambda: server.refused)
        link = await endpoint.connect(listener.address, Recorder(), Hello(PROTOCOL, "client", "x"), encryption=OURS)
        link.abort()
        await until(lambda: server.links)
        listener.close()

    run("asyncio", work)
