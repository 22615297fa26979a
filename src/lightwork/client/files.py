"""Files that jobs send back: fetched as streams, written beside their place, checked, and then put there whole.

Names come from the wire, so they are never trusted: a file lands below the directory it belongs to, or nowhere.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from lightwork.model.errors import ClusterError
from lightwork.transport.files import BytesSource, FileSink, FileSource
from lightwork.transport.link import Sink
from lightwork.wire.messages import File
from lightwork.wire.streams import Refusal, Source


class Fetcher(Protocol):
    """Brings bytes from the scheduler: a link, or what goes on over several."""

    def fetch(self, kind: str, name: str, sink: Sink) -> object:
        """Ask for them."""


Done = Callable[[Path | None, ClusterError | None], None]

_UNSAFE = '<>:"/\\|?*\0'


def target_of(base: Path, relative: str) -> Path:
    """Where a file goes; raises ClusterError if that is not below `base`."""
    parts = relative.split("/")
    foreign = os.name == "nt" and any(letter in relative for letter in ':\\<>"|?*')
    if foreign or "\0" in relative or any(part in ("", ".", "..") for part in parts):
        raise ClusterError(f"a job sent a file to {relative!r}, which is no relative path; it was not written")
    place = base
    for part in parts[:-1]:
        place = place / part
        if place.is_symlink():
            raise ClusterError(f"a job sent a file to {relative!r}, but {place} is a link; it was not written")
    return place / parts[-1]


def directory_name(job_id: object, number: int) -> str:
    """The name of a job's own directory, from the id that the user gave it."""
    name = "".join("_" if letter in _UNSAFE or not letter.isprintable() else letter for letter in str(job_id))
    return name[:200] if name.strip(" .") else str(number)


class Places:
    """Where files are on their way to. Of several for one place the last one stays, whichever is whole first."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._coming: dict[Path, set[int]] = {}
        self._newest: dict[Path, int] = {}  # that is there, as long as others are on their way

    def expect(self, target: Path) -> int:
        """One more, sent after all others; its number."""
        number = next(self._numbers)
        self._coming.setdefault(target, set()).add(number)
        return number

    def wants(self, target: Path, number: int) -> bool:
        """Whether no later one is there."""
        return number > self._newest.get(target, 0)

    def over(self, target: Path, number: int, *, placed: bool) -> None:
        """It is not on its way any more."""
        coming = self._coming[target]
        coming.discard(number)
        if placed:
            self._newest[target] = number
        if not coming:
            del self._coming[target]
            self._newest.pop(target, None)


def download(source: Fetcher, kind: str, name: str, file: File, base: Path, places: Places, done: Done) -> None:
    """Fetch a file ("spool" TOKEN/N, "blob" by digest) to its path below `base`; `done` gets where, or why not."""

    def ended(reason: str) -> None:
        placed = not reason and places.wants(target, number)
        places.over(target, number, placed=placed)
        if reason:
            done(None, ClusterError(f"{file.path} could not be brought to {base}: {reason}"))
        else:
            if placed and file.modified_ns > 0:
                os.utime(target, ns=(file.modified_ns, file.modified_ns))
            done(target, None)

    try:
        target = target_of(base, file.path)
        number = places.expect(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        wanted = partial(places.wants, target, number)
        source.fetch(kind, name, FileSink(target, ended, file.digest, file.mode & 0o777, wanted))
    except OSError as error:
        ended(error.strerror or str(error))
    except ClusterError as error:
        done(None, error)


def source_of(blob: str | bytes | None, name: str, offset: int) -> Source:
    """What answers a Fetch of `name`; a blob is a path here, or content."""
    if blob is None:
        return Refusal(f"the client has no file {name}")
    return BytesSource(blob, offset) if isinstance(blob, bytes) else FileSource(blob, offset)
