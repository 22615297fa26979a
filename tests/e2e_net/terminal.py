"""A person's terminal on a host of a lab: a real bash on a real pseudo-terminal, so Ctrl-C is a key and not a signal.

    we --keys--> pty --> bash --> the program in front
       <--text--                  its standard output and standard error, as they come

The prompt is two characters that nobody prints, so that it is known when a command has ended.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable

from tests.support.lab import Host

PROMPT = "\x1e\x1f"
ROWS, COLUMNS = 40, 100
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One window on a host; everything in it ends with the lab."""

    def __init__(self, host: Host) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        settings = termios.tcgetattr(side)
        settings[1] &= ~termios.ONLCR  # lines end as in files
        settings[3] &= ~termios.ECHO  # what is typed is not in what is printed
        termios.tcsetattr(side, termios.TCSANOW, settings)
        environment = {"PS1": PROMPT, "PS2": "", "TERM": "xterm", "USER": host.name, "LOGNAME": host.name}

        def own_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
        self._shell = host.popen(shell, env=environment, stdin=side, stdout=side, stderr=side, preexec_fn=own_terminal)
        os.close(side)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""  # what was printed since we typed last
        assert self.read_until(lambda text, ended: ended, 15.0), f"no prompt: {self._text!r}"

    @property
    def ended(self) -> bool:
        """Whether no program is in front: the shell waits for a command."""
        return PROMPT in self._text

    @property
    def text(self) -> str:
        """What was printed since we typed last, as a person sees it."""
        shown = _ESCAPES.sub("", self._text.replace(PROMPT, ""))
        return "\n".join(map(_on_screen, shown.split("\n"))).strip("\n")

    def type(self, keys: str) -> None:
        """Press these keys; what was printed before is forgotten."""
        while self._read(0):
            pass
        self._text = ""
        os.write(self._main, keys.encode())

    def answer(self, keys: str) -> None:
        """Press these keys; what was printed before is still to be looked at."""
        os.write(self._main, keys.encode())

    def forget(self) -> None:
        """What was printed so far was looked at."""
        self._text = PROMPT if self.ended else ""

    def read_until(self, done: Callable[[str, bool], bool], limit_s: float, quiet_s: float = 0.0) -> bool:
        """Until `done(text, ended)`; False if it is not so in time, or nothing changed for `quiet_s`."""
        end = time.monotonic() + limit_s
        before, changed = self.text, time.monotonic()
        while not done(self.text, self.ended):
            now = time.monotonic()
            if now > end or (quiet_s and now - changed > quiet_s):
                return False
            self._read(0.05)
            if self.text != before:
                before, changed = self.text, now
        return True

    def _read(self, limit_s: float) -> bool:
        """Whether something came."""
        there = bool(select.select([self._main], [], [], limit_s)[0])
        if there:
            self._text += self._decoder.decode(os.read(self._main, 1 << 16))
        return there

    def close(self) -> None:
        """The window is gone; the lab ends what was in it."""
        os.close(self._main)


def _on_screen(line: str) -> str:
    """What stays of a line: a carriage return goes back to its first column."""
    cells: dict[int, str] = {}
    for part in line.split("\r"):
        cells.update(enumerate(part))
    return "".join(cells[column] for column in sorted(cells)).rstrip()
