"""Computations that took the place of others: of one session, live and in the ledger alike; and who waits for them."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """An update: a computation took the place of `old`. `first`: the epoch of the first update in this row of them."""

    old: str
    epoch: int
    first: int


class Barrier(NamedTuple):
    """A client waits until all its nodes, or so many, have these computations."""

    session: str
    number: int
    computations: tuple[str, ...]
    nodes: int


class Steps:
    """Updates that are still the latest of their kind, by digest; `epoch` counts them all."""

    def __init__(self) -> None:
        self.epoch = 0
        self.latest: dict[str, Step] = {}

    def take(self, old: str, digest: str, epoch: int, first: int = 0) -> None:
        """One more. `first`: as in the step, if it is known; else it follows from those before."""
        before = self.latest.pop(old, None), self.latest.pop(digest, None)
        known = [step.first for step in before if step is not None]
        self.latest[digest] = Step(old, epoch, first or min(known, default=epoch))
        self.epoch = epoch

    def done(self, old: str, digest: str) -> int:
        """The epoch of just this update, if it is the latest of its kind; else 0."""
        step = self.latest.get(digest)
        return step.epoch if step is not None and old in (step.old, digest) else 0
