"""Which process has the directory of a node: for who wants to stop it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lightwork.config import paths
from lightwork.kit.process import lives, start_of
from lightwork.node.service.small_files import read_text, write_text

PROCESS = "process"  # the file in the node's directory


def note_process(directory: Path, pid: int) -> None:
    """This process has the directory. OSError."""
    write_text(directory / PROCESS, f"{pid} {start_of(pid)}")


def process_of(name: str, base: Path | None = None) -> int:
    """The pid of the node that is called so; 0: none runs. `base`: of those whose owner has named this directory."""
    for shared in (False, True) if sys.platform != "win32" and os.geteuid() == 0 else (False,):
        number, _, start = read_text(paths.node_directory(name, shared=shared, base=base) / PROCESS).partition(" ")
        if number.isdecimal() and lives(int(number), start):
            return int(number)
    return 0
