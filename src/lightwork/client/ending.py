"""What happens to clusters that nobody closed: at the interpreter's exit, and in a forked child."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol


class Endable(Protocol):
    """A cluster, as far as its end goes."""

    def at_exit(self, *, crashed: bool) -> None:
        """The program ends; `crashed`: of an exception."""

    def abandon(self) -> None:
        """We are in a forked child."""


_open: list[Endable] = []
_registered = False
_earlier_error: object = None  # of an interactive session, before the first cluster


def add(cluster: Endable) -> None:
    """Look after this cluster."""
    global _registered, _earlier_error
    if not _registered:
        _registered = True
        _earlier_error = getattr(sys, "last_value", None)
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)
    _open.append(cluster)


def remove(cluster: Endable) -> None:
    """It has been closed."""
    if cluster in _open:
        _open.remove(cluster)


def _at_exit() -> None:
    # An uncaught exception leaves its trace in sys before exit functions run. At a prompt that is an earlier line's
    # error, and leaving the prompt is a normal exit.
    error = getattr(sys, "last_value", None)
    crashed = error is not None and error is not _earlier_error and not hasattr(sys, "ps1")
    for cluster in reversed(list(_open)):
        cluster.at_exit(crashed=crashed)


def _after_fork() -> None:
    for cluster in _open:
        cluster.abandon()
    _open.clear()
