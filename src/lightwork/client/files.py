"""Files that jobs send back: fetched as streams, written beside their place, checked, and then put there whole.

Names come from the wire, so they are never trusted: a file lands below the directory it belongs to, or nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lightwork.model.errors import ClusterError
from lightwork.transport.files import BytesSource, FileSink, FileSource
from lightwork.transport.link import Refusal, Sink
from lightwork.wire.messages import File
from lightwork.wire.streams import Source


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


def download(source: Fetcher, kind: str, name: str, file: File, base: Path, done: Done) -> None:
    """Fetch a file ("spool" TOKEN/N, "blob" by digest) to its path below `base`; `done` gets where, or why not."""

    def ended(reason: str) -> None:
        if reason:
            done(None, ClusterError(f"{file.path} could not be brought to {base}: {reason}"))
        else:
            if file.modified_ns > 0:
                os.utime(target, ns=(file.modified_ns, file.modified_ns))
            done(target, None)

    try:
        target = target_of(base, file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.fetch(kind, name, FileSink(target, ended, file.digest, file.mode & 0o777))
    except OSError as error:
        ended(error.strerror or str(error))
    except ClusterError as error:
        done(None, error)


def source_of(blob: str | bytes | None, name: str, offset: int) -> Source:
    """What answers a Fetch of `name`; a blob is a path here, or content."""
    if blob is None:
        return Refusal(f"the client has no file {name}")
    return BytesSource(blob, offset) if isinstance(blob, bytes) else FileSource(blob, offset)
