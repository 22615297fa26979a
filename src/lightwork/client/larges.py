"""Large arguments on their way to a durable scheduler: copies, for the program may change what it submitted.

They are fetched (`Fetch` "argument", by the job's number) before the job counts as accepted, over any number of links.
Memory while they are few; beyond that files without a name, mapped.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Iterable

from lightwork.kit.text import size as sized
from lightwork.model.errors import ArenaFull
from lightwork.payload.gather import LargePayload
from lightwork.store.arena import default_capacity
from lightwork.transport.files import BytesSource
from lightwork.wire.streams import Refusal, Source


class Larges:
    """Of one session."""

    def __init__(self, memory_max: int = 0) -> None:
        self._most = memory_max or default_capacity() // 2
        self._lock = threading.Lock()
        self._kept: dict[int, memoryview] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._kept)

    def copy(self, payload: LargePayload) -> memoryview:
        """The payload in memory of its own."""
        size = payload.size
        try:
            view = memoryview(_mapped(size) if self._held + size > self._most else mmap.mmap(-1, size))
            payload.write_into(view)
        except (OSError, ValueError, OverflowError, MemoryError) as error:
            raise ArenaFull(f"There is no room for arguments of {sized(size)}: {error}") from None
        return view.toreadonly()

    def keep(self, number: int, view: memoryview) -> None:
        """They are this job's."""
        with self._lock:
            self._kept[number] = view
            self._held += len(view)

    def drop(self, numbers: Iterable[int]) -> None:
        """The scheduler has those of these jobs, or does not want them any more."""
        with self._lock:
            for number in numbers:
                view = self._kept.pop(number, None)
                if view is not None:
                    self._held -= len(view)

    def source(self, name: str, offset: int) -> Source:
        """What answers a Fetch."""
        view = self._kept.get(int(name)) if name.isdecimal() else None
        if view is None:
            return Refusal(f"the client does not keep the arguments of job {name} any more")
        return BytesSource(view, offset)


def _mapped(size: int) -> mmap.mmap:
    """Of a file without a name. Its room is there before it is written to: a full disk is an error, and no signal."""
    with tempfile.TemporaryFile(buffering=0) as file:
        if sys.platform != "win32" and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return mmap.mmap(file.fileno(), size)
