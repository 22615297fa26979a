"""A progress bar on a terminal; nothing at all in a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self


class Bar:
    """`update(done, total)` as often as one likes; a context manager that leaves the terminal as it was."""

    def __init__(self, name: str, *, wanted: bool) -> None:
        self._progress: Any = None
        self._task: Any = None
        if wanted and sys.stderr is not None and sys.stderr.isatty():
            self._start(name)

    def _start(self, name: str) -> None:
        from rich.console import Console  # 47 ms that only a terminal pays
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console, redirect_stdout=False)
        self._task = self._progress.add_task(name, total=None)
        self._progress.start()

    def update(self, done: int, total: int | None) -> None:
        """So many of so many; `total` is None while nobody knows it."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
