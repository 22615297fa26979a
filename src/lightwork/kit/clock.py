"""A monotonic clock that also counts the time in which the machine was suspended: leases go by it.

`time.monotonic` stands still in suspend on Linux and macOS: a laptop that slept would believe in claims long gone.
"""

from __future__ import annotations

import sys
import time

if sys.platform == "win32":  # there, time.monotonic goes on
    _CLOCK = None
elif sys.platform == "darwin":
    _CLOCK = time.CLOCK_MONOTONIC  # not what time.monotonic reads there
else:
    _CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic_ns() -> int:
    """Nanoseconds since some moment; suspended time counts."""
    if sys.platform == "win32" or _CLOCK is None:
        return time.monotonic_ns()
    return time.clock_gettime_ns(_CLOCK)
