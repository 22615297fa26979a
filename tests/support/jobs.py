"""Jobs that several tests run."""

from __future__ import annotations

from typing import Any

import lightwork


def where(n: int) -> int:
    """Long enough that other nodes get some, too."""
    import time

    time.sleep(0.01)
    return n


def sleep(seconds: float) -> float:
    """So long."""
    import time

    time.sleep(seconds)
    return seconds


def remember(value: Any) -> Any:
    """A setup: the node keeps the value."""
    return value


def recall() -> Any:
    """What the setup kept."""
    return lightwork.node_value()


def read(path: str) -> str:
    """A file of the node, or one that came along."""
    with open(path) as file:
        return file.read()
