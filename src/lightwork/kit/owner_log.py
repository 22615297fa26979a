"""What a long-running program tells its owner, on standard error: what changes, once. What only repeats is counted.

Somebody with another secret who dials every two seconds is one line, and another one an hour later. Strangers may
come in crowds, and each with something new: of one there are few lines, of all not many, and the rest is counted.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

from lightwork.kit.text import count, span

AGAIN_S = 3600.0  # then the same is said once more
SUBJECTS_MAX = 1000  # strangers have many addresses
WINDOW_S = 600.0  # in so long a time there are
LINES_MAX = 6  # about one subject
CROWD_LINES_MAX = 60  # about all strangers


class OwnerLog:
    """Lines with the time of day."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream  # None: standard error, whatever that is then
        self._said: dict[str, _Said] = {}
        self._crowd = _Budget(CROWD_LINES_MAX)

    def say(self, text: str, subject: str = "", *, stranger: bool = False) -> None:
        """Say it, unless the last word about this subject was the same, or there were many. Without a subject: always.

        `stranger`: one of a crowd, perhaps.
        """
        now = time.monotonic()
        if subject and not self._is_news(text, subject, now):
            return
        if stranger and not self._has_room(now):
            return
        self._write(text)

    def forget(self, subject: str) -> None:
        """It is over: the next word about it is news."""
        self._said.pop(subject, None)

    def _is_news(self, text: str, subject: str, now: float) -> bool:
        said = self._said.get(subject)
        if said is None:
            while len(self._said) >= SUBJECTS_MAX:
                del self._said[next(iter(self._said))]
            said = self._said[subject] = _Said()
        same = said.text == text
        if (same and now - said.at_s < AGAIN_S) or not said.budget.take(now):
            said.repeats += 1
            return False
        told, repeats = said.text, said.repeats
        said.text, said.at_s, said.repeats = text, now, 0
        if repeats:
            alike = "" if not said.budget.forgive() else ", not always for the same reason"
            self._write(f"{told} ({count(repeats, 'more time')} since{alike})")
        return not same or not repeats

    def _has_room(self, now: float) -> bool:
        crowd = self._crowd
        if not crowd.take(now):
            return False
        if left_out := crowd.forgive():
            self._write(f"{count(left_out, 'line')} about strangers left out")
        if crowd.spent:
            self._write(f"many strangers call: no more of it is told for {span(WINDOW_S)}")
        return not crowd.spent

    def _write(self, text: str) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {shown(text)}\n")
            stream.flush()
        except (OSError, ValueError):  # the terminal is gone: that is no reason to stop working
            return


class _Budget:
    """So many lines in WINDOW_S; what is more is counted."""

    __slots__ = ("_began_s", "_left_out", "_most", "_used")

    def __init__(self, most: int) -> None:
        self._most = most
        self._began_s = -WINDOW_S
        self._used = self._left_out = 0

    def take(self, now: float) -> bool:
        """Whether there is room for a line."""
        if now - self._began_s >= WINDOW_S:
            self._began_s, self._used = now, 0
        self._used += 1
        self._left_out += self._used > self._most
        return self._used <= self._most

    @property
    def spent(self) -> bool:
        """Whether the line that was just taken was the last one."""
        return self._used == self._most

    def forgive(self) -> int:
        """How many were left out; they are told now."""
        left_out, self._left_out = self._left_out, 0
        return left_out


class _Said:
    __slots__ = ("at_s", "budget", "repeats", "text")

    def __init__(self) -> None:
        self.text = ""
        self.at_s = 0.0
        self.repeats = 0
        self.budget = _Budget(LINES_MAX)


def shown(text: str) -> str:
    """One line, whatever a peer called itself."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
