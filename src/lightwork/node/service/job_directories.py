"""Working directories of single jobs: for those that leave outputs, or bring files of their own.

The files of the computation are there as well, as links to the one copy that all its jobs share; where the system has
no links, as copies. A directory is linked as a whole, unless the job brings files of its own for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lightwork.node.core.dispatch import needs_directory
from lightwork.node.service.blobs import Blobs, is_same
from lightwork.node.service.directories import Directories, remove_tree
from lightwork.node.service.job_user import theirs
from lightwork.transport.files import read_plain
from lightwork.wire.messages import File, JobOptions

_decode_note = msgspec.msgpack.Decoder(tuple[tuple[str, ...], tuple[File, ...]]).decode
OURS = ".lightwork"  # below it lie modules, which are found by sys.path


class JobDirectories:
    """Makes them, remembers what was put there, removes them."""

    def __init__(self, directories: Directories, blobs: Blobs) -> None:
        self._directories = directories
        self.user = directories.user
        self._blobs = blobs
        self._brought: dict[int, tuple[File, ...]] = {}
        self.noted = False  # what is to be done with the directory is written down, for a successor

    def make(self, token: int, options: JobOptions, shared: Iterable[File], home: Path) -> Path | None:
        """The directory of an attempt, if it needs one. `shared`: files of its computation, which lie in `home`.

        OSError, BlobError.
        """
        if not needs_directory(options):
            return None
        directory = self._directories.job(token)
        self._lay_out(token, options, shared, home, directory)
        self._blobs.place_now(options.files, directory)
        if options.files:
            self._brought[token] = options.files
        return directory

    @theirs
    def _lay_out(self, token: int, options: JobOptions, shared: Iterable[File], home: Path, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        if self.noted:
            self._note_of(token).write_bytes(msgspec.msgpack.encode((options.outputs, options.files)))
        own = {file.path for file in options.files}
        for path in _links([file.path for file in shared], own):
            _link(home / path, directory / path)

    def of(self, token: int) -> Path:
        """Where the attempt's directory is, or would be."""
        return self._directories.job(token)

    @theirs
    def made_by_job(self, token: int, paths: Iterable[Path]) -> list[Path]:
        """Without those that the job was given and left as they were."""
        directory = self._directories.job(token)
        brought = {directory / file.path: file for file in self._brought.get(token, ())}
        return [path for path in paths if path not in brought or not is_same(path, brought[path])]

    @theirs
    def forget(self, token: int) -> None:
        """The attempt is over. (Not on the loop: there may be much.)"""
        self._brought.pop(token, None)
        remove_tree(self._directories.job(token))
        if self.noted:
            self._note_of(token).unlink(missing_ok=True)

    @theirs
    def outputs_before(self, token: int) -> tuple[str, ...]:
        """What a predecessor was to collect from this attempt's directory."""
        try:
            outputs, files = _decode_note(read_plain(self._note_of(token)))
        except (OSError, msgspec.DecodeError):  # it had no directory, or all is done, or it never ran
            return ()
        self._brought[token] = files
        return outputs

    def _note_of(self, token: int) -> Path:
        return self._directories.jobs / f"{token}.note"


def _links(shared: Iterable[str], own: set[str]) -> list[str]:
    """What to link so that all of `shared` is there, and no directory is linked that gets files of `own`."""
    split = {parent for path in own for parent in _above(path)}
    found: dict[str, None] = {}
    for path in shared:
        if path in own or path.startswith(OURS + "/"):
            continue
        whole = next((parent for parent in _above(path) if parent not in split), path)
        found[whole] = None
    return list(found)


def _above(path: str) -> list[str]:
    """The directories that a path lies in, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts) - 1)]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(source, target, target_is_directory=source.is_dir())
    except FileExistsError:  # the attempt's frame was made twice
        return
    except OSError:  # not allowed here: on Windows it is a privilege
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
