"""What a durable scheduler has on disk: the directory and its lock, the journal, the ledger out of it, the blobs."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lightwork.kit.owner_log import OwnerLog
from lightwork.model.errors import StartFailed
from lightwork.scheduler.core.ledger import Ledger
from lightwork.scheduler.service.durable import DurableScheduler
from lightwork.scheduler.service.journal import Journal
from lightwork.store.blobs import Blobs
from lightwork.store.state_directory import StateDirectory

LOCK = "lock"  # the last file to go
ROOM = "room"
FAULT = "it is no damage, but a fault of the scheduler: keep a copy of the directory, and report it"

Failed = Callable[[str], None]


class DurableState:
    """Taken, then read, then served to one scheduler, at last closed."""

    def __init__(self, path: Path, failed: Failed, log: OwnerLog) -> None:
        """InUse: another scheduler has it. StartFailed: nothing can be kept there."""
        self._directory = StateDirectory(path)
        self.path = self._directory.path
        self.ledger = Ledger()
        self.journal: Journal
        try:
            self.blobs = Blobs(self._directory.blobs)
        except OSError as error:
            self._directory.close()
            raise StartFailed(f"cannot use {self._directory.blobs}: {error.strerror or error}") from error
        self._failed = failed
        self._log = log
        self._open = False
        self._scheduler: DurableScheduler | None = None
        self._full = False
        self._begun = asyncio.Event()  # the first fact of this life is on disk

    async def read(self) -> None:
        """All that earlier lives have written. StartFailed: it cannot be had, or is damaged."""
        self.journal = await Journal.open(
            self._directory, on_durable=self._durable, on_full=self._on_full, on_failed=self._on_failed
        )
        self._open = True
        if self.journal.torn:
            self._log.say(self.journal.torn)
        number = 0
        try:
            for fact in self.journal.facts():
                number += 1
                self.ledger.apply(fact)
        except (KeyError, IndexError, ValueError) as error:
            what = f"record {number:,} of the journal in {self.path} does not follow from those before it"
            raise StartFailed(f"{what}: {type(error).__name__} {error}", hint=FAULT) from error
        self.ledger.identity = self._directory.identity

    def serve(self, scheduler: DurableScheduler) -> None:
        """From now on it hears what is durable."""
        self._scheduler = scheduler
        if self._full:
            scheduler.full(True)

    async def begun(self) -> None:
        """Nobody may hear of this life before its epoch is on disk."""
        await self._begun.wait()

    def tidy(self) -> None:
        """Blobs that no fact speaks of any more go. Before anybody can bring new ones."""
        self.blobs.remove_except({file.digest for file in self.ledger.files()})

    async def close(self, *, discard: bool = False) -> None:
        """All that was recorded is on disk; `discard`: nobody wants it any more, and nothing is left."""
        if self._open:
            await self.journal.close()
        if discard:
            await asyncio.get_running_loop().run_in_executor(None, empty, self.path)
        self._directory.close(remove=discard)

    # --- what the journal tells ---

    def _durable(self, number: int) -> None:
        self._begun.set()
        if self._scheduler is not None:
            self._scheduler.durable(number)

    def _on_full(self, full: bool) -> None:
        self._full = full
        text = "the disk is full: no jobs are taken" if full else "there is room on the disk again: jobs are taken"
        self._log.say(f"{self.path}: {text}", ROOM)
        if self._scheduler is not None:
            self._scheduler.full(full)

    def _on_failed(self, sentence: str) -> None:
        self._failed(sentence)


def empty(directory: Path) -> None:
    """All but the lock goes."""
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif entry.name != LOCK:
            Path(entry.path).unlink(missing_ok=True)
