"""What nodes call a session of a durable scheduler: its name, and which of all that had this name it is."""

from __future__ import annotations

_MARK = "+"  # in no name that a program may choose


def key_of(name: str, epoch: int, number: int) -> str:
    """Of the session that was opened in this life of its scheduler, as the fact of that number."""
    return f"{name}{_MARK}{epoch}.{number}"


def name_of(key: str) -> str:
    """The name that its program knows."""
    return key.rpartition(_MARK)[0] or key
