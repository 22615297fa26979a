"""`run` for the tables of tests/payload: each row as a job of one real cluster."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from typing import Any

import lightwork

_open: list[lightwork.JobCluster] = []


def run(computation: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None, depends: Any = ()) -> Any:
    """The job's value; its own exception."""
    if not _open:
        _open.append(lightwork.JobCluster(slots=2))
        atexit.register(close)
    submitter = _open[0].options(computation=computation, depends=depends)
    return submitter.submit(*args, **(kwargs or {})).get(60)


def close() -> None:
    """End the cluster of this process."""
    while _open:
        _open.pop().close()
