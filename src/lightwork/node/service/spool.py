"""Files on their way to the client: what jobs left (`outputs=`) and what they sent, until they are freed.

spool/<token>/<n>    the n-th file of the attempt's outputs
spool/<token>/s<n>   a file that it sent while it ran
spool/<token>/value  what it returned, where shared memory had no room for it; then <n>, behind its outputs
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from lightwork.node.service.directories import remove_tree
from lightwork.node.service.job_directories import JobDirectories
from lightwork.transport.files import FileSource
from lightwork.wire.messages import File
from lightwork.wire.outcome import VALUE_FILE
from lightwork.wire.streams import SourceFailed

FILES_MAX = 10_000
_NAME = re.compile(r"\d+/s?\d+")
_PIECE = 1 << 20


class Spool:
    """The directory of such files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._told = set(self._there())  # attempts whose files somebody knows of, and will free

    def _there(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._directory) if name.isdecimal()]
        except FileNotFoundError:
            return []

    def source(self, name: str, offset: int) -> FileSource:
        """What a Fetch asks for. SourceFailed: there is no such file."""
        if not _NAME.fullmatch(name):
            raise SourceFailed(f"{name!r} names no file of the spool")
        if not (self._directory / name).is_file():
            raise SourceFailed(f"the file {name} is not in the spool")
        return FileSource(self._directory / name, offset)

    def free(self, tokens: Iterable[int]) -> None:
        """Nobody needs the files of these attempts any more."""
        for token in tokens:
            self._told.discard(token)
            with contextlib.suppress(OSError):  # what cannot be deleted must not keep the rest
                remove_tree(self._directory / str(token))

    def left_over(self, alive: set[int]) -> list[int]:
        """Attempts that left something here, are dead, and are known to nobody: they died while they wrote it."""
        return [token for token in self._there() if token not in alive and token not in self._told]

    def clear(self) -> None:
        """Nobody will ask for anything here."""
        self.free(self._there())

    def adopt_value(self, token: int, name: str) -> int:
        """What the attempt returned lies here as a file: it is called `name` from now on. Its size. OSError."""
        self._told.add(token)
        os.replace(self._directory / str(token) / VALUE_FILE, self._directory / name)
        return os.path.getsize(self._directory / name)

    def collect(self, token: int, jobs: JobDirectories, patterns: Iterable[str]) -> list[File]:
        """Move what an attempt left in its directory here. (Reads it all for the digests: not on the loop.)"""
        found = []
        home, directory = self._directory / str(token), jobs.of(token)
        for number, path in enumerate(jobs.made_by_job(token, matching(directory, patterns))):
            home.mkdir(exist_ok=True)
            target = home / str(number)
            os.replace(path, target)
            found.append(describe(target, path.relative_to(directory).as_posix()))
            self._told.add(token)
        return found

    def sent(self, token: int, path: str, spooled: Path) -> tuple[str, File]:
        """Name and description of a file that a worker copied into the spool. (Reads it all.)"""
        name = f"{token}/s{int(spooled.name)}"
        self._told.add(token)
        target = self._directory / name
        os.replace(spooled, target)
        return name, describe(target, path)


def matching(directory: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Plain files in a directory that match, each once. Links are not followed: they may point anywhere."""
    seen: set[Path] = set()
    for pattern in patterns:
        parts = PurePosixPath(pattern).parts
        if not parts or parts[0] == "/" or ".." in parts:
            continue  # the client has refused such a pattern long ago
        for path in sorted(directory.glob(pattern)):
            if path not in seen and len(seen) < FILES_MAX and stat.S_ISREG(os.lstat(path).st_mode):
                if path.resolve() == directory.resolve() / path.relative_to(directory):
                    seen.add(path)
                    yield path


def describe(path: Path, name: str) -> File:
    """A file as messages speak of it."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
        found = os.fstat(file.fileno())
    return File(name, digest.hexdigest(), found.st_size, stat.S_IMODE(found.st_mode), found.st_mtime_ns)
