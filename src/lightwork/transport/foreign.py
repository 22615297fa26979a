"""Who speaks at the other end, when it is not TLS: told from the first bytes, so that people read more than "error".

at our dialling       SSH banner, HTTP answer, mail server, a Lightwork program without a credential, noise
at our listening      browser or scanner, SSH client, a Lightwork program without a credential, noise
"""

from __future__ import annotations

from lightwork.config.limits import HELLO_MAX
from lightwork.config.ports import NODE, SCHEDULER
from lightwork.model.errors import PeerError, ProtocolError
from lightwork.wire.frames import PREFIX

_HANDSHAKE, _ALERT = 22, 21  # the first byte of a TLS record
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"DELETE ", b"PATCH ", b"PRI * HTTP")
_SHOWN = 60
_LONG_ARRAY = 0xDC  # of more than 15 items, two bytes of their number behind it
PORT_HINT = (
    f"is the port right? `lightwork node` says its own when it starts ({NODE}, if that is free); "
    f"programs that nodes join have {SCHEDULER}, unless told otherwise"
)
_ANSWER = b"This port is for Lightwork programs: TLS 1.3 with a shared credential, no HTTP.\n"


def is_tls(data: bytes, listening: bool) -> bool:
    """Whether the first bytes begin a handshake (or, at the dialler, refuse one)."""
    return data[0] == _HANDSHAKE or (data[0] == _ALERT and not listening)


def server(where: str, data: bytes) -> PeerError:
    """Somebody else's server answered us."""
    if _is_plain_frame(data):
        return ProtocolError(
            f"the Lightwork program at {where} speaks without encryption: that port is for its own machine",
            hint="give its node port; `lightwork node` with a credential opens one",
        )
    line = _first_line(data)
    if data.startswith(b"SSH-"):
        return ProtocolError(f"an SSH server answers at {where} ({line}), no Lightwork program", hint=PORT_HINT)
    if data[:15].upper().startswith((b"HTTP/", b"<!DOCTYPE HTML", b"<HTML")):
        return ProtocolError(f"an HTTP server answers at {where}, no Lightwork program", hint=PORT_HINT)
    said = f" ({line})" if line else ""
    return ProtocolError(f"something else answers at {where}{said}, no Lightwork program", hint=PORT_HINT)


def client(where: str, data: bytes) -> PeerError:
    """Somebody else's client called us."""
    if _is_plain_frame(data):
        return ProtocolError(
            f"a Lightwork program at {where} speaks without encryption here: it has no credential",
            hint="give it the secret (or certificate) of this side",
        )
    if data.startswith(_METHODS):
        return ProtocolError(f"an HTTP client at {where} asked for a page; this port serves Lightwork programs alone")
    if data.startswith(b"SSH-"):
        return ProtocolError(f"an SSH client at {where} called; this port serves Lightwork programs alone")
    return ProtocolError(f"{where} sent something that is neither TLS nor a greeting of a Lightwork program")


def answer(data: bytes) -> bytes:
    """What a caller of that kind can read; nothing for most."""
    if not data.startswith(_METHODS):
        return b""
    head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(_ANSWER)}\r\n\r\n".encode() + _ANSWER


def _is_plain_frame(data: bytes) -> bool:
    """A first frame of ours: two lengths, then an array whose first item is the tag of Hello or Refused."""
    if len(data) < PREFIX.size + 2:
        return False
    header_size, size = PREFIX.unpack_from(data)
    head = data[PREFIX.size :]
    tag = head[1] if head[0] & 0xF0 == 0x90 else head[3] if head[0] == _LONG_ARRAY and len(head) > 3 else 0
    return 0 < header_size <= HELLO_MAX and size == 0 and tag in (1, 2)


def _first_line(data: bytes) -> str:
    """What can be shown of it, if it is text."""
    line = data.split(b"\n", 1)[0].rstrip(b"\r")[:_SHOWN]
    text = line.decode("ascii", "replace")
    return f'"{text}"' if len(text) > 2 and text.isprintable() and "\ufffd" not in text else ""
