"""Files and bytes as the two ends of streams.

A file is read and written in pieces of 64 KB between other work: a stream in memory costs its credit, never its size.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lightwork.wire.frames import Buffer

if TYPE_CHECKING:
    import hashlib

Done = Callable[[str], None]  # told the reason of the failure, or ""
DIGEST_BYTES = 16


class FileSource:
    """Serves a file. It is opened when its turn comes, so a missing one fails the stream, not its caller."""

    def __init__(self, path: str | Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._file: BinaryIO | None = None

    def read(self, size: int) -> bytes:
        """The next bytes of the file."""
        if self._file is None:
            self._file = open_plain(self._path)
            self._file.seek(self._offset)
        return self._file.read(size)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def open_plain(path: str | Path) -> BinaryIO:
    """To read it. OSError: it is no plain file. (Where a job may write, it may put a pipe: one would wait for ever.)"""
    file = open(path, "rb", buffering=0, opener=_open_at_once)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is no plain file")
    return file


def read_plain(path: str | Path) -> bytes:
    """All of it, likewise."""
    with open_plain(path) as file:
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class BytesSource:
    """Serves bytes that are in memory anyway."""

    def __init__(self, data: Buffer, offset: int = 0) -> None:
        self._data = memoryview(data)[offset:]

    def read(self, size: int) -> memoryview:
        """The next bytes."""
        piece, self._data = self._data[:size], self._data[size:]
        return piece

    def close(self) -> None:
        """Let go of the bytes."""
        self._data = memoryview(b"")


class FileSink:
    """Writes a stream beside `path`, and puts it there when it is whole and its digest (if given) is right.

    `wanted`, if given, is asked just before: False, and it goes without a complaint.
    """

    def __init__(
        self,
        path: str | Path,
        done: Done,
        digest: str = "",
        mode: int | None = None,
        wanted: Callable[[], bool] | None = None,
    ) -> None:
        self._path = Path(path)
        self._done = done
        self._digest = digest
        self._hash = _new_hash() if digest else None
        self._mode = mode
        self._wanted = wanted
        self._draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{id(self):x}.part")
        self._file: BinaryIO | None = open(self._draft, "wb", buffering=0)

    def write(self, piece: bytes) -> int:
        """Append a piece."""
        file = self._file
        if file is None:  # discarded while this piece was on its way
            return 0
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
        if self._hash is not None:
            self._hash.update(piece)
        return len(piece)

    def finish(self) -> None:
        """All is there: put the file in its place."""
        if self._hash is not None and self._hash.hexdigest() != self._digest:
            self.fail(f"{self._path.name}: its content is not what was asked for")
            return
        if self._wanted is not None and not self._wanted():
            self.discard()
            self._done("")
            return
        self._close()
        if self._mode is not None:
            os.chmod(self._draft, self._mode)
        os.replace(self._draft, self._path)
        self._done("")

    def fail(self, reason: str) -> None:
        """Leave nothing behind."""
        self.discard()
        self._done(reason)

    def discard(self) -> None:
        """As `fail`, after a cancel: nobody is told."""
        self._close()
        self._draft.unlink(missing_ok=True)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _new_hash() -> hashlib.blake2b:
    import hashlib

    return hashlib.blake2b(digest_size=DIGEST_BYTES)
