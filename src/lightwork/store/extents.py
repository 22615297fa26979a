"""Sets of byte ranges, kept sorted and merged: [start, end) never touch each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Extents:
    """A set of byte offsets, as ranges. A change costs the ranges that it touches, and a shift of a list."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.total = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, end: int) -> None:
        """Every offset in [start, end) is in the set."""
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        merged_start = min(start, self._starts[first]) if first < last else start
        merged_end = max(end, self._ends[last - 1]) if first < last else end
        self._replace(first, last, [(merged_start, merged_end)])

    def remove(self, start: int, end: int) -> None:
        """No offset in [start, end) is in the set."""
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        if first >= last:
            return
        rest = [(self._starts[first], start), (end, self._ends[last - 1])]
        self._replace(first, last, [(low, high) for low, high in rest if low < high])

    def _replace(self, first: int, last: int, ranges: list[tuple[int, int]]) -> None:
        self.total -= sum(self._ends[first:last]) - sum(self._starts[first:last])
        self.total += sum(high - low for low, high in ranges)
        self._starts[first:last] = [low for low, _ in ranges]
        self._ends[first:last] = [high for _, high in ranges]
