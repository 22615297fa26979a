"""Files by content: what a computation needs is fetched once, checked, and laid into its directory.

A job may do with its files what it likes, so it gets its own: a reflink where the file system can, else a copy. Never a
hard link: a job that writes into it would change the cache, read-only or not, for it owns the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from lightwork.wire.messages import File

FICLONE = 0x40049409
THREAD_FROM_BYTES = 1 << 20  # smaller files are laid out on the spot


class BlobError(Exception):
    """A file cannot be had; the text says which and why."""


class Fetcher(Protocol):
    """A link, as far as it fetches (transport.link.Link)."""

    def fetch(self, kind: str, name: str, sink: BlobSink, offset: int = 0) -> int:
        """Ask the peer for bytes."""


class BlobSink:
    """Writes a stream into the cache, and believes only the digest."""

    def __init__(self, path: Path, digest: str) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._digest = digest
        self._path = path
        self._temporary = path.with_name(f".{digest}.{os.getpid()}")
        self._hash = hashlib.blake2b(digest_size=16)
        self._file: BinaryIO = open(self._temporary, "wb")

    def write(self, piece: bytes) -> int:
        """The next bytes."""
        self._file.write(piece)
        self._hash.update(piece)
        return len(piece)

    def finish(self) -> None:
        """All has come."""
        self._file.close()
        if self._hash.hexdigest() != self._digest:
            self.fail("its content is not what was announced (did the file change meanwhile?)")
            return
        os.replace(self._temporary, self._path)
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        """The rest will not come."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)
        if not self.done.done():
            self.done.set_exception(BlobError(reason))


class Blobs:
    """The cache."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._coming: dict[str, asyncio.Future[None]] = {}
        self._of_jobs: dict[str, set[str]] = {}  # digest -> sessions whose single jobs use it
        self._lasting: set[str] = set()  # of computations: the next session may want them again

    def note(self, files: Iterable[File], session: str = "") -> None:
        """Who wants these: the jobs of a session, or a computation."""
        for file in files:
            if session:
                self._of_jobs.setdefault(file.digest, set()).add(session)
            else:
                self._lasting.add(file.digest)

    def release(self, session: str) -> None:
        """The session is over: nobody will ask for the files of its jobs again."""
        for digest, sessions in list(self._of_jobs.items()):
            sessions.discard(session)
            if not sessions:
                del self._of_jobs[digest]
                if digest not in self._lasting:
                    with contextlib.suppress(OSError):  # it is a cache: what cannot be deleted stays
                        self.path(digest).unlink(missing_ok=True)

    async def have(self, files: Iterable[File], link: Fetcher) -> None:
        """Have all of these here. BlobError: one cannot be had."""
        for file in files:
            check_path(file.path)
        wanted = {file.digest: file for file in files if not self.path(file.digest).exists()}
        for file in wanted.values():
            if file.digest not in self._coming:
                self._start(file, link)
        for file in wanted.values():
            coming = self._coming.get(file.digest)
            try:
                if coming is not None:
                    await asyncio.shield(coming)
            except BlobError as error:
                raise BlobError(f"{file.path} could not be fetched: {error}") from None

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
        return await asyncio.get_running_loop().run_in_executor(None, self.place_now, files, directory)

    def place_now(self, files: Iterable[File], directory: Path) -> list[Path]:
        """The same, at once."""
        return [target for file in files if (target := self._place(file, directory)) is not None]

    def _start(self, file: File, link: Fetcher) -> None:
        sink = BlobSink(self.path(file.digest), file.digest)
        self._coming[file.digest] = sink.done
        sink.done.add_done_callback(lambda done: self._arrived(file.digest, done))
        link.fetch("blob", file.digest, sink)

    def _arrived(self, digest: str, done: asyncio.Future[None]) -> None:
        del self._coming[digest]
        if not done.cancelled():
            done.exception()  # those who wait hear of it

    def _place(self, file: File, directory: Path) -> Path | None:
        check_path(file.path)
        target = directory / file.path
        if is_same(target, file):
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(directory.resolve()):
            raise BlobError(f"{file.path} would lie outside of {directory}")
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            copy(self.path(file.digest), temporary)
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


def copy(source: Path, target: Path) -> None:
    """A file of its own with the same content; shares blocks where the file system can."""
    with open(source, "rb") as reader, open(target, "wb") as writer:
        if sys.platform == "linux":
            import fcntl

            try:
                fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            except OSError:  # this file system cannot
                pass
            else:
                return
        shutil.copyfileobj(reader, writer, 1 << 20)
