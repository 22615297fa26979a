"""Addresses of local programs, as one string each.

unix:/run/user/1000/lightwork/lab.sock        a unix socket; the directory guards it
loopback:/run/user/1000/lightwork/lab.token   a TCP port on 127.0.0.1; the file has port and token: the portable way
tcp:127.0.0.1:40123                           the same port, with the token given apart
"""

from __future__ import annotations

import os
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
BACKLOG = 1024
_WRONG = Refused(CREDENTIAL, "wrong credential for this loopback port", "is the token file from an earlier start?")


def portable() -> bool:
    """Whether to do without unix sockets: where there are none, or by LIGHTWORK_PORTABLE=1."""
    return sys.platform == "win32" or os.environ.get("LIGHTWORK_PORTABLE") == "1" or not hasattr(socket, "AF_UNIX")


def local_address(directory: str | Path, name: str) -> str:
    """Where the program `name` is to listen on this machine."""
    if portable():
        return f"{LOOPBACK}:{Path(directory) / name}.token"
    return f"{UNIX}:{Path(directory) / name}.sock"


def split(address: str) -> tuple[str, str]:
    """Kind and rest."""
    kind, _, rest = address.partition(":")
    if kind not in (UNIX, LOOPBACK, TCP) or not rest:
        raise UserError(f"{address!r} is no address", hint="unix:/path, loopback:/path or tcp:127.0.0.1:PORT")
    return kind, rest


class Target(NamedTuple):
    """Where to connect, and what to show and ask for there."""

    family: int
    where: str | tuple[str, int]  # a path, or host and port
    token: Token | None


def target(address: str, token: Token | None = None) -> Target:
    """What an address means for who dials it."""
    kind, rest = split(address)
    if kind == UNIX:
        if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
            raise UserError(f"{address!r}: there are no unix sockets here", hint="use loopback:/path")
        return Target(socket.AF_UNIX, rest, token)
    if kind == LOOPBACK:
        inner, token = token_file.read(rest)
        kind, rest = split(inner)
    host, _, port = rest.rpartition(":")
    if host != HOST or not port.isdecimal():
        raise UserError(f"{address!r}: only {HOST}:PORT", hint="other machines need TLS")
    if token is None:
        raise WrongCredential(f"{address!r} needs a credential", hint="use the loopback: address of its token file")
    return Target(socket.AF_INET, (host, int(port)), token)


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
