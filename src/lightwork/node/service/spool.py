"""Files on their way to the client: what jobs left (`outputs=`) and what they sent, until they are freed.

spool/<token>/<n>    the n-th file of the attempt's outputs
spool/<token>/new<n> a file that it sends while it runs; then s<n>
spool/<token>/value  what it returned, where shared memory had no room for it; then <n>, behind its outputs

If all this is to outlive an agent that is killed, it also says what files are called: `names` (of outputs, before the
first is moved), `new<n>.name`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from lightwork.node.service.blobs import check_size
from lightwork.node.service.directories import remove_tree
from lightwork.node.service.job_directories import JobDirectories
from lightwork.node.service.job_user import JobUser, acting_as, theirs
from lightwork.transport.files import FileSource, open_plain, read_plain
from lightwork.wire.messages import File
from lightwork.wire.outcome import NAME_SUFFIX, NEW_FILE, VALUE_FILE
from lightwork.wire.streams import SourceFailed

FILES_MAX = 10_000
_NAME = re.compile(r"\d+/s?\d+")
_PIECE = 1 << 20


class Spool:
    """The directory of such files."""

    def __init__(self, directory: Path, user: JobUser | None = None, file_max: int = 0) -> None:
        self._directory = directory
        self.user = user
        self._file_max = file_max
        self._lasting = False
        self._told = set(self._there())  # attempts whose files somebody knows of, and will free

    def move(self, directory: Path) -> None:
        """From now on it is there, and to last."""
        self._directory, self._lasting = directory, True
        self._told = set(self._there())

    def told_of(self, tokens: Iterable[int]) -> list[int]:
        """Those of these attempts whose files somebody knows of: nearly always none."""
        return [token for token in tokens if token in self._told] if self._told else []

    def tokens(self) -> list[int]:
        """Attempts of which something is here."""
        return self._there()

    @theirs
    def _there(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._directory) if name.isdecimal()]
        except FileNotFoundError:
            return []

    @theirs
    def source(self, name: str, offset: int) -> FileSource:
        """What a Fetch asks for. SourceFailed: there is no such file."""
        if not _NAME.fullmatch(name):
            raise SourceFailed(f"{name!r} names no file of the spool")
        if not (self._directory / name).is_file():
            raise SourceFailed(f"the file {name} is not in the spool")
        path = self._directory / name
        return FileSource(path, offset) if self.user is None else _TheirFile(path, offset, self.user)

    @theirs
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

    @theirs
    def adopt_value(self, token: int, name: str) -> int:
        """What the attempt returned lies here as a file: it is called `name` from now on. Its size. OSError."""
        self._told.add(token)
        os.replace(self._directory / str(token) / VALUE_FILE, self._directory / name)
        return os.path.getsize(self._directory / name)

    @theirs
    def collect(self, token: int, jobs: JobDirectories, patterns: Iterable[str]) -> list[File]:
        """Move what an attempt left in its directory here. (Reads it all for the digests: not on the loop.)

        OSError; TooLarge: there is one that this node does not send, so it sends none."""
        directory = jobs.of(token)
        made = jobs.made_by_job(token, matching(directory, patterns))
        for path in made if self._file_max else ():
            check_size(path.relative_to(directory).as_posix(), path.stat().st_size, self._file_max)
        names = [path.relative_to(directory).as_posix() for path in made]
        if names:
            self._told.add(token)
            (self._directory / str(token)).mkdir(exist_ok=True)
        if names and self._lasting:
            self._names_of(token).write_bytes(msgspec.json.encode(names))
        return self._collect(token, directory, names)

    @theirs
    def collect_again(self, token: int, jobs: JobDirectories, patterns: Iterable[str]) -> list[File]:
        """As `collect`, after somebody who may have been killed in the middle of it."""
        try:
            names = msgspec.json.decode(read_plain(self._names_of(token)), type=list[str])
        except (FileNotFoundError, msgspec.DecodeError):  # it was not begun, or nothing was moved yet
            return self.collect(token, jobs, patterns)
        return self._collect(token, jobs.of(token), names)

    def _names_of(self, token: int) -> Path:
        return self._directory / str(token) / "names"

    def _collect(self, token: int, directory: Path, names: list[str]) -> list[File]:
        found = []
        for number, name in enumerate(names):
            target = self._directory / str(token) / str(number)
            if not target.exists():
                os.replace(directory / name, target)
            found.append(describe(target, name))
        return found

    @theirs
    def sent(self, token: int, path: str, spooled: Path) -> tuple[str, File]:
        """Name and description of a file that a worker copied into the spool. (Reads it all.)"""
        name = f"{token}/s{int(spooled.name.removeprefix(NEW_FILE))}"
        self._told.add(token)
        target = self._directory / name
        os.replace(spooled, target)
        return name, describe(target, path)

    @theirs
    def sent_before(self, token: int) -> list[tuple[str, File]]:
        """All files that an attempt has sent, as `sent` tells them: after somebody who may not have told them."""
        return list(self._sent_before(token))

    def _sent_before(self, token: int) -> Iterator[tuple[str, File]]:
        home = self._directory / str(token)
        for named in sorted(home.glob(f"{NEW_FILE}*{NAME_SUFFIX}")):
            number = named.name[len(NEW_FILE) : -len(NAME_SUFFIX)]
            fresh, target = home / f"{NEW_FILE}{number}", home / f"s{number}"
            path = os.fsdecode(read_plain(named))
            if fresh.exists():
                yield self.sent(token, path, fresh)
            elif target.exists():
                yield f"{token}/{target.name}", describe(target, path)

    @theirs
    def value_before(self, token: int, name: str) -> int:
        """As `adopt_value`, after somebody who may have done it. OSError."""
        if (self._directory / name).exists():
            self._told.add(token)
            return os.path.getsize(self._directory / name)
        return self.adopt_value(token, name)


class _TheirFile(FileSource):
    """A file that a job may have replaced by a link to one of ours."""

    def __init__(self, path: Path, offset: int, user: JobUser) -> None:
        super().__init__(path, offset)
        self._user = user

    def read(self, size: int) -> bytes:
        """The next bytes of the file."""
        with acting_as(self._user):
            return super().read(size)


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
    with open_plain(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
        found = os.fstat(file.fileno())
    return File(name, digest.hexdigest(), found.st_size, stat.S_IMODE(found.st_mode), found.st_mtime_ns)
