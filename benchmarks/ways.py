"""Ways to run a cluster, each measured in a process of its own so that none warms another up."""

from __future__ import annotations

import os
import subprocess
import sys

WAYS: dict[str, dict[str, str]] = {
    "hosted, uvloop": {},
    "hosted, asyncio": {"LIGHTWORK_NO_UVLOOP": "1"},
    "apart, uvloop": {"LIGHTWORK_APART": "1"},
    "apart, asyncio": {"LIGHTWORK_APART": "1", "LIGHTWORK_NO_UVLOOP": "1"},
}


def measured(module: str, *arguments: str, way: str = "hosted, uvloop") -> list[float]:
    """The numbers that `python -m MODULE ARGUMENTS` prints."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env={**os.environ, **WAYS[way]}, stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def median(values: list[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]


def row(*cells: object, widths: tuple[int, ...] = (24, 14, 14, 14)) -> None:
    """One line of a table."""
    texts = [f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
    padded = (
        text.ljust(width) if not at else text.rjust(width)
        for at, (text, width) in enumerate(zip(texts, widths, strict=False))
    )
    print("".join(padded), flush=True)
