"""For how long a node knows of every attempt whether it had started: as long as its directory and its power last.

The file `era` holds a random name, and which boot of the machine it belongs to. A scheduler that finds the name changed
takes nothing for granted: what may have started here and is not told of is lost.
"""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path

from lightwork.node.service.small_files import read_text, write_text

_NAME = re.compile(r"[0-9a-f]{32}")
_CLOCK_MOVED_S = 60.0  # where a boot is known by its time, that follows a clock which people set


class Era:
    """Of one directory."""

    def __init__(self, path: Path, boot: str = "") -> None:
        self._path = path
        self._boot = boot or _boot()
        name, _, boot = read_text(path).partition("\n")
        self.name = name if _NAME.fullmatch(name) else ""
        if not self.name or not _same(boot, self._boot):
            self.renew()

    def renew(self) -> None:
        """What had started is not known any more."""
        self.name = secrets.token_hex(16)
        try:
            write_text(self._path, f"{self.name}\n{self._boot}")
        except OSError:  # no room: then the next start begins another one, which is no lie
            self._path.unlink(missing_ok=True)


def _boot() -> str:
    if sys.platform == "linux":
        found = read_text(Path("/proc/sys/kernel/random/boot_id"))
        if found:
            return found
    import psutil

    return f"at {psutil.boot_time():.0f}"


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (one.startswith("at ") and other.startswith("at ")):
        return False
    try:
        return abs(float(one[3:]) - float(other[3:])) < _CLOCK_MOVED_S
    except ValueError:
        return False
