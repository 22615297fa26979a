"""What jobs and clients wrote down while it happened: the judge of everything.

Each line is one write() to a file that is open for appending, so it is there whole whoever is killed next. Times are
those of CLOCK_MONOTONIC, which all hosts of a lab share.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

SECOND = 1_000_000_000


class Run(NamedTuple):
    """One start of a job, and what it wrote before it was over. Times in ns; 0: it did not write that."""

    key: str
    host: str
    pid: int
    at: int
    end: int = 0  # it was about to return
    raises: int = 0
    dies: int = 0  # it was about to kill its own worker

    @property
    def last(self) -> int:
        """The last sign of its own that it was alive."""
        return self.end or self.raises or self.dies


class Delivery(NamedTuple):
    """An end that a client's program was given."""

    life: int
    key: str
    state: str
    again: bool
    value: list[object] | None
    attempts: int
    wrong: str
    error: str
    at: int


def runs(path: Path) -> dict[str, list[Run]]:
    """All starts, by the key of the job, in order."""
    found: dict[str, list[Run]] = {}
    for line in _lines(path):
        what, key, host, pid, at = line.split()
        mine = found.setdefault(key, [])
        if what == "START":
            mine.append(Run(key, host, int(pid), int(at)))
            continue
        for place in range(len(mine) - 1, -1, -1):
            if (mine[place].host, mine[place].pid) == (host, int(pid)):
                mine[place] = _with(mine[place], what, int(at))
                break
    return {key: sorted(mine, key=lambda run: run.at) for key, mine in found.items()}


def _with(run: Run, what: str, at: int) -> Run:
    if what == "END":
        return run._replace(end=at)
    return run._replace(raises=at) if what == "RAISES" else run._replace(dies=at)


def deliveries(path: Path) -> list[Delivery]:
    """All that a client's program was given, in order."""
    return [Delivery(**json.loads(line)) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    """Whole lines (the last one may be on its way)."""
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0].splitlines()
