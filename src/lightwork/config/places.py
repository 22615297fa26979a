"""Where this user's schedulers are: each tells it in a small file, for clients and watchers on this machine.

    <runtime directory>/schedulers/NAME.json    {"name", "address", "pid", "start", "state", "listen", "session"}

A file whose process is gone says nothing: it was killed. A private scheduler, which serves one session, has such a file
in its state directory as well, for who starts the next one there.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from lightwork.config import paths
from lightwork.kit.process import lives

_SUFFIX = ".json"
_FILE_MAX = 16 << 10


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One scheduler. `address`: of this user's own way in; `listen`: HOST:PORT, as others write it; `state`: its
    directory; `session`: the only one that it serves, "": any."""

    name: str
    address: str
    pid: int
    start: str  # of that process: kit.process
    state: str = ""
    listen: tuple[str, ...] = ()
    session: str = ""

    @property
    def lives(self) -> bool:
        """Whether its process does."""
        return lives(self.pid, self.start)


def find() -> list[Place]:
    """Those that are there now, by name."""
    try:
        files = sorted(directory().iterdir())
    except OSError:  # gone under our hands
        return []
    found = [read(path) for path in files if path.suffix == _SUFFIX and not path.name.startswith(".")]
    return [place for place in found if place is not None and place.lives]


def read(path: Path) -> Place | None:
    """What the file says, whether or not that process lives; None: there is none, or not one of ours."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_FILE_MAX), type=Place)
    except (OSError, msgspec.DecodeError):
        return None


def path_of(name: str) -> Path:
    """The file of the scheduler that is called so."""
    return directory() / f"{name}{_SUFFIX}"


def lock_of(name: str) -> Path:
    """The file that is locked as long as a scheduler is called so."""
    return directory() / f"{name}.lock"


def write(place: Place, path: Path | None = None) -> Path:
    """Whole or not at all, readable by this user alone; where. OSError: it cannot be."""
    path = path or path_of(place.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(place) + b"\n")
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return path


def remove(place: Place, path: Path | None = None) -> None:
    """It is not there any more; a file that has become another's stays."""
    path = path or path_of(place.name)
    if read(path) == place:
        path.unlink(missing_ok=True)


def directory() -> Path:
    """Where the files are."""
    return paths.private(paths.runtime_directory() / "schedulers")
