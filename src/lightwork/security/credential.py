"""What proves that a peer is ours: secrets, or the user's own certificates; and where it is looked for.

secret= | secret_file= | certfile= (keyfile=, cafile=)  ->  LIGHTWORK_SECRET  ->  <config directory>/secret  ->  none
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lightwork.model.errors import UserError
from lightwork.security import private_file, secret as secrets_of

_LOCAL_NAMES = ("localhost", "ip6-localhost", "")


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets (the first signs, all are accepted), or a certificate with its key, as PEM texts. Never printed."""

    secrets: tuple[str, ...] = ()
    certificate: str = ""  # and the chain behind it
    key: str = ""
    authorities: str = ""
    origin: str = ""  # where it was found, for people

    @property
    def guessable(self) -> bool:
        """Whether one of the secrets is a phrase."""
        return any(map(secrets_of.guessable, self.secrets))

    def __repr__(self) -> str:
        kind = "secret" if self.secrets else "certificate"
        return f"Credential({kind} from {self.origin})"


def find(
    *,
    secret: str | None = None,
    secret_file: str | Path | None = None,
    certfile: str | Path | None = None,
    keyfile: str | Path | None = None,
    cafile: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Credential | None:
    """The credential that the caller names, else the user's own; None: there is none. UserError: it is no good.

    An empty secret counts as none given.
    """
    given = [
        name for name, value in (("secret", secret), ("secret_file", secret_file), ("certfile", certfile)) if value
    ]
    if len(given) > 1:
        raise UserError(f"{given[0]} and {given[1]} are two credentials", hint="give one of them")
    if certfile:
        return _from_certificates(certfile, keyfile or None, cafile or None)
    for name, value in (("keyfile", keyfile), ("cafile", cafile)):
        if value:
            raise UserError(f"{name} goes with a certfile, and there is none")
    if secret:
        return _from_text(secret, "the secret argument")
    if secret_file:
        return _from_file(secret_file)
    if environ.get(secrets_of.VARIABLE):
        return _from_text(environ[secrets_of.VARIABLE], secrets_of.VARIABLE)
    path = secrets_of.secret_path()
    return _from_file(path) if os.path.lexists(path) else None


def check_reach(credential: Credential, address: str, weak_secret: bool) -> str:
    """Raise if a phrase is to guard an address beyond this machine; returns a warning, or "".

    `address` is tcp:HOST:PORT; a host that is neither localhost nor a loopback number counts as beyond.
    """
    kind, _, where = address.partition(":")
    if kind != "tcp" or not credential.guessable:
        return ""
    host = where.rpartition(":")[0]
    how = "`lightwork secret` makes one that nobody can guess"
    if is_loopback(host):
        return f"the secret from {credential.origin} is a phrase that others may guess; {how}"
    if weak_secret:
        return ""
    raise UserError(
        f"the secret from {credential.origin} is a phrase: whoever reaches {where} can try phrases",
        hint=f"{how}; to use the phrase all the same: --weak-secret, or weak_secret=True",
    )


def is_loopback(host: str) -> bool:
    """Whether a host, by its text alone, is this machine and no other."""
    import ipaddress

    host = host.strip("[]").partition("%")[0]
    if host.lower() in _LOCAL_NAMES:
        return bool(host)
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(number, "ipv4_mapped", None)
    return (mapped or number).is_loopback


def _from_text(text: str, origin: str) -> Credential:
    return Credential(secrets=secrets_of.lines(text, origin), origin=origin)


def _from_file(path: str | Path) -> Credential:
    return _from_text(private_file.read_private(path, "secret"), str(path))


def _from_certificates(certfile: str | Path, keyfile: str | Path | None, cafile: str | Path | None) -> Credential:
    from lightwork.security import certfiles

    files = certfiles.load(certfile, keyfile, cafile)
    return Credential(certificate=files.certificate, key=files.key, authorities=files.authorities, origin=str(certfile))
