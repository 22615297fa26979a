"""What encrypts links: TLS 1.3 with certificates on both sides, made from a credential.

Both sides show a certificate and verify the other's (security/identity.py); host names mean nothing, no session is
resumed, nothing older than TLS 1.3 is spoken. The bytes go through transport/tls_line.py.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from lightwork.model.errors import UserError
from lightwork.security.credential import Credential
from lightwork.security.identity import Identity, identity_of
from lightwork.transport import tls_errors
from lightwork.transport.tls_errors import PROTOCOL
from lightwork.transport.tls_line import TlsLine
from lightwork.wire.connection import Connection


class Encryption:
    """What both sides of encrypted links need, made from a credential once. UserError: OpenSSL cannot use it."""

    def __init__(self, credential: Credential) -> None:
        if not ssl.HAS_TLSv1_3:
            raise UserError(f"this Python's {ssl.OPENSSL_VERSION} knows no TLS 1.3", hint="use a newer Python")
        self.credential = credential
        identity = identity_of(credential)
        self._dialling = _context(ssl.PROTOCOL_TLS_CLIENT, identity, credential.origin)
        self._listening = _context(ssl.PROTOCOL_TLS_SERVER, identity, credential.origin)

    def line(self, connection: Connection, peer: str) -> TlsLine:
        """A line around the connection; `peer` (HOST:PORT) is named in errors."""
        return TlsLine(connection, self, peer)

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, listening: bool) -> ssl.SSLObject:
        """OpenSSL's part of one line."""
        context = self._listening if listening else self._dialling
        return context.wrap_bio(incoming, outgoing, server_side=listening)


def _context(side: int, identity: Identity, origin: str) -> ssl.SSLContext:
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
