"""The directory of a node program: found by its name, kept by a lock, known by its identity.

<node directory>/identity   random, made once: by it a scheduler knows the node again after a restart
                 claim      the session of the scheduler that has us; gone when the claim is over
                 epochs     the latest life of each durable scheduler that was here
                 era        era.py
                 process    of the program that has the directory: own_process.py
                 dest/      where relative `dest_path`s are, beyond claims
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

import msgspec

from lightwork.config import paths
from lightwork.model.errors import StartFailed
from lightwork.node.core.tenure import Epochs
from lightwork.node.service.era import Era
from lightwork.node.service.lock import Lock
from lightwork.node.service.own_process import note_process, process_of
from lightwork.node.service.small_files import read_text, write_text

LOCK_NAME = "node.lock"
SEVERAL_MAX = 1000
_IDENTITY = re.compile(r"[0-9a-f]{32}")


class Home:
    """A directory that is ours as long as this process lives."""

    def __init__(self, name: str, directory: Path, lock: Lock) -> None:
        self.name = name
        self.directory = directory
        self._lock = lock
        self._claim = directory / "claim"
        self.identity = self._make_identity()
        self.era = Era(directory / "era")
        self.last_session = read_text(self._claim)  # of a predecessor that was killed within a claim
        self.lasting = directory / "dest"
        self._epochs_file = directory / "epochs"
        self.epochs = Epochs(_read_epochs(self._epochs_file))

    def claimed(self, session: str) -> None:
        """A scheduler has us."""
        with contextlib.suppress(OSError):  # no room: then nobody is told what was left, if we are killed
            write_text(self._claim, session)

    def seen(self, scheduler: str, epoch: int) -> None:
        """This life of a durable scheduler is here: none before it is obeyed any more."""
        if self.epochs.note(scheduler, epoch):
            with contextlib.suppress(OSError):  # no room: then it is known as long as we live
                write_text(self._epochs_file, msgspec.json.encode(self.epochs.seen).decode())

    def freed(self) -> None:
        """Nobody has."""
        self.last_session = ""
        with contextlib.suppress(OSError):  # as above
            self._claim.unlink(missing_ok=True)

    def leave(self) -> None:
        """Another may have the directory."""
        self._lock.release()

    def _make_identity(self) -> str:
        path = self.directory / "identity"
        found = read_text(path)
        if not _IDENTITY.fullmatch(found):
            found = secrets.token_hex(16)
            write_text(path, found)
        return found


def take_home(name: str = "", *, single: bool = False, shared: bool = False, base: Path | None = None) -> Home:
    """The directory of the node `name`, or of NAME-2, NAME-3... if there are such nodes here already; `shared`: with
    jobs of another user; `base`: below this one. StartFailed: there is such a node, and ours is to be the only one."""
    name = name or paths.node_name()
    for number in range(1, SEVERAL_MAX):
        called = paths.further_name(name, number)
        directory = paths.node_directory(called, shared=shared, base=base)
        lock = Lock(directory / LOCK_NAME)
        try:
            lock.take()
        except StartFailed:
            if single:
                raise StartFailed(f"node {name} runs here already as process {process_of(name, base)}") from None
            continue
        note_process(directory, os.getpid())
        return Home(called, directory, lock)
    raise StartFailed(f"there are {SEVERAL_MAX:,} nodes called {name} on this machine")


def home_in(directory: str, name: str) -> Home:
    """Just this directory, for a node that is called `name`. StartFailed: another lives there."""
    path = paths.node_directory(directory)
    lock = Lock(path / LOCK_NAME)
    lock.take()
    return Home(name, path, lock)


def _read_epochs(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(read_text(path) or "{}", type=dict[str, int])
    except msgspec.DecodeError:  # not ours
        return {}
