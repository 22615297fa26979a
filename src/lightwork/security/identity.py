"""What a process shows on the network: a certificate that its peers can verify, made from a credential.

    secret --> key of the cluster's authority (the same everywhere) --signs--> this process's own, fresh certificate
                 `-- is also what peers' certificates are verified against

So holding the secret is the whole membership, and the connection is encrypted by keys that die with the process.
The authority is valid from 1970 to 9999, so that no clock matters, and may sign no further authority (pathlen=0): who
has been given a certificate cannot give any. Its name is the same in all clusters; its key alone tells them apart.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, NamedTuple

from lightwork.security import secret
from lightwork.security.credential import Credential

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_INFO = b"lightwork authority 1"
_BEGIN = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


class Identity(NamedTuple):
    """PEM texts: the certificate shown (and the chain behind it), its private key, whose signatures are accepted."""

    chain: str
    key: str
    authorities: str

    def __repr__(self) -> str:
        return "Identity(...)"

    def sealed_key(self) -> tuple[str, str]:
        """The key encrypted under a password made for this once, and the password: for a file that OpenSSL reads."""
        from cryptography.hazmat.primitives import serialization as form

        password = os.urandom(16).hex()
        key = form.load_pem_private_key(self.key.encode(), None)
        lock = form.BestAvailableEncryption(password.encode())
        return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock).decode(), password


_identities: dict[Credential, Identity] = {}


def identity_of(credential: Credential) -> Identity:
    """The identity of this process under the credential: made at the first call, about 100 ms for a phrase."""
    found = _identities.get(credential)
    if found is None:
        if credential.secrets:
            found = _sign([authority_key(text) for text in credential.secrets])
        else:
            found = Identity(credential.certificate, credential.key, credential.authorities)
        _identities[credential] = found
    return found


def authority_key(text: str) -> EllipticCurvePrivateKey:
    """The private key of a secret's cluster."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    stretched = HKDF(SHA256(), 48, salt=None, info=_INFO).derive(secret.parse(text))
    return ec.derive_private_key(int.from_bytes(stretched, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def _sign(authorities: list[EllipticCurvePrivateKey]) -> Identity:
    """A fresh certificate under the first; all are accepted."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    own = ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate("lightwork peer", own.public_key(), authorities[0], "lightwork cluster")
    roots = [_certificate("lightwork cluster", key.public_key(), key, "lightwork cluster") for key in authorities]
    key = own.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
    return Identity(_pem(leaf), key, "".join(map(_pem, roots)))


def _certificate(
    name: str, key: EllipticCurvePublicKey, signer: EllipticCurvePrivateKey, signer_name: str
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    begun = x509.CertificateBuilder(
        issuer_name=_name(signer_name),
        subject_name=_name(name),
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=_BEGIN,
        not_valid_after=_END,
    )
    for extension, critical in _extensions(key, signer.public_key(), is_authority=name == signer_name):
        begun = begun.add_extension(extension, critical)
    return begun.sign(signer, SHA256())


def _extensions(
    key: EllipticCurvePublicKey, signer: EllipticCurvePublicKey, is_authority: bool
) -> list[tuple[x509.ExtensionType, bool]]:
    """The identifiers of keys make OpenSSL find the right one among authorities of the same name."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID as Use

    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    ) | dict.fromkeys(("crl_sign", "encipher_only", "decipher_only"), False)
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), True),
        (x509.KeyUsage(digital_signature=not is_authority, key_cert_sign=is_authority, **usage), True),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False),
    ]
    if not is_authority:
        found.append((x509.ExtendedKeyUsage([Use.SERVER_AUTH, Use.CLIENT_AUTH]), False))
    return found


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()
