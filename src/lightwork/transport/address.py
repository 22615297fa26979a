"""Addresses of programs, as one string each.

unix:/run/user/1000/lightwork/lab.sock        a unix socket; the directory guards it
loopback:/run/user/1000/lightwork/lab.token   a TCP port on 127.0.0.1; the file has port and token: the portable way
tcp:127.0.0.1:40123                           the same port, with the token given apart
tcp:lab1:9701   tcp:[fe80::1%eth0]:9701       a port that others reach too, encrypted; tcp:*:9701 to listen on all
"""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from lightwork.model.errors import UserError, WrongCredential
from lightwork.security import token_file
from lightwork.security.token_file import DIAL, LISTEN, Token
from lightwork.wire.dialogue import CREDENTIAL, Check
from lightwork.wire.messages import Hello, Refused

UNIX, LOOPBACK, TCP = "unix", "loopback", "tcp"
HOST = "127.0.0.1"
ALL = "*"
BACKLOG = 1024
_WRONG = Refused(CREDENTIAL, "wrong credential for this loopback port", "is the token file from an earlier start?")
_HOST = re.compile(r"[\w.-]{1,253}")  # names; letters of all languages
_NUMBER6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?")
_FORMS = "HOST, HOST:PORT, 192.168.3.4:9701 or [fd00::1]:9701"


def portable() -> bool:
    """Whether to do without unix sockets: where there are none, or by LIGHTWORK_PORTABLE=1."""
    return sys.platform == "win32" or os.environ.get("LIGHTWORK_PORTABLE") == "1" or not hasattr(socket, "AF_UNIX")


def local_address(directory: str | Path, name: str) -> str:
    """Where the program `name` is to listen on this machine."""
    if portable():
        return f"{LOOPBACK}:{Path(directory) / name}.token"
    return f"{UNIX}:{Path(directory) / name}.sock"


def network_address(text: str, default_port: int, *, listening: bool = False) -> str:
    """What users write (`lab1`, `lab1:9701`, `::1`, `[::1]:9701`) as "tcp:HOST:PORT"; other kinds as they are.

    For listening, `:9701` and `9701` alone mean all addresses of this machine, which else is written `*:9701`.
    """
    text = text.strip()
    kind, _, rest = text.partition(":")
    if kind in (UNIX, LOOPBACK) and rest:
        return text
    rest = rest if kind == TCP and rest else text
    if listening and re.fullmatch(r":?\d+", rest):
        rest = f"{ALL}:{rest.lstrip(':')}"
    if "://" in rest or "/" in rest:
        raise UserError(f"{text!r} is no address of a machine", hint=_FORMS)
    host, port = rest, str(default_port)
    if rest.startswith("["):
        host, closed, tail = rest[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")):
            raise UserError(f"{text!r} is no address of a machine", hint=_FORMS)
        port = tail[1:] if tail else port
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    _check_host(host, text)
    if host == ALL and not listening:
        raise UserError(f"{text!r} means all addresses of a machine: one can listen there, not connect", hint=_FORMS)
    least = 0 if listening else min(default_port, 1)  # a caller's own 0 means that none was written
    return f"{TCP}:{join_host_port(host, _port(port, text, least))}"


def names_port(text: str) -> bool:
    """Whether what a user wrote to listen at names a port itself."""
    return network_address(text, 1, listening=True) == network_address(text, 2, listening=True)


def _check_host(host: str, text: str) -> None:
    if host == ALL:
        return
    is_number = host.isdecimal()  # a lone number is no name: it would be looked up as 0.0.x.y
    if is_number or not (_NUMBER6.fullmatch(host) if ":" in host else _HOST.fullmatch(host)):
        raise UserError(f"{text!r} is no address of a machine", hint=_FORMS)


def _port(port: str, text: str, least: int = 0) -> int:
    if not (port.isascii() and port.isdecimal() and least <= int(port) < 1 << 16):
        raise UserError(f"{text!r}: {port!r} is no port", hint="a number from 1 to 65535")
    return int(port)


def join_host_port(host: str, port: int) -> str:
    """HOST:PORT, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(address: str) -> str:
    """The host of a HOST:PORT, without brackets; empty for a link that crosses no network."""
    host = address.removeprefix("tcp:").rpartition(":")[0].strip("[]")
    return "" if "/" in address else host


def split_host_port(text: str) -> tuple[str, int]:
    """The other way; UserError: it is none."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host):
        raise UserError(f"{text!r} is no HOST:PORT", hint="IPv6 addresses stand in brackets: [::1]:9701")
    return bare, _port(port, text)


def split(address: str) -> tuple[str, str]:
    """Kind and rest."""
    kind, _, rest = address.partition(":")
    if kind not in (UNIX, LOOPBACK, TCP) or not rest:
        raise UserError(f"{address!r} is no address", hint="unix:/path, loopback:/path or tcp:HOST:PORT")
    return kind, rest


class Target(NamedTuple):
    """Where to connect on this machine, and what to show and ask for there."""

    family: int
    where: str | tuple[str, int]  # a path, or host and port
    token: Token | None


def target(address: str, token: Token | None = None) -> Target:
    """What an address means for who dials it without encryption: it must be on this machine."""
    kind, rest = split(address)
    if kind == UNIX:
        if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
            raise UserError(f"{address!r}: there are no unix sockets here", hint="use loopback:/path")
        return Target(socket.AF_UNIX, rest, token)
    if kind == LOOPBACK:
        inner, token = token_file.read(rest)
        kind, rest = split(inner)
    host, port = split_host_port(rest)
    if host != HOST:
        raise UserError(
            f"{address!r}: other machines are reached with a credential only",
            hint="`lightwork secret --save` makes one; copy it to the other machine",
        )
    if token is None:
        raise WrongCredential(f"{address!r} needs a credential", hint="use the loopback: address of its token file")
    return Target(socket.AF_INET, (host, port), token)


def with_proof(hello: Hello, token: Token | None, side: str) -> Hello:
    """The hello that shows this side's proof."""
    if token is None:
        return hello
    return replace(hello, credential=token.proof(side))


def demanding(check: Check, token: Token | None, listening: bool) -> Check:
    """`check`, but first the other side's proof."""
    if token is None:
        return check
    side = DIAL if listening else LISTEN

    def both(hello: Hello) -> Refused | None:
        return check(hello) if token.matches(hello.credential, side) else _WRONG

    return both
