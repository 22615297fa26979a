"""The cluster's authority, and what processes show under it."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from lightwork.security import identity as room, secret
from lightwork.security.credential import Credential
from lightwork.security.identity import authority_key, identity_of

ONE, TWO = secret.generate(), secret.generate()
FIXED = "lw-00000-00000-00000-00000-00000-070gw"


def fresh(*secrets: str) -> room.Identity:
    room._identities.clear()
    return identity_of(Credential(secrets=secrets))


def load(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


def test_the_authority_never_changes():
    number = authority_key(FIXED).private_numbers().private_value
    assert f"{number:064x}" == "18e359db2f02de40831fdfddcc104f0bb06ba7eac845ee642510aaa2fafc1409"
    public = {
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for key in map(authority_key, (ONE, ONE, TWO))
    }
    assert len(public) == 2


def test_a_process_has_one_identity_and_each_its_own():
    first = fresh(ONE)
    assert identity_of(Credential(secrets=(ONE,))) is first
    second = fresh(ONE)
    assert first.key != second.key and first.chain != second.chain
    (one,), (two,) = load(first.authorities), load(second.authorities)
    assert one.public_key() == two.public_key()
    for leaf in load(first.chain) + load(second.chain):
        leaf.verify_directly_issued_by(one)


def test_names_and_dates_tell_nothing():
    one, two = fresh(ONE), fresh(TWO)
    (a,), (b,) = load(one.authorities), load(two.authorities)
    assert a.subject == b.subject == a.issuer
    assert a.public_key() != b.public_key()
    for certificate in (a, *load(one.chain)):
        assert certificate.not_valid_before_utc == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        assert certificate.not_valid_after_utc.year == 9999


def test_who_has_a_certificate_cannot_give_any():
    one = fresh(ONE)
    (root,), (leaf,) = load(one.authorities), load(one.chain)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert not usage.value.key_cert_sign


def test_the_first_secret_signs_all_are_accepted():
    both = fresh(ONE, TWO)
    roots, (leaf,) = load(both.authorities), load(both.chain)
    assert [root.public_key() for root in roots] == [authority_key(text).public_key() for text in (ONE, TWO)]
    leaf.verify_directly_issued_by(roots[0])


def test_a_sealed_key_opens_with_its_password_alone():
    one = fresh(ONE)
    sealed, password = one.sealed_key()
    assert "ENCRYPTED" in sealed
    assert one.sealed_key()[1] != password
    opened = load_pem_private_key(sealed.encode(), password.encode())
    assert opened.public_key() == load(one.chain)[0].public_key()
    assert "PRIVATE" not in repr(one)
