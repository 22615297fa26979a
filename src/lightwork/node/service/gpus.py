"""Which gpus this machine has for jobs, and how a job is told which ones are its own.

If our own CUDA_VISIBLE_DEVICES (or ROCR_, HIP_) says that only some are meant for us, it is these.

CUDA_ and ROCR_VISIBLE_DEVICES name the machine's gpus. HIP_VISIBLE_DEVICES counts among those that ROCR_ has left, so
behind it they are always 0, 1, 2...
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

GIVEN = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
TOLD = "LIGHTWORK_GPUS"


def names_of(count: int, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What variables call the gpus of a machine that has so many."""
    for variable in GIVEN:
        if variable in environment:
            return tuple(name.strip() for name in environment[variable].split(",") if name.strip() not in ("", "-1"))
    return tuple(map(str, range(count)))


def environment(names: Sequence[str]) -> dict[str, str]:
    """Variables for an attempt that has these gpus; none if it has none: then nothing is said."""
    if not names:
        return {}
    listed = ",".join(names)
    return {
        "CUDA_VISIBLE_DEVICES": listed,
        "ROCR_VISIBLE_DEVICES": listed,
        "HIP_VISIBLE_DEVICES": ",".join(map(str, range(len(names)))),
        TOLD: listed,
    }
