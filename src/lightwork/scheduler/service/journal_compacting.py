"""When the journal is compacted, and by whom: a child process that disturbs nobody (see `compaction`)."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from lightwork.config import limits
from lightwork.kit import text
from lightwork.kit.tasks import spawn, stop

log = logging.getLogger(__name__)

GROWTH = 2  # times what the last one left


class Compacting:
    """At most one compaction at a time."""

    def __init__(self, directory: Path, adopt: Callable[[str, int], None]) -> None:
        self._directory = directory
        self._adopt = adopt  # (name of the complete file, row up to which it has all)
        self._next = 0  # size from which on it is worth it
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    def begin(self, left: int) -> None:
        """The last compaction left so many bytes."""
        self._next = max(limits.JOURNAL_COMPACTED_FROM, GROWTH * left)

    def look(self, row: int, size: int) -> None:
        """The journal has grown."""
        if size > self._next and not self._busy:
            self._busy = True
            self._next = GROWTH * size  # if it comes to nothing
            self._task = spawn(self._compact(row), "compact the journal")

    def adopted(self, left: int) -> None:
        """The compacted file is the journal."""
        self._busy = False
        self.begin(left)
        log.debug("the journal was compacted to %s", text.size(left))

    def abandoned(self, why: str) -> None:
        """It is not; the next try is when the journal has doubled."""
        self._busy = False
        log.warning("the journal was not compacted: %s", why)

    async def stop(self) -> None:
        """Nothing of it goes on."""
        if self._task is not None:
            await stop(self._task)

    async def _compact(self, upto: int) -> None:
        command = [
            sys.executable,
            "-P",
            "-m",
            "lightwork.scheduler.service.compaction",
            str(self._directory),
            str(upto),
        ]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            self.abandoned(str(error))
            return
        try:
            assert process.stdout is not None
            said = (await process.stdout.read()).decode().strip()
            code = await process.wait()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise
        if code or not said:
            self.abandoned(said or f"its process ended with code {code}")
        else:
            self._adopt(said, upto)
