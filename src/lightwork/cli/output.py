"""Talk: what a person reads while a command works. It goes to stderr, so that stdout carries data and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from typing import ClassVar, TextIO

_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "hint": "\x1b[36m"}
_REDRAW_S = 0.1
_lock = threading.Lock()
_midline = False  # a job's last words stand before the cursor, without an end of line


def on_terminal() -> bool:
    """Whether stderr is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"


def say(text: str) -> None:
    """One piece of talk, above the bar if there is one."""
    global _midline
    with _lock:
        Bar.erase()
        print("\n" * _midline + text, file=sys.stderr, flush=True)
        _midline = False


def write(stream: TextIO, data: bytes) -> None:
    """Bytes of a job, as they are, to our stdout or stderr; above the bar."""
    global _midline
    if data and stream is not None:  # our caller may have closed it: then nobody wants them
        with _lock:
            Bar.erase()
            if stream is sys.stderr or (stream.isatty() and on_terminal()):
                _midline = not data.endswith(b"\n")
            stream.buffer.write(data)
            stream.buffer.flush()


def let_go_of_stdout() -> None:
    """The interpreter flushes stdout when it leaves: into nothing, since nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def error(text: str, *, hint: str = "") -> None:
    """What went wrong and, below it, what to do about it."""
    _labelled("error", text)
    if hint:
        _labelled("hint", hint)


def warning(text: str, *, hint: str = "") -> None:
    """What may be not as it was meant."""
    _labelled("warning", text)
    if hint:
        _labelled("hint", hint)


def _labelled(label: str, text: str) -> None:
    """Colour only repeats what the label says."""
    if on_terminal() and not os.environ.get("NO_COLOR"):
        say(f"{_COLOURS[label]}{label}:\x1b[0m {text}")
    else:
        say(f"{label}: {text}")


class Bar:
    """A progress bar in the terminal's last line; without a terminal, or if not wanted, nothing at all.

    There is one terminal, so what is drawn there is known to the class: `say` and `write` take it away first.
    """

    _drawn: ClassVar[int] = 0

    def __init__(self, *, wanted: bool = True) -> None:
        self.shown = wanted and on_terminal()
        self._next = 0.0

    def update(self, done: int, total: int | None, text: str = "") -> None:
        """Draw anew, at most ten times a second. `total` is None while nobody knows it."""
        if self.shown and not _midline and time.monotonic() >= self._next:
            self._next = time.monotonic() + _REDRAW_S
            with _lock:
                self._draw(render(done, total, text, shutil.get_terminal_size().columns - 1, _ink()))

    def close(self) -> None:
        """Take it away for good."""
        with _lock:
            self.erase()
        self.shown = False

    @classmethod
    def erase(cls) -> None:
        """Leave an empty line to whoever writes next; the lock is held."""
        if cls._drawn:
            cls._draw("")

    @classmethod
    def _draw(cls, line: str) -> None:
        sys.stderr.write("\r" + line + " " * (cls._drawn - len(line)))
        if not line:
            sys.stderr.write("\r")
        sys.stderr.flush()
        cls._drawn = len(line)


def _ink() -> str:
    return "█░" if (sys.stderr.encoding or "").lower().startswith("utf") else "#."


def render(done: int, total: int | None, text: str, width: int, ink: str = "#.") -> str:
    """One line of a bar, at most `width` characters; `ink` draws what is done and what is not."""
    if total is None:
        return f"{done:,} done{text}"[:width]
    share = done / total if total else 1.0
    tail = f" {done:,} of {total:,}{text}"
    room = max(0, min(40, width - len(tail) - 8))
    drawn = round(share * room)
    return f"{share:4.0%} {ink[0] * drawn}{ink[1] * (room - drawn)}{tail}"[:width]
