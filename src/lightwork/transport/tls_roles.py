"""A listener with two credentials: nodes and relays come in by the one, clients and watchers by the other.

    dialler, with its role's server name --> shows the certificate of that role --> verified: up, if the dialler's leaf
                                                                                    is of the credential of its role
            cannot verify it: it has the other credential, or none of ours
            once more, with the other name  --> shows the other one             --> verified: refused, both read why

The server name only chooses what is shown, so that each side can verify the other; both names accept the leaves of
both credentials. What a peer may be follows from its leaf alone (security/roles.py).
"""

from __future__ import annotations

import ssl

from lightwork.model.errors import LinkBroken, PeerError
from lightwork.security.credential import Credential
from lightwork.security.identity import identity_of
from lightwork.security.roles import CLIENTS, NODES, Kinds
from lightwork.transport.tls import SERVER_NAMES, Encryption, context_of
from lightwork.wire.dialogue import CREDENTIAL, Check
from lightwork.wire.messages import Hello, Refused

_ALERTED_MAX = 1000
_RECORD_HEAD, _RECORD_MAX = 5, 1 << 14
# As it stands in a ClientHello. We look for it ourselves, for Python's callback prints a traceback on standard error
# for each stranger whose server name is no ASCII.
_ASKS_AS_NODE = len(SERVER_NAMES[NODES]).to_bytes(2, "big") + SERVER_NAMES[NODES].encode()


class TwoCredentials(Encryption):
    """For listening; what it dials are nodes. UserError: the two cannot be told apart."""

    def __init__(self, nodes: Credential, clients: Credential) -> None:
        super().__init__(nodes)
        both = Credential(secrets=nodes.secrets and clients.secrets, origin=f"{nodes.origin} and {clients.origin}")
        self.credential = both  # for sentences
        self._kinds = Kinds(nodes, clients)
        accepted = identity_of(nodes).authorities + identity_of(clients).authorities
        contexts = {}
        for kind, credential in ((NODES, nodes), (CLIENTS, clients)):
            identity = identity_of(credential)._replace(authorities=accepted)
            contexts[kind] = context_of(ssl.PROTOCOL_TLS_SERVER, identity, credential.origin)
        self._listening, self._to_nodes = contexts[CLIENTS], contexts[NODES]
        self._alerted: dict[str, str] = {}  # host -> which of our certificates it could not verify

    def begin(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, listening: bool, role: str = "", hello: bytes = b""
    ) -> ssl.SSLObject:
        """Who does not ask for the certificate of nodes is shown the other."""
        if listening and _ASKS_AS_NODE in hello:
            return self._to_nodes.wrap_bio(incoming, outgoing, server_side=True)
        return super().begin(incoming, outgoing, listening, role)

    def whole(self, hello: bytes) -> bool:
        """The record in which a ClientHello comes; what is none is OpenSSL's to refuse."""
        size = int.from_bytes(hello[3:_RECORD_HEAD], "big")
        return len(hello) >= _RECORD_HEAD and (size > _RECORD_MAX or len(hello) >= _RECORD_HEAD + size)

    def proven(self, tls: ssl.SSLObject, peer: str) -> Check:
        """By the leaf that the peer has shown."""
        self._alerted.pop(peer.rpartition(":")[0], None)
        kind, kinds = self._kinds.kind_of(tls.getpeercert(binary_form=True) or b""), self._kinds

        def check(hello: Hello) -> Refused | None:
            refusal = kinds.refusal(hello.role, kind)
            return None if refusal is None else Refused(CREDENTIAL, *refusal)

        return check

    def refused(self, tls: ssl.SSLObject, peer: str, error: PeerError, *, alert: bool) -> PeerError:
        """Who cannot verify the one certificate comes again for the other: only if that fails, too, it is news."""
        if not alert:
            return error
        host = peer.rpartition(":")[0]
        shown = NODES if tls.context is self._to_nodes else CLIENTS
        before = self._alerted.pop(host, shown)
        if before != shown:
            return error
        while len(self._alerted) >= _ALERTED_MAX:
            del self._alerted[next(iter(self._alerted))]
        self._alerted[host] = shown
        return LinkBroken(f"{peer} cannot verify the {shown} certificate, and may ask for the other")
