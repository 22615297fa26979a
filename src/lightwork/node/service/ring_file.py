"""The shared file of a worker that is another user's, read and written like the mapping that it is elsewhere.

Who owns a file may cut it off, and whoever then touches his mapping of it is killed by the system. So a node of root's
does not map what its jobs own: past the end there are zeros for it, which no worker writes.
"""

from __future__ import annotations

from typing import BinaryIO

from lightwork.wire.channel import U64


class Words:
    """Its first u64 words, by index."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getitem__(self, index: int) -> int:
        (word,) = U64.unpack(_read(self._file, index * U64.size, U64.size))
        return int(word)

    def __setitem__(self, index: int, word: int) -> None:
        self._file.seek(index * U64.size)
        self._file.write(U64.pack(word))


class Part:
    """What begins there, by slices."""

    def __init__(self, file: BinaryIO, begin: int) -> None:
        self._file = file
        self._begin = begin

    def __getitem__(self, where: slice) -> bytes:
        return _read(self._file, self._begin + where.start, where.stop - where.start)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size).ljust(size, b"\0")
