"""Whose turn it is among sessions whose jobs have equal priority: the one with the smallest key.

    fair        who has had least slot time by weight: stride scheduling (Waldspurger 1995); an attempt counts for what
                such jobs took so far when it is handed out, for more as soon as it runs longer, and in the end for
                what it took
    submitted   whose first waiting job was submitted first
    oldest      whose session was opened first

A session that was idle has saved nothing: in `fair` it begins level with those that wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from lightwork.scheduler.core.shapes import Stake

Key: TypeAlias = Callable[[Stake, int], float]  # of a stake whose first job that can be placed has this ordinal

FAIR, SUBMITTED, OLDEST = ORDERS = ("fair", "submitted", "oldest")

KEYS: dict[str, Key] = {
    FAIR: lambda stake, ordinal: stake.passed,
    SUBMITTED: lambda stake, ordinal: ordinal,
    OLDEST: lambda stake, ordinal: stake.session.serial,
}
