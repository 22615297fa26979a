"""How long jobs of a computation take: a sample from which quartiles are read, cheap where ends come by the thousand.

Every n-th duration is kept. When the sample is full, every second one of it goes and n doubles: so it is spread evenly
over all that ended. Past a limit the older half goes instead, for what was long ago says little.

    1 2 3 4 5 6 7 8 | 10 12 14 16 | 20 24 ...
"""

from __future__ import annotations

SAMPLE = 128
STRIDE_MAX = 256


class Durations:
    """A sample of them."""

    __slots__ = ("_quartile", "_sample", "_skip", "_stride")

    def __init__(self) -> None:
        self._sample: list[int] = []
        self._stride = 1
        self._skip = 0  # so many more pass before the next is kept
        self._quartile = 0  # 0: to be found again

    def saw(self, durations_ns: list[int]) -> None:
        """So many nanoseconds each, in the order in which they ended."""
        count = len(durations_ns)
        if self._skip >= count:
            self._skip -= count
            return
        kept = durations_ns[self._skip :: self._stride]
        self._skip += len(kept) * self._stride - count
        self._sample += kept
        self._quartile = 0
        while len(self._sample) > SAMPLE:
            self._thin()

    def _thin(self) -> None:
        if self._stride >= STRIDE_MAX:
            del self._sample[: len(self._sample) // 2]
            return
        del self._sample[1::2]
        self._stride *= 2

    def p75_ns(self) -> int:
        """Three of four took no longer; 0 if none has ended."""
        if not self._quartile and self._sample:
            ordered = sorted(self._sample)
            self._quartile = max(1, ordered[(3 * len(ordered) - 1) // 4])
        return self._quartile
