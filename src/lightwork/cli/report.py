"""What `lightwork run` says about jobs that did not go well: one line each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from lightwork.kit.text import size

WORDS_MAX = 120
STATUS_MAX = 100  # GNU parallel's rule: 1 to 100 is the number of failed jobs, 101 stands for more


def exit_status(failed: int) -> int:
    """The exit status that tells how many jobs failed."""
    return min(failed, STATUS_MAX + 1)


def failure(number: int, arguments: Sequence[str], node: str, reason: str, stderr: bytes) -> str:
    """Which job failed, where, how, and the last line that it wrote to stderr."""
    place = f" on {node}" if node else ""
    last = last_line(stderr)
    return f"job {number}{shown_arguments(arguments)} failed{place}: {reason}{'; ' + last if last else ''}"


def incomplete(number: int, arguments: Sequence[str], stream: str, dropped: int) -> str:
    """Which job printed more than was kept."""
    return f"job {number}{shown_arguments(arguments)}: {size(dropped)} in the middle of its {stream} are left out"


def only_here(words: Sequence[str], sent: Sequence[str]) -> str:
    """The first word that names a file of this directory, by a relative path, that was not sent along."""
    relative = (word for word in words if not os.path.isabs(word) and word not in sent)
    return next((printable(word) for word in relative if os.path.isfile(word)), "")


def shown_arguments(arguments: Sequence[str]) -> str:
    """The arguments as one would type them, cut to a readable length; what cannot be printed is escaped."""
    text = printable(shlex.join(arguments))
    return f" ({text if len(text) <= WORDS_MAX else text[: WORDS_MAX - 3] + '...'})" if text else ""


def last_line(output: bytes) -> str:
    """The last line that is not blank."""
    end = output[-4096:].rstrip().rsplit(b"\n", 1)[-1].rsplit(b"\r", 1)[-1]
    return printable(end.decode("utf-8", "backslashreplace"))[:300]


def printable(text: str) -> str:
    """Control characters and lone surrogates escaped: what a job wrote does not steer the terminal from our lines."""
    safe = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)
