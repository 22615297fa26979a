"""Files by content: what a computation needs is fetched once, checked, and laid into its directory.

A job may do with its files what it likes, so it gets its own: a reflink where the file system can, else a copy. Never a
hard link: a job that writes into it would change the cache, read-only or not, for it owns the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from lightwork.node.service.cached import Cached
from lightwork.node.service.house_rules import CACHE_BYTES
from lightwork.node.service.incoming_blob import THREAD_FROM_BYTES, BlobError, IncomingBlob, Stream
from lightwork.node.service.job_user import JobUser, acting_as
from lightwork.wire.messages import File

__all__ = ["BlobError", "Blobs", "TooLarge", "check_path", "check_size", "copy", "is_same"]

FICLONE = 0x40049409
_PIECE = 1 << 20


class Fetcher(Protocol):
    """Whoever fetches for us, whatever becomes of links (fetching.Fetching)."""

    def fetch(self, kind: str, name: str, sink: IncomingBlob) -> Stream:
        """Ask the scheduler for bytes."""


class TooLarge(BlobError):
    """A file that this node's owner does not want to pass."""


def check_size(path: str, size: int, most: int) -> None:
    """TooLarge: `most` (0: any size) is less."""
    if most and size > most:
        raise TooLarge(f"{path} has {size:,} bytes; this node takes and sends at most {most:,} in one file")


class Blobs:
    """The cache. `quota`: bytes, of which those that nobody uses are deleted when there are more (cached.py); `user`:
    whose the directories are that they are laid into."""

    def __init__(
        self, directory: Path, quota: int = CACHE_BYTES, file_max: int = 0, user: JobUser | None = None
    ) -> None:
        self._directory = directory
        self._file_max = file_max
        self._user = user
        self._cached = Cached(quota)
        self._drafts = 0
        self._tidy()
        self._coming: dict[str, IncomingBlob] = {}

    def note(self, files: Iterable[File], session: str, *, lasting: bool = False) -> None:
        """Who wants these: single jobs of a session, or (`lasting`) a computation of it."""
        self._cached.note(files, session, lasting)

    def release(self, session: str) -> None:
        """The session is over: nobody will ask for the files of its jobs again."""
        self._delete(self._cached.release(session))

    async def have(self, files: Iterable[File], fetching: Fetcher) -> None:
        """Have all of these here, each fetched once whoever else wants it. BlobError, OSError: one cannot be had."""
        files = list(files)
        for file in files:
            check_path(file.path)
            check_size(file.path, file.size, self._file_max)
        self._touch(files)
        wanted = {file.digest: file for file in files if not self.path(file.digest).exists()}
        coming: list[tuple[str, IncomingBlob]] = []
        try:
            for file in wanted.values():
                sink = self._coming.get(file.digest) or self._start(file, fetching)
                sink.wanted += 1
                coming.append((file.path, sink))
            for path, sink in coming:
                try:
                    await asyncio.shield(sink.done)
                except BlobError as error:
                    raise BlobError(f"{path} could not be fetched: {error}") from None
        finally:
            for _, sink in coming:
                sink.let_go()

    def path(self, digest: str) -> Path:
        """Where a blob lies, or would."""
        if not digest.isalnum():
            raise BlobError(f"{digest!r} is no digest")
        return self._directory / digest

    async def place(self, files: Iterable[File], directory: Path) -> list[Path]:
        """Lay these files into a directory, each with its mode and time; which were new there."""
        files = list(files)
        if sum(file.size for file in files) < THREAD_FROM_BYTES:
            return self.place_now(files, directory)
        work = asyncio.get_running_loop().run_in_executor(None, self.place_now, files, directory)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # the thread goes on, and who cancels is going to remove the directory
            raise

    def place_now(self, files: Iterable[File], directory: Path) -> list[Path]:
        """The same, at once."""
        return [target for file in files if (target := self._place(file, directory)) is not None]

    def _start(self, file: File, fetching: Fetcher) -> IncomingBlob:
        digest, path = file.digest, self.path(file.digest)
        self._drafts += 1
        draft = path.with_name(f".{digest}.{self._drafts}")
        sink = self._coming[digest] = IncomingBlob(path, draft, file, lambda: self._coming.pop(digest))
        sink.done.add_done_callback(lambda done: self._arrived(digest, done))
        sink.stream = fetching.fetch("blob", digest, sink)
        return sink

    def _tidy(self) -> None:
        """At the start, when nobody needs anything yet: no halves, and no more than there should be."""
        found = []
        for path in self._directory.glob("*"):
            with contextlib.suppress(OSError):  # it is a cache: what cannot be deleted stays
                if path.name.startswith("."):
                    path.unlink()
                else:
                    known = path.stat()
                    found.append((known.st_mtime_ns, known.st_size, path.name))
        for _, size, name in sorted(found):
            self._delete(self._cached.arrived(name, size))

    def _touch(self, files: Iterable[File]) -> None:
        """Those that are here are used again; the file's time tells so to our successor."""
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                os.utime(self.path(file.digest))
                self._count(file.digest)

    def _arrived(self, digest: str, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._count(digest)

    def _count(self, digest: str) -> None:
        """By its real size, whatever a client says of it."""
        with contextlib.suppress(FileNotFoundError):
            self._delete(self._cached.arrived(digest, self.path(digest).stat().st_size))

    def _delete(self, digests: Iterable[str]) -> None:
        """Out of the way now; a large file may take its time to go."""
        for digest in digests:
            self._drafts += 1
            gone = self._directory / f".gone.{self._drafts}"
            with contextlib.suppress(OSError):  # it is a cache: what cannot be deleted stays
                os.replace(self._directory / digest, gone)
                if gone.stat().st_size < THREAD_FROM_BYTES:
                    gone.unlink()
                else:
                    threading.Thread(target=_unlink, args=(gone,), daemon=True).start()

    def _place(self, file: File, directory: Path) -> Path | None:
        check_path(file.path)
        target = directory / file.path
        with open(self.path(file.digest), "rb") as blob, acting_as(self._user):
            return self._lay(blob, file, target, directory)

    def _lay(self, blob: BinaryIO, file: File, target: Path, directory: Path) -> Path | None:
        if is_same(target, file):
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(directory.resolve()):
            raise BlobError(f"{file.path} would lie outside of {directory}")
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            copy(blob, temporary)
            os.chmod(temporary, file.mode & 0o777 | 0o400)
            if file.modified_ns:
                os.utime(temporary, ns=(file.modified_ns, file.modified_ns))
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return target


def is_same(target: Path, file: File) -> bool:
    """Whether it lies there already, as far as size and time tell (dest_path may be used again and again)."""
    try:
        found = os.lstat(target)
    except OSError:
        return False
    return bool(file.modified_ns) and found.st_size == file.size and found.st_mtime_ns == file.modified_ns


def check_path(path: str) -> None:
    """File names from the wire are never trusted: relative, below, and without surprises. BlobError."""
    parts = PurePosixPath(path).parts
    bad = not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path or ":" in parts[0]
    if bad or len(path) > 4096:
        raise BlobError(f"{path!r} is not a path that may be used here")


def copy(reader: BinaryIO, target: Path) -> None:
    """A file of its own with the same content; shares blocks where the file system can."""
    with open(target, "wb") as writer:
        if sys.platform == "linux":
            import fcntl

            try:
                fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            except OSError:  # this file system cannot
                pass
            else:
                return
            if _copied_in_kernel(reader.fileno(), writer.fileno()):
                return
        shutil.copyfileobj(reader, writer, _PIECE)


def _copied_in_kernel(reader: int, writer: int) -> bool:
    """Whether there is a way that takes no detour through us."""
    if sys.platform == "win32":
        return False
    at = 0
    try:
        while sent := os.sendfile(writer, reader, at, 1 << 30):
            at += sent
    except OSError:
        if at:
            raise
        return False
    return True


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):  # at the next start then
        path.unlink()
