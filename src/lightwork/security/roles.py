"""Two credentials of one scheduler, one for nodes and one for clients: which of them a peer has shown.

    leaf of the peer --signed by--> an authority of the node credential     --> node, relay
                     `-- or ------> an authority of the cluster credential  --> client, watcher
                     neither, or both: no role at all

The signature on the leaf itself decides, never a name in it, and never what the peer asked for: whoever may sign for
clients could make a chain that an authority above both would vouch for, so what stands between does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lightwork.model.errors import UserError
from lightwork.security.credential import Credential
from lightwork.security.identity import identity_of

if TYPE_CHECKING:
    from cryptography import x509

NODES, CLIENTS = "node", "cluster"  # the two credentials, as their options begin: --node-secret-file
KIND_OF = {"node": NODES, "relay": NODES, "scheduler": NODES, "client": CLIENTS, "watcher": CLIENTS}
_WHO = {NODES: "nodes and relays", CLIENTS: "clients and watchers"}
_GIVE = {
    NODES: "by --secret-file, LIGHTWORK_SECRET, or `lightwork secret --read --save --force` there",
    CLIENTS: "by secret_file=, --secret-file, LIGHTWORK_SECRET, or `lightwork secret --read --save --force` there",
}


class Refusal(NamedTuple):
    """What both sides read."""

    text: str
    hint: str


class Kinds:
    """The authorities of both. UserError: they cannot be told apart."""

    def __init__(self, nodes: Credential, clients: Credential) -> None:
        self._authorities = {NODES: _authorities(nodes), CLIENTS: _authorities(clients)}
        self._check_apart(nodes, clients)

    def kind_of(self, leaf: bytes) -> str:
        """Which credential this certificate (DER), which TLS has accepted, belongs to; "": neither, or both."""
        from cryptography import x509

        try:
            certificate = x509.load_der_x509_certificate(leaf)
        except ValueError:
            return ""
        found = [kind for kind, above in self._authorities.items() if any(_vouches(one, certificate) for one in above)]
        return found[0] if len(found) == 1 else ""

    def refusal(self, role: str, kind: str) -> Refusal | None:
        """Why a peer of this role may not come in with that credential; None: it may."""
        wanted = KIND_OF.get(role)
        if wanted is None:
            return Refusal(f"nobody comes in here as {role}", f"{_WHO[NODES]}, {_WHO[CLIENTS]} do")
        if wanted == kind:
            return None
        if not kind:
            return Refusal(
                f"a {role} must show a certificate that an authority of this scheduler has signed itself, for nodes or "
                "for clients; that of this one is signed by none of them, or by one for both",
                "--node-cafile and --cluster-cafile of the scheduler name the authorities",
            )
        return Refusal(
            f"a {role} needs the {wanted} credential of this scheduler, and what it shows is the {kind} credential, "
            f"which is for {_WHO[kind]}",
            f"give it the secret that the scheduler has from its --{wanted}-secret-file "
            f"(or a certificate as in its --{wanted}-certfile): {_GIVE[wanted]}",
        )

    def _check_apart(self, nodes: Credential, clients: Credential) -> None:
        """What signs our own certificate for one must not stand for the other."""
        keys = [{_key(one) for one in self._authorities[kind]} for kind in (NODES, CLIENTS)]
        if nodes.secrets and clients.secrets and keys[0] & keys[1]:
            raise UserError(
                f"the node credential ({nodes.origin}) and the cluster credential ({clients.origin}) "
                "are the same secret",
                hint="`lightwork secret` makes another; for one secret that lets everybody in: --secret-file",
            )
        for kind, credential in ((NODES, nodes), (CLIENTS, clients)):
            if self.kind_of(_leaf(credential)) != kind:
                other = CLIENTS if kind == NODES else NODES
                raise UserError(
                    f"the {kind} certificate ({credential.origin}) is signed by none of its authorities itself, or by "
                    f"one that counts for the {other} credential, too: who has the one could pass for the other",
                    hint="let two authorities sign, and name each alone: --node-cafile, --cluster-cafile",
                )


def _authorities(credential: Credential) -> list[x509.Certificate]:
    from cryptography import x509

    return x509.load_pem_x509_certificates(identity_of(credential).authorities.encode())


def _leaf(credential: Credential) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificates(identity_of(credential).chain.encode())[0].public_bytes(Encoding.DER)


def _key(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _vouches(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    """Whether it is the leaf itself, or has signed it."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if authority == leaf:
        return True
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
