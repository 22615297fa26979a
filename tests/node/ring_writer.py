"""The worker's end of a shared file, for tests that need no worker."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightwork.wire.shared_file import FILE_SIZE, RingWriter


@contextmanager
def written(path: Path) -> Iterator[RingWriter]:
    """Mapped, until the end of the block."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), FILE_SIZE) as mapped, memoryview(mapped) as view:
        writer = RingWriter(view)
        with writer.words:
            yield writer
