"""What was acknowledged, beside the journal: a log that lost its end at the end of a transaction looks whole.

Written after each sync and before the word goes out, without a sync of its own. So it never tells of more than is on
disk; after a power cut perhaps of less; after kill -9 of exactly what others may have been told.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from lightwork.store import durable
from lightwork.store.journal_room import is_full

_RECORD = Struct("<8sQQ16s")
_MAGIC = b"LWJseen1"
_SUM = 16


class Seen(NamedTuple):
    """The last row that was durable."""

    generation: int
    number: int
    chain: bytes


class Witness:
    """The file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)

    def write(self, seen: Seen) -> None:
        """It was durable before this is called."""
        record = _RECORD.pack(_MAGIC, *seen)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        try:
            os.write(self._descriptor, record + blake2b(record, digest_size=_SUM).digest())
        except OSError as error:
            if not is_full(error):  # a file system that copies on write: then it knows less, which it may
                raise

    def sync(self) -> None:
        """Once in a life: from then on it is there, and an older content at worst."""
        os.fsync(self._descriptor)
        durable.sync_folder(os.path.dirname(self._path))

    def close(self) -> None:
        """Nothing is lost with it."""
        os.close(self._descriptor)


def read(path: str) -> Seen:
    """ValueError: it is damaged. OSError: it cannot be read, or is not there."""
    with open(path, "rb") as file:
        content = file.read(_RECORD.size + _SUM + 1)
    record, stored = content[: _RECORD.size], content[_RECORD.size :]
    if len(record) < _RECORD.size or blake2b(record, digest_size=_SUM).digest() != stored:
        raise ValueError(f"{path} is damaged")
    return Seen(*_RECORD.unpack(record)[1:])
