"""Secrets: what a person types or copies, and the key that it stands for.

    lw-7k2wq-m4x9d-...   generated: 128 bits from the system and a checksum of 22 bits, in 6 groups of 5 symbols
    anything else        a phrase: stretched by scrypt, and still guessable, for whoever reaches a port can try phrases

The symbols are digits and small letters without i, l, o and u; what is read for them (I and l for 1, O for 0, capitals)
is taken for them. A generated secret with a typo is never taken for a phrase: it would only be another, useless key.
Both derivations are part of the protocol: whoever changes one shuts out everybody who has the other.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lightwork.model.errors import UserError
from lightwork.security import private_file

VARIABLE = "LIGHTWORK_SECRET"
PREFIX = "lw-"
NONE_YET = (
    "`lightwork secret --save` makes one; if the other machines have one, "
    "take that: `lightwork secret --read --save`, and paste it"
)
MOST = 8  # secrets in one file: the one that signs, and others that are still accepted

_SYMBOLS = "0123456789abcdefghjkmnpqrstvwxyz"
_READ_AS = str.maketrans("ilo", "110")
_GROUPS, _GROUP = 6, 5
_KEY_BYTES = 16
_CHECK_BITS = _GROUPS * _GROUP * 5 - _KEY_BYTES * 8
_BARE = re.compile(r"(?=.*\d)(?:\w{1,3}[-\s]+)?(?:\w{5}[-\s]+){5}\w{5}", re.ASCII)  # the prefix was lost
_SALT = b"lightwork phrase 1"
_N, _R, _P = 1 << 15, 8, 1  # 32 MiB, about 100 ms


def generate() -> str:
    """A new secret of 128 random bits."""
    return _written(os.urandom(_KEY_BYTES))


def guessable(text: str) -> bool:
    """Whether it is a phrase: not made by `generate`."""
    return not _is_generated(text.strip())


def parse(text: str) -> bytes:
    """The key of a secret (32 bytes). UserError: empty, or a generated one with a typo."""
    text = text.strip()
    if not text:
        raise UserError("the secret is empty")
    import hashlib  # and with it OpenSSL: who has no credential, or a unix socket, needs neither
    import unicodedata

    if _is_generated(text):
        return hashlib.sha256(b"lightwork secret 1" + _read(text)).digest()
    phrase = unicodedata.normalize("NFKC", text).encode("utf-8", "surrogateescape")
    return hashlib.scrypt(phrase, salt=_SALT, n=_N, r=_R, p=_P, maxmem=64 << 20, dklen=32)


def check(text: str, origin: str) -> None:
    """UserError, naming where it is from, if the secret is empty or a generated one with a typo."""
    text = text.strip()
    if not text:
        raise UserError(f"the secret from {origin} is empty", hint="`lightwork secret` makes one")
    if _is_generated(text):
        try:
            _read(text)
        except UserError as error:
            raise UserError(f"{error.args[0]} ({origin})", hint=error.hint) from None


def lines(text: str, origin: str) -> tuple[str, ...]:
    """The secrets in a text, one on each line: the first signs, all are accepted."""
    if "-----BEGIN " in text:
        raise UserError(f"{origin} holds a certificate or key, no secret", hint="give it as certfile and keyfile")
    found = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(found) > MOST:
        raise UserError(f"{origin} has {len(found):,} lines; a secret file has one, or two while it is changed")
    for line in found or ("",):
        check(line, origin)
    return found


def secret_path() -> Path:
    """Where a user's secret lies: found without being named."""
    if sys.platform.startswith("linux"):  # as platformdirs does, but without its import
        given = os.environ.get("XDG_CONFIG_HOME", "")
        return Path(given if os.path.isabs(given) else os.path.expanduser("~/.config")) / "lightwork" / "secret"
    import platformdirs

    return Path(platformdirs.user_config_dir("lightwork", appauthor=False)) / "secret"


def save(text: str, *, replace: bool = False) -> Path:
    """Put secrets (one, or two lines) where they are found; where. One that is there already is kept unless told."""
    path = secret_path()
    found = lines(text, "the text to save")
    if not replace and os.path.lexists(path):
        raise UserError(
            f"there is a secret already in {path}",
            hint="to change it everywhere: add the new one as its second line on all machines, then put it first",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file.create(path, "".join(f"{line}\n" for line in found))
    except OSError as error:
        raise UserError(f"cannot write the secret to {path}: {error.strerror or error}") from None
    return path


def _is_generated(text: str) -> bool:
    return text.lower().startswith(PREFIX) or _BARE.fullmatch(text) is not None


def _check_of(key: bytes) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(b"lightwork check 1" + key).digest()[:4], "big") >> (32 - _CHECK_BITS)


def _written(key: bytes) -> str:
    number = int.from_bytes(key, "big") << _CHECK_BITS | _check_of(key)
    symbols = [_SYMBOLS[number >> 5 * place & 31] for place in reversed(range(_GROUPS * _GROUP))]
    groups = ("".join(symbols[at : at + _GROUP]) for at in range(0, len(symbols), _GROUP))
    return PREFIX + "-".join(groups)


def _read(text: str) -> bytes:
    """The 128 bits of a secret that was generated."""
    symbols = re.sub(r"[-\s]", "", text.lower())[-_GROUPS * _GROUP :].translate(_READ_AS)
    whole = re.sub(r"[-\s]", "", text.lower())
    expected = len(PREFIX) - 1 + _GROUPS * _GROUP
    if text.lower().startswith(PREFIX) and len(whole) != expected:
        raise _typo(f"it has {len(whole) - 2} letters and digits after {PREFIX!r} instead of {_GROUPS * _GROUP}")
    strange = [symbol for symbol in symbols if symbol not in _SYMBOLS]
    if strange:
        raise _typo(f"it never has a {strange[0]!r}")
    number = 0
    for symbol in symbols:
        number = number << 5 | _SYMBOLS.index(symbol)
    key = (number >> _CHECK_BITS).to_bytes(_KEY_BYTES, "big")
    if number & (1 << _CHECK_BITS) - 1 != _check_of(key):
        raise _typo("its checksum does not fit")
    return key


def _typo(what: str) -> UserError:
    return UserError(f"the secret has a typo: {what}", hint="copy it again from where it was made")
