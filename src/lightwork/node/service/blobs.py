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
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from lightwork.node.service.incoming_blob import THREAD_FROM_BYTES, BlobError, IncomingBlob, Stream
from lightwork.wire.messages import File

__all__ = ["BlobError", "Blobs", "check_path", "copy", "is_same"]

FICLONE = 0x40049409
CACHE_MAX = 16 << 30  # what is more than this at the start goes, the oldest first


class Fetcher(Protocol):
    """Whoever fetches for us, whatever becomes of links (fetching.Fetching)."""

    def fetch(self, kind: str, name: str, sink: IncomingBlob) -> Stream:
        """Ask the scheduler for bytes."""


class Blobs:
    """The cache."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tidy()
        self._coming: dict[str, IncomingBlob] = {}
        self._drafts = 0
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

    async def have(self, files: Iterable[File], fetching: Fetcher) -> None:
        """Have all of these here, each fetched once whoever else wants it. BlobError, OSError: one cannot be had."""
        for file in files:
            check_path(file.path)
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
        sink.stream = fetching.fetch("blob", digest, sink)
        return sink

    def _tidy(self) -> None:
        """At the start, when nobody needs anything yet: no halves, and no more than there should be."""
        found, total = [], 0
        for path in self._directory.glob("*"):
            with contextlib.suppress(OSError):  # it is a cache: what cannot be deleted stays
                if path.name.startswith("."):
                    path.unlink()
                else:
                    known = path.stat()
                    found.append((known.st_mtime_ns, known.st_size, path))
                    total += known.st_size
        for _, size, path in sorted(found):
            if total <= CACHE_MAX:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size

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
    if sys.platform == "linux":
        import fcntl

        with open(source, "rb") as reader, open(target, "wb") as writer:
            try:
                fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            except OSError:  # this file system cannot
                pass
            else:
                return
    shutil.copyfile(source, target)  # in the kernel, where there is a way
