"""Where the computations of a session live on this node: one site per environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lightwork.model.session_key import name_of
from lightwork.node.core.interpreters import OWN
from lightwork.node.service.directories import Directories, remove_tree
from lightwork.node.service.interpreters import Interpreters
from lightwork.node.service.job_user import theirs
from lightwork.node.service.loading import Place
from lightwork.node.service.nursery import Key
from lightwork.wire.channel import LOAD, pack_frame
from lightwork.wire.messages import Computation
from lightwork.wire.outcome import encode_fields

LOADS_MAX = 64  # frames kept for the next worker


class Site:
    """The directory of an environment, and what was put there."""

    def __init__(self, key: Key, place: Place, ours: bool, new: bool) -> None:
        self.key = key
        self.place = place
        self.ours = ours  # the whole directory is; else (dest_path) only the files that we put there
        self.new = new  # we made it
        self.keep = False
        self.computations: dict[int, Computation] = {}  # by slot
        self.files: list[Path] = []
        self.python = OWN  # the number of the interpreter of its workers
        self.cleanup: tuple[int, Computation] | None = None  # who runs it: the slot that the template has, if any
        self._loads: dict[tuple[int, bool], bytes] = {}

    @property
    def directory(self) -> Path:
        """Where its jobs run."""
        return self.place.directory

    def load_frame(self, slot: int, computation: Computation, run_setup: bool) -> bytes:
        """The LOAD frame of a computation; many workers get the same."""
        frame = self._loads.get((slot, run_setup))
        if frame is None:
            self.computations[slot] = computation
            if self.cleanup is None:
                self.keep_for_cleanup(slot, computation)
            frame = pack_frame(LOAD, encode_fields(self.place.load(computation, run_setup)), slot)
            self._loads[slot, run_setup] = frame
            if len(self._loads) > LOADS_MAX:
                del self._loads[next(iter(self._loads))]
        return frame

    def keep_for_cleanup(self, slot: int, computation: Computation) -> None:
        """This is who runs the environment's cleanup, if there is one. (Its template, if there is one, has it.)"""
        self.computations[slot] = computation
        if computation.cleanup:
            self.cleanup = slot, computation

    def unload(self, slot: int) -> None:
        """The number is no longer this computation's."""
        self.computations.pop(slot, None)
        for run_setup in (False, True):
            self._loads.pop((slot, run_setup), None)

    def remove_files(self) -> list[str]:
        """Delete what is ours; what could not be deleted. (Not on the loop: there may be much.)"""
        if self.keep:
            return []
        if self.ours:
            return _removed(self.directory)
        problems = []
        for path in reversed(self.files):
            if path.is_symlink() or not path.is_dir():  # a directory in our file's place is the job's
                problems += _removed(path)
            for compiled in _compiled_from(path):
                problems += _removed(compiled)
                self._remove_empty(compiled.parent)
            self._remove_empty(path.parent)
        if self.new:
            with contextlib.suppress(OSError):  # jobs left something there: that is theirs
                os.rmdir(self.directory)
        return problems

    def _remove_empty(self, directory: Path) -> None:
        """Directories that we made for our files, as far as nobody else uses them."""
        while directory != self.directory and directory.is_relative_to(self.directory):
            try:
                os.rmdir(directory)
            except OSError:  # not empty
                return
            directory = directory.parent


def _compiled_from(path: Path) -> list[Path]:
    """What an import has written beside a module of ours."""
    return list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) if path.suffix == ".py" else []


class Sites:
    """All of this node."""

    def __init__(self, directories: Directories, node: str, interpreters: Interpreters) -> None:
        self._directories = directories
        self.user = directories.user
        self._node = node
        self._interpreters = interpreters
        self.address = ""
        self.file_max = 0  # bytes of a file that a job may send; 0: any number
        self._sites: dict[Key, Site] = {}

    def get(self, session: str, environment: str) -> Site | None:
        """The site of an environment, if there is one."""
        return self._sites.get((session, environment))

    def with_slot(self, slot: int) -> Site | None:
        """The site of a computation that some worker has loaded under this number."""
        return next((site for site in self._sites.values() if slot in site.computations), None)

    @theirs
    def make(self, session: str, environment: str, computation: Computation, python: int = OWN) -> Site:
        """The site of a computation that comes here. OSError: its directory cannot be made; ValueError: bad name."""
        key = (session, environment)
        site = self._sites.get(key)
        if site is None:
            name = computation.environment or computation.digest
            directory = self._directories.computation(session, name, computation.dest_path)
            new = not directory.exists()
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directories = self._directories
            lasting = directories.kept is not None
            place = Place(
                name_of(session), self._node, self.address, directory, directories.spool, lasting, self.file_max
            )
            site = self._sites[key] = Site(key, place, not computation.dest_path, new)
        site.keep = site.keep or computation.keep_files
        site.python, site.place.version = python, self._interpreters[python].version
        return site

    def of_session(self, session: str) -> list[Site]:
        """All of one session."""
        return [site for key, site in self._sites.items() if key[0] == session]

    def forget(self, session: str) -> None:
        """The session is over."""
        self._sites = {key: site for key, site in self._sites.items() if key[0] != session}

    def sessions(self) -> Iterator[str]:
        """Those that have sites here."""
        return iter(sorted({key[0] for key in self._sites}))

    @theirs
    def remove_session(self, session: str) -> list[str]:
        """Delete all that a session has here, and forget it; what could not be deleted. (Not on the loop.)"""
        sites = self.of_session(session)
        problems = [problem for site in sites for problem in site.remove_files()]
        if sites and not any(site.keep for site in sites):
            problems += _removed(self._directories.session(session))
        return problems


def _removed(path: Path) -> list[str]:
    try:
        remove_tree(path)
    except OSError as error:
        return [f"{path} could not be deleted: {error.strerror or error}"]
    return []
