"""The files that a relay keeps, on disk: each under its digest, none under a digest that is not its own.

stream --> pieces --> a thread: write, hash --> credit for as much again --> whole: on disk, under its name
left by an earlier relay --> a thread: hash --> right: as if it had come; else deleted, and asked for

Some of the disk is left to others: what does not fit is not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lightwork.config.limits import DISK_FREE_MIN
from lightwork.relay.core import events as on
from lightwork.store.blobs import DIGEST_SIZE, Blobs, Writer
from lightwork.transport.fetching import Download, Fetching
from lightwork.transport.files import FileSource
from lightwork.transport.link import Link
from lightwork.wire.messages import Fetch
from lightwork.wire.passing import BLOB
from lightwork.wire.streams import SourceFailed

Tell = Callable[[on.Event], None]
log = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Store:
    """All of them. `tell`: the core hears what came of it. OSError: there can be no such folder."""

    def __init__(self, directory: Path, tell: Tell) -> None:
        self._blobs = Blobs(directory)
        self._directory = directory
        self._tell = tell
        self._fetching = Fetching()

    def look(self) -> None:
        """Tell what is here from before, what was used last at the end. What has another name is not ours."""
        found = []
        for path in self._directory.iterdir():
            if self.is_digest(path.name) and path.is_file():
                with contextlib.suppress(OSError):  # it went meanwhile
                    known = path.stat()
                    found.append((known.st_mtime_ns, path.name, known.st_size))
        for _, name, size in sorted(found):
            self._tell(on.BlobFound(name, size))

    def linked(self, link: Link) -> None:
        """The scheduler is there: what is on its way goes on from where it stopped."""
        self._fetching.linked(link)

    def is_digest(self, name: str) -> bool:
        """Whether a blob may be called that."""
        try:
            self._blobs.path(name)
        except ValueError:
            return False
        return True

    def has(self, digest: str) -> bool:
        """Whether it lies here, as far as the disk says."""
        return self._blobs.has(digest)

    def fetch(self, digest: str) -> None:
        """From here, if it is right; else from the scheduler, now or when it is there."""
        if self.has(digest):
            work = asyncio.get_running_loop().run_in_executor(None, _proven, self._blobs.path(digest))
            work.add_done_callback(partial(self._looked_into, digest))
        else:
            self._ask(digest)

    def _looked_into(self, digest: str, work: asyncio.Future[int]) -> None:
        if (error := work.exception()) is None:
            self._tell(on.BlobArrived(digest, work.result()))
            return
        log.warning("file %s is fetched anew: %s", digest, error)
        self.evict([digest])
        self._tell(on.BlobVanished(digest))
        self._ask(digest)

    def _ask(self, digest: str) -> None:
        try:
            sink = _Incoming(self._blobs.writer(digest), digest, self._directory, self._tell)
        except OSError as error:
            _tell_failure(self._tell, digest, error)
            return
        sink.stream = self._fetching.fetch(BLOB, digest, sink)

    def source(self, fetch: Fetch) -> FileSource:
        """Of one that is here."""
        path = self._blobs.path(fetch.name)
        with contextlib.suppress(OSError):  # then it goes earlier than it should
            os.utime(path)
        return _Reading(path, fetch.offset, lambda: self._tell(on.BlobRead(fetch.name)))

    def evict(self, digests: list[str]) -> None:
        """There is no room for these any more."""
        for digest in digests:
            with contextlib.suppress(OSError):  # the next relay finds it again
                self._blobs.path(digest).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing will come any more."""
        self._fetching.over("the relay is being stopped")


def _proven(path: Path) -> int:
    """Its size. ValueError: it is not what its name says. (In a thread.)"""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_SIZE)).hexdigest()
        size = file.tell()
    if digest != path.name:
        raise ValueError("it was damaged here")
    return size


def _tell_failure(tell: Tell, digest: str, error: BaseException) -> None:
    """What our disk could not take, each node gets past us; what is wrong, nobody does."""
    if isinstance(error, OSError) and error.errno in _FULL:
        tell(on.DiskFilled())
    tell(on.BlobFailed(digest, str(error), ours=isinstance(error, OSError)))


class _Reading(FileSource):
    """Tells when it has ended."""

    def __init__(self, path: Path, offset: int, ended: Callable[[], None]) -> None:
        super().__init__(path, offset)
        self._ended = ended

    def close(self) -> None:
        """It is not read any more."""
        super().close()
        self._ended()


class _Incoming:
    """One that comes. Who is slow, the disk or the link, bounds the other by the stream's credit."""

    def __init__(self, writer: Writer, digest: str, directory: Path, tell: Tell) -> None:
        self.stream: Download | None = None
        self._writer = writer
        self._digest = digest
        self._directory = directory
        self._tell = tell
        self._pieces: list[bytes] = []
        self._size = 0
        self._writing = self._whole = self._failed = False

    def write(self, piece: bytes) -> int:
        """The next bytes; credit follows when they are written."""
        self._pieces.append(piece)
        self._size += len(piece)
        if not self._writing:
            self._write_more()
        return 0

    def finish(self) -> None:
        """All has come."""
        self._whole = True
        if not self._writing:
            self._store()

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        self._fail(SourceFailed(reason))

    def _fail(self, error: BaseException) -> None:
        if self._failed:
            return
        self._failed = True
        if not self._writing:
            self._writer.discard()
        _tell_failure(self._tell, self._digest, error)

    def _write_more(self) -> None:
        pieces, self._pieces = self._pieces, []
        self._writing = True
        asyncio.get_running_loop().run_in_executor(None, self._put, pieces).add_done_callback(self._written)

    def _put(self, pieces: list[bytes]) -> int:
        """(In a thread.)"""
        size = sum(map(len, pieces))
        if shutil.disk_usage(self._directory).free < DISK_FREE_MIN + size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for piece in pieces:
            self._writer.write(piece)
        return size

    def _written(self, work: asyncio.Future[int]) -> None:
        self._writing = False
        if self._failed:
            self._writer.discard()
        elif (error := work.exception()) is not None:
            if self.stream is not None:
                self.stream.cancel()
            self._fail(error)
        else:
            if self.stream is not None:
                self.stream.consumed(work.result())
            if self._pieces:
                self._write_more()
            elif self._whole:
                self._store()

    def _store(self) -> None:
        self._writing = True
        asyncio.get_running_loop().run_in_executor(None, self._writer.store).add_done_callback(self._stored)

    def _stored(self, work: asyncio.Future[str]) -> None:
        self._writing = False
        error = work.exception()
        if error is None:
            self._tell(on.BlobArrived(self._digest, self._size))
        else:
            self._fail(error)
