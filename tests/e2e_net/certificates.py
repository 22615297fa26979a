"""Certificates as users make them: authorities, and what those sign for programs; written as PEM files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Pair(NamedTuple):
    """A certificate with its chain, and its private key, as PEM texts."""

    certificate: str
    key: str

    def write(self, directory: Path, *, together: bool = False, name: str = "node") -> None:
        """NAME.pem and NAME.key, or both in NAME.pem; readable by their owner alone."""
        _write(directory / f"{name}.pem", self.certificate + (self.key if together else ""))
        if not together:
            _write(directory / f"{name}.key", self.key)


class Authority:
    """Somebody who signs certificates of programs."""

    def __init__(self, name: str = "lab") -> None:
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _made(name, self._key.public_key(), name, self._key, authority=True)

    def pair(self, name: str, *, expired: bool = False) -> Pair:
        """One for a program."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _made(name, key.public_key(), self._name, self._key, ends=-1 if expired else 30)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Pair(leaf + self.certificate, private)


def _made(
    name: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    ends: int = 30,
) -> str:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(_named(issuer), _named(name), key, x509.random_serial_number())
    builder = builder.not_valid_before(now - 10 * DAY).not_valid_after(now + ends * DAY)
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
