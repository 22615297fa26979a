"""Which of two credentials a certificate belongs to: the signature on it decides, and what is not clear is nothing."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lightwork.model.errors import UserError
from lightwork.security import secret
from lightwork.security.credential import Credential
from lightwork.security.identity import Identity, _sign, authority_key
from lightwork.security.roles import CLIENTS, KIND_OF, NODES, Kinds
from tests.security.certificates import Made, authority, make

NODE_SECRET, CLUSTER_SECRET = secret.generate(), secret.generate()


def by_secret(*secrets: str) -> Credential:
    return Credential(secrets=secrets, origin="x")


def own(made: Made, authorities: str) -> Credential:
    return Credential(certificate=made.chain, key=made.key_pem(), authorities=authorities, origin="x.pem")


def leaf_of(*secrets: str) -> bytes:
    """What another process with these secrets shows."""
    return der(_sign([authority_key(text) for text in secrets]))


def der(identity: Identity) -> bytes:
    from cryptography import x509

    return x509.load_pem_x509_certificates(identity.chain.encode())[0].public_bytes(Encoding.DER)


def made_der(made: Made) -> bytes:
    return made.certificate.public_bytes(Encoding.DER)


def test_by_secrets() -> None:
    old = secret.generate()
    kinds = Kinds(by_secret(NODE_SECRET, old), by_secret(CLUSTER_SECRET))
    assert kinds.kind_of(leaf_of(NODE_SECRET)) == NODES
    assert kinds.kind_of(leaf_of(old, NODE_SECRET)) == NODES
    assert kinds.kind_of(leaf_of(CLUSTER_SECRET)) == CLIENTS
    assert kinds.kind_of(leaf_of(secret.generate())) == ""


@pytest.mark.parametrize("data", [b"", b"\x30", bytes(2000), b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_nothing(data: bytes) -> None:
    assert Kinds(by_secret(NODE_SECRET), by_secret(CLUSTER_SECRET)).kind_of(data) == ""


def test_a_signature_that_was_changed_is_none() -> None:
    leaf = bytearray(leaf_of(NODE_SECRET))
    leaf[-3] ^= 1
    assert Kinds(by_secret(NODE_SECRET), by_secret(CLUSTER_SECRET)).kind_of(bytes(leaf)) == ""


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_by_certificates_of_every_kind_of_key(kind: str) -> None:
    fleet, users = make("fleet", authority=True, uses=(), kind=kind), make("users", authority=True, uses=(), kind=kind)
    kinds = Kinds(own(make("s", fleet), fleet.pem), own(make("s", users), users.pem))
    assert kinds.kind_of(made_der(make("a", fleet))) == NODES
    assert kinds.kind_of(made_der(make("fleet", users))) == CLIENTS  # whatever it is called
    assert kinds.kind_of(made_der(make("b", authority("fleet")))) == ""  # nor does its issuer's name count


def test_a_very_certificate_counts_as_itself() -> None:
    one, two = make("one"), make("two")
    kinds = Kinds(own(one, one.pem), own(two, two.pem))
    assert (kinds.kind_of(made_der(one)), kinds.kind_of(made_der(two))) == (NODES, CLIENTS)


def test_what_stands_for_both_stands_for_none() -> None:
    root = authority("root")
    fleet, users = make("fleet", root, authority=True, uses=()), make("users", root, authority=True, uses=())
    kinds = Kinds(own(make("s", fleet), fleet.pem + root.pem), own(make("s", users), users.pem + root.pem))
    assert kinds.kind_of(made_der(make("a", fleet))) == NODES
    assert kinds.kind_of(made_der(make("a", root))) == ""
    assert kinds.kind_of(made_der(root)) == ""


@pytest.mark.parametrize(
    ("nodes", "clients"),
    [
        (by_secret(NODE_SECRET), by_secret(NODE_SECRET)),
        (by_secret(NODE_SECRET), by_secret(CLUSTER_SECRET, NODE_SECRET)),
        (by_secret("the same phrase"), by_secret("the same phrase")),
    ],
)
def test_one_secret_for_both_is_refused(nodes: Credential, clients: Credential) -> None:
    with pytest.raises(UserError, match="are the same secret") as caught:
        Kinds(nodes, clients)
    assert "--secret-file" in caught.value.hint


def test_certificates_that_cannot_be_told_apart_are_refused() -> None:
    root = authority("root")
    alone = make("alone")
    between = make("between", root, authority=True, uses=())
    for nodes, clients in (
        (own(make("a", root), root.pem), own(make("b", root), root.pem)),
        (own(alone, alone.pem), own(alone, alone.pem)),
        (own(make("a", between), root.pem), own(make("b", authority("c")), authority("c").pem)),
    ):
        with pytest.raises(UserError, match="who has the one could pass for the other"):
            Kinds(nodes, clients)


def test_every_role_has_one() -> None:
    kinds = Kinds(by_secret(NODE_SECRET), by_secret(CLUSTER_SECRET))
    for role, kind in KIND_OF.items():
        assert kinds.refusal(role, kind) is None
        other = CLIENTS if kind == NODES else NODES
        refusal = kinds.refusal(role, other)
        assert refusal is not None and f"needs the {kind} credential" in refusal.text
        assert kinds.refusal(role, "") is not None
    for kind in (NODES, CLIENTS, ""):
        refusal = kinds.refusal("admin", kind)
        assert refusal is not None and refusal.text == "nobody comes in here as admin"
