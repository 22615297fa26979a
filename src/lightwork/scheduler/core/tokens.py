"""Numbers of attempts."""

from __future__ import annotations


class Tokens:
    """Numbers attempts."""

    def __init__(self, first: int) -> None:
        self.next = first

    def reserve(self, count: int) -> int:
        """The first of so many fresh tokens."""
        first = self.next
        self.next += count
        return first
