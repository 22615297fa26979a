"""The credential of a loopback listener: a file that only its owner can read.

Any user of the machine can connect to a loopback port, and any can listen there once our listener is gone. So both
sides prove that they can read the file, each by its own proof, the dialler first: who listens on a dead listener's
port is shown the dialler's proof, and can make nothing of it.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from lightwork.model.errors import Unreachable, WrongCredential
from lightwork.security import private_file

DIAL, LISTEN = "dial", "listen"
_KEY_BYTES = 32
_FILE_MAX = 1024


class Token:
    """A secret that the processes of one user share."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def new(cls) -> Token:
        """A fresh one."""
        return cls(os.urandom(_KEY_BYTES))

    @classmethod
    def from_hex(cls, text: str) -> Token:
        """As written by `hex`; ValueError: it is none."""
        key = bytes.fromhex(text)
        if len(key) != _KEY_BYTES:
            raise ValueError("a token has 32 bytes")
        return cls(key)

    def hex(self) -> str:
        """For the file."""
        return self._key.hex()

    def proof(self, side: str) -> str:
        """What the dialling or the listening side shows."""
        import hmac  # and with it OpenSSL: a unix socket needs neither

        return hmac.new(self._key, b"lightwork " + side.encode(), "sha256").hexdigest()

    def matches(self, shown: str, side: str) -> bool:
        """Whether the other side, which is the dialling or the listening one, showed its proof."""
        import hmac

        return hmac.compare_digest(shown.encode(), self.proof(side).encode())


def create(path: str | Path, address: str, token: Token) -> None:
    """Write the file anew (0600), whole or not at all: the listener's address and its token."""
    private_file.create(Path(path), f"{address}\n{token.hex()}\n")


def read(path: str | Path) -> tuple[str, Token]:
    """The address and the token; a file that is not there, not ours or not closed to others is refused."""
    try:
        with open(path, encoding="ascii") as file:
            _check_private(file.fileno(), path)
            text = file.read(_FILE_MAX)
    except FileNotFoundError:
        raise Unreachable(f"nobody listens there: {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Unreachable(f"cannot read {path}: {error}") from None
    try:
        address, key = text.split()
        return address, Token.from_hex(key)
    except ValueError:
        raise Unreachable(f"{path} is no token file") from None


def _check_private(descriptor: int, path: str | Path) -> None:
    if sys.platform == "win32" or not hasattr(os, "getuid"):  # there the directory's access list guards it
        return
    status = os.fstat(descriptor)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise WrongCredential(f"{path} is not this user's alone", hint=f"chmod 600 {path}, or remove it")
