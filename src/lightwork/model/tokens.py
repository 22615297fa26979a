"""Attempt tokens: scheduler epoch and number in one integer, by which late news of a dead attempt is recognised."""

from __future__ import annotations

NUMBER_BITS = 40
EPOCH_MAX = (1 << 23) - 1


def make_token(epoch: int, number: int) -> int:
    """The token of attempt `number` (from 1) in scheduler life `epoch`."""
    return epoch << NUMBER_BITS | number


def epoch_of(token: int) -> int:
    """The scheduler life that made this token."""
    return token >> NUMBER_BITS
