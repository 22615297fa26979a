"""Attempt tokens: scheduler epoch and number in one integer, by which late news of a dead attempt is recognised."""

from __future__ import annotations

NUMBER_BITS = 40


def make_token(epoch: int, number: int) -> int:
    """The token of attempt `number` (from 1) in scheduler life `epoch`."""
    return epoch << NUMBER_BITS | number
