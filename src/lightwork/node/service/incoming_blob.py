"""A blob on its way into the cache. A disk may let its writer wait for long: large ones are written by a thread.

    stream --> pieces --> thread: write, hash --> credit for as much again
                 ^            |                        whole: the digest is right? then it has its name
                 +-- next ----+

So what waits here is bounded by the stream's credit, and until the end nobody sees anything under the blob's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from lightwork.wire.messages import File

THREAD_FROM_BYTES = 1 << 20  # smaller files are dealt with on the spot


class BlobError(Exception):
    """A file cannot be had; the text says which and why."""


class Stream(Protocol):
    """A stream that was asked for (fetching.Download)."""

    def consumed(self, size: int) -> None:
        """There is room for so many bytes more."""

    def cancel(self) -> None:
        """The rest is not wanted."""


class IncomingBlob:
    """Its sink. `done` tells the end to all who wait; `wanted` is how many these are."""

    def __init__(self, path: Path, draft: Path, file: File, ended: Callable[[], object]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(lambda done: done.exception())  # those who wait hear of it, if there are any
        self.wanted = 0
        self.stream: Stream | None = None
        self._ended = ended
        self._path = path
        self._draft = draft
        self._digest = file.digest
        self._left = file.size
        self._here = file.size < THREAD_FROM_BYTES
        self._hash = hashlib.blake2b(digest_size=16)
        self._pieces: list[bytes] = []
        self._writing = False  # a thread is
        self._whole = False
        self._file: BinaryIO = open(draft, "wb", buffering=0)

    # --- the stream ---

    def write(self, piece: bytes) -> int:
        """The next bytes."""
        self._left -= len(piece)
        if self._left < 0:
            raise OSError("more came than was announced")
        if self._here:
            return self._put([piece])
        self._pieces.append(piece)
        if not self._writing:
            self._write_more()
        return 0

    def finish(self) -> None:
        """All has come."""
        self._whole = True
        if not self._writing:
            self._complete()

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        if not self.done.done():
            self._ended()
            self.done.set_exception(BlobError(reason))
        if not self._writing:
            self._discard()

    def let_go(self) -> None:
        """One fewer wants it; if nobody does any more, it is not fetched to its end."""
        self.wanted -= 1
        if not self.wanted and not self.done.done():
            self._give_up("nobody wants it any more")

    # --- the file ---

    def _write_more(self) -> None:
        pieces, self._pieces = self._pieces, []
        self._writing = True
        asyncio.get_running_loop().run_in_executor(None, self._put, pieces).add_done_callback(self._written)

    def _put(self, pieces: list[bytes]) -> int:
        """(In a thread, if it is large.)"""
        size = 0
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[self._file.write(rest) :]
                size += len(piece)
        except OSError as error:
            raise OSError(f"{error.strerror or error} (in {self._path.parent})") from error
        for piece in pieces:
            self._hash.update(piece)
        return size

    def _written(self, work: asyncio.Future[int]) -> None:
        self._writing = False
        if self.done.done():  # it failed meanwhile
            self._discard()
        elif (error := work.exception()) is not None:
            self._give_up(str(error))
        else:
            if self.stream is not None:
                self.stream.consumed(work.result())
            if self._pieces:
                self._write_more()
            elif self._whole:
                self._complete()

    def _complete(self) -> None:
        try:
            self._file.close()
            if self._hash.hexdigest() != self._digest:
                raise OSError("its content is not what was announced (did the file change meanwhile?)")
            os.replace(self._draft, self._path)
        except OSError as error:
            self.fail(str(error))
        else:
            self._ended()
            self.done.set_result(None)

    def _give_up(self, reason: str) -> None:
        if self.stream is not None:
            self.stream.cancel()
        self.fail(reason)

    def _discard(self) -> None:
        with contextlib.suppress(OSError):  # a disk that takes nothing more; that is being told
            self._file.close()
            self._draft.unlink(missing_ok=True)
