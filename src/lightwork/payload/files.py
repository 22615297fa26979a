"""Files that travel: where each lies on the node, and what is in it.

Below the current directory a file keeps its relative path, any other is flattened to its name; a directory is taken
whole, and keeps its inner paths. Links are followed for their content. Two files for one path are an error.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from lightwork.model.errors import UserError
from lightwork.wire.messages import File

DIGEST_SIZE = 16
KEPT_MAX = 64 << 10  # smaller files are kept in memory: what is edited after the cluster was made changes nothing

Blob = str | bytes  # a path here, or the content


class FileSet:
    """Files by their path on the node: `files` goes over the wire, Fetch(kind="blob") is served from `blobs`."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.blobs: dict[str, Blob] = {}
        self._origins: dict[str, str] = {}

    def add_path(self, path: str) -> None:
        """A file, or a directory with all that is below it, as the user named it."""
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            raise _missing(path, error) from None
        place = place_of(path)
        if not stat.S_ISDIR(mode):
            self.add_file(path, place)
            return
        for inner in sorted(files_below(path)):
            self.add_file(os.path.join(path, inner), "/".join(filter(None, (place, inner.replace(os.sep, "/")))))

    def add_file(self, path: str, place: str, mode: int | None = None) -> File:
        """One file that shall lie at `place`, a relative path with `/`."""
        try:
            described = os.stat(path)
            if not stat.S_ISREG(described.st_mode):
                raise UserError(f"'{path}' is not a regular file, so it cannot be sent.")
            digest, kept = read_digest(path)
        except OSError as error:
            raise _missing(path, error) from None
        mode = stat.S_IMODE(described.st_mode) & 0o777 if mode is None else mode
        file = File(place, digest, described.st_size, mode, described.st_mtime_ns)
        self._put(file, os.path.abspath(path), kept if kept is not None else os.path.abspath(path))
        return file

    def add_content(self, content: bytes, place: str) -> None:
        """A file that exists nowhere yet."""
        digest = hashlib.blake2b(content, digest_size=DIGEST_SIZE).hexdigest()
        self._put(File(place, digest, len(content)), f"the content of {place}", content)

    def _put(self, file: File, origin: str, blob: Blob) -> None:
        earlier = self.files.get(file.path)
        if earlier is not None and earlier.digest != file.digest:
            raise UserError(
                f"'{self._origins[file.path]}' and '{origin}' would both be '{file.path}' on the node.",
                hint="files outside of the current directory lose their directories; rename one, or send the directory",
            )
        self.files[file.path] = file
        self.blobs[file.digest] = blob
        self._origins[file.path] = origin


def place_of(path: str) -> str:
    """Where a file or directory that the user named lies on the node; "" for the current directory itself."""
    absolute, here = os.path.abspath(path), os.getcwd()
    for place, base in ((absolute, here), (os.path.realpath(absolute), os.path.realpath(here))):
        if os.path.normcase(place) == os.path.normcase(base):
            return ""
        if os.path.normcase(place).startswith(os.path.normcase(base).rstrip(os.sep) + os.sep):
            return os.path.relpath(place, base).replace(os.sep, "/")
    return os.path.basename(absolute)


def read_digest(path: str) -> tuple[str, bytes | None]:
    """A file's digest, and its content if it is small."""
    with open(path, "rb") as file:
        first = file.read(KEPT_MAX + 1)
        state = hashlib.blake2b(first, digest_size=DIGEST_SIZE)
        if len(first) <= KEPT_MAX:
            return state.hexdigest(), first
        buffer = memoryview(bytearray(1 << 20))
        while size := file.readinto(buffer):
            state.update(buffer[:size])
    return state.hexdigest(), None


def files_below(top: str) -> Iterator[str]:
    """Relative paths of all files below a directory, links followed, loops cut."""
    above: dict[str, frozenset[str]] = {top: frozenset()}
    for directory, below, names in os.walk(top, followlinks=True):
        real, parents = os.path.realpath(directory), above.pop(directory)
        if real in parents:
            below.clear()
            continue
        above.update((os.path.join(directory, name), parents | {real}) for name in below)
        yield from (os.path.relpath(os.path.join(directory, name), top) for name in names)


def _missing(path: str, error: OSError) -> UserError:
    if isinstance(error, FileNotFoundError):
        shown = os.path.abspath(path)
        linked = f" (a link to '{os.readlink(path)}')" if os.path.islink(path) else ""
        return UserError(
            f"the file '{path}' that jobs depend on does not exist{linked}.", hint=f"looked for it at {shown}"
        )
    return UserError(f"the file '{path}' that jobs depend on cannot be read: {error.strerror or error}.")
