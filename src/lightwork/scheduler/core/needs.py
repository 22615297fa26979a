"""What an attempt takes as long as it is out: of its node, or of what the scheduler itself lends.

resources={"cpus": 2, "memory": "8G", "gpu": 1, "licence": 1}
             slots         |             |           |
                           of the node --+           of the node, or floating: so many for all nodes together
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

WHOLE = 1000  # cpus are counted in thousandths of a slot
PLENTY = 1 << 30

Amounts: TypeAlias = tuple[tuple[str, int], ...]


class Need:
    """One set of resources; equal ones are one object, as long as there are few. `plain`: one slot, nothing else."""

    __slots__ = ("amounts", "cpus", "plain")

    def __init__(self, resources: Amounts) -> None:
        given = dict(resources)
        self.cpus = max(0, given.pop("cpus", WHOLE))
        self.amounts: Amounts = tuple((name, amount) for name, amount in given.items() if amount > 0)
        self.plain = self.cpus == WHOLE and not self.amounts

    def of(self, name: str) -> int:
        """How much of this it takes."""
        return dict(self.amounts).get(name, 0)


@lru_cache(maxsize=4096)
def need_of(resources: Amounts) -> Need:
    """What jobs with these options take."""
    return Need(resources)


class Floating:
    """What the scheduler lends to attempts wherever they run, such as licences. `changed`: some came back."""

    def __init__(self, totals: Mapping[str, int] | None = None) -> None:
        self.totals = dict(totals or {})
        self.taken = dict.fromkeys(self.totals, 0)
        self.changed = False

    def part(self, amounts: Amounts) -> Amounts:
        """What of this is ours to lend."""
        return tuple(pair for pair in amounts if pair[0] in self.totals) if self.totals else ()

    def take(self, amounts: Amounts, count: int) -> None:
        """So many attempts have it; negative: have given it back."""
        for name, amount in amounts:
            if name in self.totals:
                self.taken[name] += amount * count
                self.changed = self.changed or count < 0

    def count(self, amounts: Iterable[tuple[str, int]]) -> int:
        """How many more attempts may have this."""
        return max(
            0, min(((self.totals[name] - self.taken[name]) // amount for name, amount in amounts), default=PLENTY)
        )

    def lacking(self, amounts: Iterable[tuple[str, int]]) -> list[str]:
        """Names of what there is not enough of now."""
        return [name for name, amount in amounts if self.totals[name] - self.taken[name] < amount]
