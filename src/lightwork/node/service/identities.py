"""Which job an attempt is of: a worker is told, so that `current_job()` knows; nobody else here needs it.

Jobs come with consecutive numbers and tokens, so number = token + shift for long stretches, and a line of stretches
tells all: (first token, shift), or (first token, the numbers from there on) where they do not follow each other.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from lightwork.wire.channel import NOT_TOLD
from lightwork.wire.messages import Assign


class Identities:
    """The numbers of the jobs whose attempts are here."""

    def __init__(self) -> None:
        self._first = [0]
        self._stretches: list[int | list[int]] = [NOT_TOLD]
        self._again: dict[int, int] = {}  # attempts that are not their job's first

    def note(self, message: Assign) -> None:
        """Attempts have come; their tokens are consecutive, and beyond all that came before."""
        tokens, numbers = message.tokens, message.numbers
        if not tokens:
            return
        stretch: int | list[int] = numbers
        if len(numbers) < 2:
            stretch = (numbers[0] - tokens[0]) & NOT_TOLD if numbers else NOT_TOLD
        if isinstance(stretch, list) or stretch != self._stretches[-1]:
            self._first.append(tokens[0])
            self._stretches.append(stretch)
        for token, attempt in zip(tokens, message.attempts, strict=False):
            if attempt > 1:
                self._again[token] = attempt

    def of(self, tokens: list[int]) -> tuple[int, dict[str, bytes]]:
        """Their shift if they have one in common, and the RUN options that tell the rest."""
        at = bisect_right(self._first, min(tokens)) - 1
        stretch = self._stretches[at]
        told: dict[str, bytes] = {}
        if isinstance(stretch, list) or (at + 1 < len(self._first) and max(tokens) >= self._first[at + 1]):
            told["numbers"] = array("Q", map(self._number, tokens)).tobytes()
            stretch = NOT_TOLD
        if self._again and not self._again.keys().isdisjoint(tokens):
            told["attempts"] = array("I", [self._again.get(token, 1) for token in tokens]).tobytes()
        return stretch, told

    def keep(self, oldest: int) -> None:
        """Attempts before this one are no more."""
        at = bisect_right(self._first, oldest) - 1
        del self._first[:at], self._stretches[:at]
        self._again = {token: attempt for token, attempt in self._again.items() if token >= oldest}

    def _number(self, token: int) -> int:
        at = bisect_right(self._first, token) - 1
        stretch = self._stretches[at]
        if isinstance(stretch, list):
            return stretch[token - self._first[at]]
        return (token + stretch) & NOT_TOLD
