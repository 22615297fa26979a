"""Certificates for tests, of every kind that users have."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID as Use, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
BOTH = (Use.SERVER_AUTH, Use.CLIENT_AUTH)


def key(kind: str = "ec"):
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


class Made:
    """A certificate with its key, and the chain above it."""

    def __init__(self, certificate: x509.Certificate, private, chain: str) -> None:
        self.certificate, self.private, self._above = certificate, private, chain

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(form.Encoding.PEM).decode()

    @property
    def chain(self) -> str:
        return self.pem + self._above

    def key_pem(self, password: bytes | None = None, traditional: bool = False) -> str:
        lock = form.BestAvailableEncryption(password) if password else form.NoEncryption()
        kind = form.PrivateFormat.TraditionalOpenSSL if traditional else form.PrivateFormat.PKCS8
        return self.private.private_bytes(form.Encoding.PEM, kind, lock).decode()

    def write(self, folder: Path, name: str, chain: bool = False) -> tuple[Path, Path]:
        """As two files: certificate and key."""
        certfile, keyfile = folder / f"{name}.crt", folder / f"{name}.key"
        certfile.write_text(self.chain if chain else self.pem)
        private_file(keyfile, self.key_pem())
        return certfile, keyfile


def private_file(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.chmod(0o600)
    path.write_text(text)
    return path


def make(
    name: str = "a",
    signer: Made | None = None,
    *,
    begin: dt.datetime = NOW - DAY,
    end: dt.datetime = NOW + DAY,
    uses=BOTH,
    authority: bool = False,
    kind: str = "ec",
) -> Made:
    """A certificate, signed by itself or by another."""
    private = key(kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begun = x509.CertificateBuilder(
        signer.certificate.subject if signer else subject, subject, private.public_key(), x509.random_serial_number()
    )
    begun = begun.not_valid_before(begin).not_valid_after(end)
    begun = begun.add_extension(x509.BasicConstraints(authority, None), True)
    if uses:
        begun = begun.add_extension(x509.ExtendedKeyUsage(uses), False)
    signing = signer.private if signer else private
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else SHA256()
    return Made(begun.sign(signing, algorithm), private, signer.chain if signer else "")


def authority(name: str = "lab") -> Made:
    return make(name, authority=True, uses=())
