"""What OpenSSL's refusals mean: one sentence with who, what and where, and what to do.

A peer with another secret is found out by whoever verifies first; the other hears an alert, in the handshake or (in
TLS 1.3, a dialler whose own certificate is refused) with its first read. Both read the same sentence.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple

from lightwork.model.errors import PeerError, ProtocolError, WrongCredential
from lightwork.transport.foreign import PORT_HINT

PROTOCOL = "lightwork"  # told in the handshake before any certificate: so a wrong secret is known from a wrong port
_EXPIRED, _NOT_YET, _PURPOSE = 10, 9, 26  # X509_V_ERR_...
_CLOCKS = "are the clocks of both machines right?"
_SAME_SECRET = (
    "type `lightwork secret --read --save --force` on one machine and paste the secret of the other, then start "
    "`lightwork node` again; "
    "if that one uses certificates (--certfile), this one must, too"
)
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "WRONG_SSL_VERSION")
_NO_CERTIFICATE = ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "TLSV13_ALERT_CERTIFICATE_REQUIRED")
ALERTS = (
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_DECRYPT_ERROR",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
)


class NotVerified(WrongCredential):
    """A listener shows a certificate that we cannot verify; perhaps it has another, for another role."""


def told_at_last(first: NotVerified, second: Exception | None, origin: str) -> WrongCredential:
    """What its user reads whose second try, for the listener's other certificate, ended so: who could verify that one
    has heard why it may not come in."""
    if type(second) is WrongCredential:
        return WrongCredential(f"{second.args[0]} (ours is from {origin})", hint=second.hint)
    return WrongCredential(*first.args, hint=first.hint)


class Scene(NamedTuple):
    """Where it happened."""

    where: str  # HOST:PORT of the other side
    origin: str  # of our credential
    by_secret: bool  # ours is a secret, not a certificate
    listening: bool
    lightwork: bool  # the other side said that it is a Lightwork program


def reason(error: ssl.SSLError) -> str:
    """OpenSSL's own words, without numbers and file names."""
    return (error.reason or error.strerror or str(error)).replace("_", " ").lower()


def explain(error: ssl.SSLError, scene: Scene) -> PeerError:
    """The error for people."""
    if not scene.lightwork and error.reason not in _OLD_TLS:
        return _foreign(error, scene)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_verified(error, scene)
    if error.reason in ALERTS:
        return _other_cluster(scene, "it does not accept ours")
    if error.reason == "SSLV3_ALERT_CERTIFICATE_EXPIRED":
        return WrongCredential(
            f"{scene.where} says that our certificate (from {scene.origin}) has expired", hint=_CLOCKS
        )
    if error.reason == "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE":
        return _wrong_purpose(f"{scene.where} says that our certificate (from {scene.origin})")
    if error.reason in _NO_CERTIFICATE:
        return WrongCredential(f"{scene.where} shows no certificate", hint="it needs the credential of this cluster")
    if error.reason in _OLD_TLS:
        return ProtocolError(
            f"{scene.where} speaks a TLS older than 1.3", hint="is that a Lightwork program, and an up-to-date one?"
        )
    return ProtocolError(f"the encrypted connection with {scene.where} failed: {reason(error)}")


def _foreign(error: ssl.SSLError, scene: Scene) -> PeerError:
    if scene.listening:
        return ProtocolError(f"a TLS client at {scene.where} that is no Lightwork program called ({reason(error)})")
    return ProtocolError(
        f"a TLS server that is no Lightwork program answers at {scene.where} ({reason(error)})",
        hint=PORT_HINT,
    )


def _not_verified(error: ssl.SSLCertVerificationError, scene: Scene) -> PeerError:
    if error.verify_code == _EXPIRED:
        return WrongCredential(f"the certificate of {scene.where} has expired", hint=f"renew it there; else: {_CLOCKS}")
    if error.verify_code == _NOT_YET:
        return WrongCredential(f"the certificate of {scene.where} is not yet valid", hint=_CLOCKS)
    if error.verify_code == _PURPOSE:
        return _wrong_purpose(f"the certificate of {scene.where}")
    return _other_cluster(scene, error.verify_message, WrongCredential if scene.listening else NotVerified)


def _other_cluster(scene: Scene, detail: str, kind: type[PeerError] = WrongCredential) -> PeerError:
    if scene.by_secret:
        return kind(f"{scene.where} holds another secret than this one (from {scene.origin})", hint=_SAME_SECRET)
    return kind(
        f"{scene.where} has a certificate of another cluster than ours (from {scene.origin}): {detail}",
        hint="let one authority sign both certificates, or name on each side the other's authority: cafile=, --cafile",
    )


def _wrong_purpose(which: str) -> PeerError:
    return WrongCredential(
        f"{which} is not for this use", hint="its extended key usage must name both serverAuth and clientAuth"
    )
