"""What encrypts links: TLS 1.3 with certificates on both sides, made from a credential.

Both sides show a certificate and verify the other's (security/identity.py); host names mean nothing, no session is
resumed, nothing older than TLS 1.3 is spoken. The bytes go through transport/tls_line.py.

A dialler asks for the certificate that goes with its role by a server name, which is the same in all clusters. It is a
request and proves nothing; only a listener with two credentials (transport/tls_roles.py) heeds it.
"""

from __future__ import annotations

import copy
import ssl
import tempfile
from pathlib import Path
from typing import Self

from lightwork.model.errors import PeerError, UserError
from lightwork.security.credential import Credential
from lightwork.security.identity import Identity, identity_of
from lightwork.security.roles import CLIENTS, KIND_OF, NODES
from lightwork.transport import tls_errors
from lightwork.transport.tls_errors import PROTOCOL
from lightwork.transport.tls_line import TlsLine
from lightwork.wire.connection import Connection
from lightwork.wire.dialogue import Check

SERVER_NAMES = {NODES: "1.lightwork", CLIENTS: "2.lightwork"}  # in clear on the wire: no word about who asks
_OTHER = {NODES: CLIENTS, CLIENTS: NODES}


class Encryption:
    """What both sides of encrypted links need, made from a credential once. UserError: OpenSSL cannot use it."""

    def __init__(self, credential: Credential) -> None:
        if not ssl.HAS_TLSv1_3:
            raise UserError(f"this Python's {ssl.OPENSSL_VERSION} knows no TLS 1.3", hint="use a newer Python")
        self.credential = credential
        self._turned = False
        identity = identity_of(credential)
        self._dialling = context_of(ssl.PROTOCOL_TLS_CLIENT, identity, credential.origin)
        self._listening = context_of(ssl.PROTOCOL_TLS_SERVER, identity, credential.origin)

    def turned(self) -> Self:
        """The same, but it asks a listener for the certificate of the other role: one that we may be able to verify."""
        other = copy.copy(self)
        other._turned = True
        return other

    def line(self, connection: Connection, peer: str) -> TlsLine:
        """A line around the connection; `peer` (HOST:PORT) is named in errors."""
        return TlsLine(connection, self, peer)

    def begin(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, listening: bool, role: str = "", hello: bytes = b""
    ) -> ssl.SSLObject:
        """OpenSSL's part of one line. `role`: ours; `hello`: how the dialler has begun."""
        if listening:
            return self._listening.wrap_bio(incoming, outgoing, server_side=True)
        kind = KIND_OF.get(role, CLIENTS)
        name = SERVER_NAMES[_OTHER[kind] if self._turned else kind]
        return self._dialling.wrap_bio(incoming, outgoing, server_hostname=name)

    def whole(self, hello: bytes) -> bool:
        """Whether so much of a dialler's first words is enough for `begin`."""
        return True

    def proven(self, tls: ssl.SSLObject, peer: str) -> Check | None:
        """What is to be held against the hello of who dialled us, now that TLS has verified it."""
        return None

    def refused(self, tls: ssl.SSLObject, peer: str, error: PeerError, *, alert: bool) -> PeerError:
        """What it means that a handshake failed on our side of a listener; `alert`: it is the peer that ended it."""
        return error


def context_of(side: int, identity: Identity, origin: str) -> ssl.SSLContext:
    """Of one side. UserError: OpenSSL cannot use the certificates."""
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever is named as authority is one, root or not
    context.set_alpn_protocols([PROTOCOL])
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # no session is ever resumed
    try:
        context.load_verify_locations(cadata=identity.authorities)
        _load_key(context, identity)
    except ssl.SSLError as error:
        raise UserError(f"the certificate from {origin} cannot be used: {tls_errors.reason(error)}") from None
    return context


def _load_key(context: ssl.SSLContext, identity: Identity) -> None:
    """OpenSSL takes keys from files only: this one is there for a moment, encrypted."""
    sealed, password = identity.sealed_key()
    descriptor, name = tempfile.mkstemp(prefix="lightwork", suffix=".pem")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(sealed + identity.chain)
        context.load_cert_chain(name, password=password)
    finally:
        Path(name).unlink(missing_ok=True)
