"""What an attempt needs of its node while it runs: room in slots, and gpus of its own.

A slot is a thousand; most attempts need just one, and of these many may wait behind each other in a worker's pipe. All
others have a worker each, and nothing behind them: what they need is theirs from the first moment to the last.
"""

from __future__ import annotations

from lightwork.wire.messages import JobOptions

SLOT = 1000
_PLAIN = ((), (("cpus", SLOT),))


def plain(options: JobOptions) -> bool:
    """Whether such an attempt needs one slot and nothing else. (The hot path: nearly always.)"""
    return not options.resources or options.resources in _PLAIN


def cpus_of(options: JobOptions) -> int:
    """Thousandths of a slot."""
    return _of(options, "cpus", SLOT) if options.resources else SLOT


def gpus_of(options: JobOptions) -> int:
    """How many."""
    return _of(options, "gpu", 0) if options.resources else 0


def _of(options: JobOptions, wanted: str, without: int) -> int:
    return next((amount for name, amount in options.resources if name == wanted), without)


class Gpus:
    """Which are free, by index; the lowest go first, so that what runs alone finds the same ones again and again."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self._free = list(range(count))

    @property
    def free(self) -> int:
        """How many nobody has."""
        return len(self._free)

    def take(self, count: int) -> tuple[int, ...]:
        """So many, which must be free."""
        taken, self._free = tuple(self._free[:count]), self._free[count:]
        return taken

    def give_back(self, indices: tuple[int, ...]) -> None:
        """Their attempt is over."""
        self._free = sorted((*self._free, *indices))
