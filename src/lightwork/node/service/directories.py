"""The node's own directory, and what an earlier agent left in it.

<node dir>/computations/<session>/<environment>/   files of computations; jobs' working directory
           jobs/<token>/                           working directories of single jobs
           spool/<token>/<n>                       files for the client
           blobs/<digest>                          cache of files, by content
           workers/<id>.ring                       shared files
           processes                               pid and start of every process we had
           kept/<scheduler>/                       what is a durable scheduler's: jobs, spool and workers of its own,
                            <n>.kept               and what is owed to it (kept.py); it outlives claims and agents
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from lightwork.node.service.job_user import JobUser, theirs
from lightwork.node.service.process_notes import MARK, ProcessNotes

KEPT = "kept"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class Directories:
    """Makes and removes them."""

    def __init__(self, root: Path, lasting: Path | None = None, user: JobUser | None = None) -> None:
        self.root = root
        self.user = user  # who jobs run as: what these can write is theirs, and none of ours can they read
        self._lasting = lasting or root  # what is relative in `dest_path` is below it, and outlives us
        self.jobs = root / "jobs"
        self.spool = root / "spool"
        self.blobs = root / "blobs"
        self.workers = root / "workers"
        self.computations = root / "computations"
        self.kept: Path | None = None  # where a durable scheduler's things are, if one has us
        self._processes = root / "processes"
        self.notes = ProcessNotes(self._processes)

    def make(self) -> None:
        """All of them, for this user alone."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.blobs.mkdir(mode=0o700, exist_ok=True)
        self._pass_through(self.workers)
        for path in (self.jobs, self.spool, self.computations):
            self._give(path)
        if self.user is not None and self._lasting != self.root:
            self._give(self._lasting)

    def _give(self, path: Path) -> None:
        """A directory that jobs may do with as they like."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.user is not None:
            self.user.give(path)

    def _pass_through(self, path: Path) -> None:
        """A directory of ours, below which something may be theirs."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user is not None:
            os.chmod(path, 0o711)

    def enter(self, scheduler: str) -> Path:
        """What comes from now on is this durable scheduler's, and kept apart. OSError: it cannot be."""
        self.kept = self.root / KEPT / tame(scheduler)
        self.jobs, self.spool, self.workers = (self.kept / name for name in ("jobs", "spool", "workers"))
        for path in (self.root / KEPT, self.kept, self.workers):
            self._pass_through(path)
        for path in (self.jobs, self.spool):
            self._give(path)
        return self.kept

    def computation(self, session: str, environment: str, dest_path: str) -> Path:
        """Where the files of an environment lie. A relative `dest_path` is below the node's lasting directory."""
        if dest_path:
            home = self.user.home if self.user is not None else os.path.expanduser("~")
            return self._lasting / os.path.expanduser(re.sub(r"^~(?=/|$)", lambda found: home, dest_path))
        return self.computations / safe(session) / safe(environment)

    def session(self, session: str) -> Path:
        """What a session has below `computations`."""
        return self.computations / safe(session)

    def job(self, token: int) -> Path:
        """A job's own working directory."""
        return self.jobs / str(token)

    def ring(self, number: int) -> Path:
        """A worker's shared file. The agent's own number keeps those of an earlier agent apart."""
        return self.workers / f"{os.getpid()}-{number}.ring"

    def noted_processes(self) -> list[tuple[int, str]]:
        """What our predecessor noted."""
        return [(int(name), start) for name, start in self._noted() if name.isdigit()]

    def noted_marks(self) -> set[str]:
        """What it, and those before it that had no successor, put into the environment of all that they started."""
        return {text for name, text in self._noted() if name == MARK}

    def _noted(self) -> list[tuple[str, str]]:
        try:
            lines = self._processes.read_text("ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        rows = [line.split() for line in lines]
        return [(row[0], row[1]) for row in rows if len(row) == 2]

    def stale_rings(self) -> Iterator[Path]:
        """Shared files that our predecessor left."""
        yield from sorted(self.workers.glob("*.ring"))

    def stale_jobs(self) -> set[int]:
        """Attempts of our predecessor that had a directory of their own."""
        return {int(path.name) for path in self.jobs.iterdir() if path.name.isdigit()}

    def forget_processes(self) -> None:
        """None of them is alive."""
        self.notes.close()
        self._processes.unlink(missing_ok=True)

    def clear_workers(self) -> None:
        """All of our processes are dead and their rings drained; those that are kept will be, by the next agent."""
        if self.kept is not None:
            self.forget_processes()
            return
        for child in self.workers.iterdir():
            with contextlib.suppress(OSError):  # what cannot be deleted must not keep the rest
                remove_tree(child)
        self._clear_theirs(self.jobs)
        self.forget_processes()

    def clear(self) -> None:
        """All but the cache, and what is beyond claims."""
        self.clear_workers()
        self._clear_theirs(self.computations, *(() if self.kept is not None else (self.spool,)))

    def clear_stale(self) -> None:
        """What belonged to jobs of our predecessor; the cache and the spool stay."""
        self._clear_theirs(self.jobs, self.computations)

    @theirs
    def _clear_theirs(self, *paths: Path) -> None:
        for path in paths:
            for child in path.iterdir():
                with contextlib.suppress(OSError):  # what cannot be deleted must not keep the rest
                    remove_tree(child)


def tame(name: str) -> str:
    """A name from the wire as the name of one directory, whatever it is."""
    return name if _SAFE.fullmatch(name) else f"x{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"


def safe(name: str) -> str:
    """A name from the wire as the name of one directory."""
    if not _SAFE.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a directory")
    return name


def remove_tree(path: Path) -> None:
    """Remove a directory whatever is in it; what cannot be removed stays, for it is no reason to stop."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, onerror=_make_writable)


def _make_writable(function: object, path: str, _: object) -> None:
    """A job may have left directories that even their owner may not change."""
    try:
        parent = os.path.dirname(path)
        os.chmod(parent, 0o700)
        os.chmod(path, 0o700, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except OSError:
        return  # another user's file, or gone meanwhile
