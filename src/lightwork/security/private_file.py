"""Files with secrets in them: read only if nobody else can read them, written so that nobody else ever could."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from lightwork.model.errors import UserError

_FILE_MAX = 256 << 10  # a long chain of certificates fits


def read(path: str | Path, what: str) -> tuple[str, str]:
    """The file's text, and the sentence's end that says who else can read it ("": nobody)."""
    try:
        with open(path, "rb") as file:
            exposed = _exposure(file.fileno())
            data = file.read(_FILE_MAX + 1)
    except FileNotFoundError:
        raise UserError(f"the {what} file {path} does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read the {what} file {path}: {reason}") from None
    if len(data) > _FILE_MAX:
        raise UserError(f"{path} is too large for a {what} file")
    try:
        return data.decode("utf-8-sig"), exposed
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text, so it is no {what} file") from None


def read_private(path: str | Path, what: str) -> str:
    """The file's text; a file that others can read is refused."""
    text, exposed = read(path, what)
    refuse_exposed(path, what, exposed)
    return text


def refuse_exposed(path: str | Path, what: str, exposed: str) -> None:
    """Raise if `exposed`, from `read`, names somebody."""
    if exposed:
        raise UserError(f"the {what} file {path} {exposed}", hint=f"chmod 600 {path}")


def create(path: Path, text: str) -> None:
    """Write the file anew (0600), whole or not at all. OSError: it cannot be."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _exposure(descriptor: int) -> str:
    """Who else than this user can read it, as the end of a sentence."""
    if sys.platform == "win32" or not hasattr(os, "getuid"):  # there the directory's access list guards it
        return ""
    status = os.fstat(descriptor)
    if stat.S_IMODE(status.st_mode) & 0o077:
        return f"can be read or written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    if status.st_uid not in (os.getuid(), 0) and os.getuid() != 0:
        return f"belongs to another user (number {status.st_uid})"
    return ""
