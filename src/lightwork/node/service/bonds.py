"""What must stay as it is until ends are kept: records in rings, and the rings of dead workers.

    ring  | kept | kept | waits for its outputs | ...        words: RECORD_HEAD stands before the first that is not kept

Each ring is let go of in order: a record that waits holds those behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

Waits = Callable[[Sequence[int]], bool]


class _Bond(Struct):
    ring: int  # id
    tokens: Sequence[int]
    release: Callable[[], None]


class Bonds:
    """All of one agent."""

    def __init__(self) -> None:
        self._held: list[_Bond] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def hold(self, ring: object, tokens: Sequence[int], release: Callable[[], None]) -> None:
        """`release` when the ends of these are kept, or nobody wants them."""
        self._held.append(_Bond(id(ring), tokens, release))

    def loosen(self, waits: Waits) -> None:
        """Let go of what need not stay: `waits` says whether one of these attempts has an end that is not kept."""
        left: list[_Bond] = []
        blocked: set[int] = set()
        for bond in self._held:
            if bond.ring in blocked or waits(bond.tokens):
                blocked.add(bond.ring)
                left.append(bond)
            else:
                bond.release()
        self._held = left
