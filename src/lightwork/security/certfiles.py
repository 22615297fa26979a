"""The user's own certificates: PEM files in, texts out, with a sentence for whatever is wrong with them.

certfile   our certificate, then those above it; may also hold the private key
keyfile    the private key, if it is not in certfile
cafile     whose signatures we accept; else the certificates above ours in certfile, else ours alone
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lightwork.model.errors import UserError
from lightwork.security import private_file

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----\n?", re.DOTALL)


class Files(NamedTuple):
    """What the files hold, as PEM texts."""

    certificate: str  # and the chain behind it
    key: str
    authorities: str


def load(certfile: str | Path, keyfile: str | Path | None = None, cafile: str | Path | None = None) -> Files:
    """Read and check them all; UserError says which file is wrong, and how."""
    text, exposed = private_file.read(certfile, "certificate")
    certificates, keys = _blocks(text)
    if keys:
        private_file.refuse_exposed(certfile, "key", exposed)
    if not certificates:
        raise _no_certificate(certfile, bool(keys), bool(keyfile))
    if keyfile is not None:
        keys = _keys_of(keyfile)
    elif not keys:
        raise UserError(f"{certfile} holds a certificate but no private key", hint="name the key's file as keyfile")
    chain = _certificates(certificates, certfile)
    _check_dates(chain[0], certfile)
    _check_pair(chain[0], _private_key(keys[0], keyfile or certfile), certfile, keyfile)
    above = certificates[1:] or certificates
    authorities = above if cafile is None else _authorities(cafile)
    return Files("".join(certificates), keys[0], "".join(authorities))


def _blocks(text: str) -> tuple[list[str], list[str]]:
    """The certificates and the private keys in a PEM text."""
    certificates, keys = [], []
    for found in _BLOCK.finditer(text):
        kind, block = found[1], found[0].rstrip("\n") + "\n"
        if kind in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"):
            certificates.append(block)
        elif kind.endswith("PRIVATE KEY"):
            keys.append(block)
    return certificates, keys


def _no_certificate(certfile: str | Path, has_key: bool, two_files: bool) -> UserError:
    if has_key:
        hint = "are certfile and keyfile swapped?" if two_files else "add the certificate to it, or name it as keyfile"
        return UserError(f"{certfile} holds a private key but no certificate", hint=hint)
    return UserError(f"{certfile} holds no certificate in PEM form ('-----BEGIN CERTIFICATE-----')")


def _keys_of(keyfile: str | Path) -> list[str]:
    text, exposed = private_file.read(keyfile, "key")
    certificates, keys = _blocks(text)
    if not keys:
        if certificates:
            raise UserError(
                f"{keyfile} holds a certificate but no private key", hint="are certfile and keyfile swapped?"
            )
        raise UserError(f"{keyfile} holds no private key in PEM form ('-----BEGIN ... KEY-----')")
    private_file.refuse_exposed(keyfile, "key", exposed)
    return keys


def _authorities(cafile: str | Path) -> list[str]:
    certificates, _ = _blocks(private_file.read(cafile, "authority")[0])
    if not certificates:
        raise UserError(f"{cafile} holds no certificate in PEM form ('-----BEGIN CERTIFICATE-----')")
    _certificates(certificates, cafile)
    return certificates


def _certificates(blocks: list[str], path: str | Path) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError as error:
        raise UserError(f"a certificate in {path} cannot be read: {_short(error)}") from None


def _private_key(block: str, path: str | Path) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(block.encode(), None)
    except TypeError:
        hint = f"write it without one: openssl pkey -in {path} -out new.pem, then chmod 600 new.pem"
        raise UserError(f"the private key in {path} is locked by a passphrase", hint=hint) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UserError(f"the private key in {path} cannot be read: {_short(error)}") from None


def _check_dates(certificate: x509.Certificate, path: str | Path) -> None:
    """The calendar's business, and so the wall clock's."""
    now = dt.datetime.now(dt.UTC)  # noqa: TID251
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        raise UserError(f"the certificate in {path} expired on {end:%Y-%m-%d}", hint="renew it")
    if now < begin:
        hint = "is the clock of this machine right?"
        raise UserError(f"the certificate in {path} is not valid before {begin:%Y-%m-%d %H:%M} UTC", hint=hint)


def _check_pair(
    certificate: x509.Certificate, key: PrivateKeyTypes, certfile: str | Path, keyfile: str | Path | None
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        where = f"the key in {keyfile}" if keyfile is not None else "the private key beside it"
        hint = "the first certificate in the file must be the key's own"
        raise UserError(f"{where} does not belong to the certificate in {certfile}", hint=hint)


def _short(error: Exception) -> str:
    return str(error).split("\n")[0].split(". See ")[0] or type(error).__name__
