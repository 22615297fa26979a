"""`lightwork node|scheduler|relay --detach`: a process of its own, with a session and a log of its own.

this process                                  python -m lightwork node|scheduler|relay --detached ...
  | <--- stdout: log SIZE PATH --------------- |   it has its name, and with that a log; what it says now goes there
  | <--- line TEXT --------------------------- |   what is to be shown here
  | <--- hint TEXT --------------------------- |   the same, as a hint
  | <--- trouble TEXT ------------------------ |   whom it joins it did not reach; it tries again
  | <--- up PID ------------------------------ |   now it works: we leave
  |      end of file instead ----------------- |   it failed: why is in the log, or was said on our stderr
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lightwork.cli import output
from lightwork.config import paths

LOG_TAIL = 4000


def start(arguments: list[str], what: str = "node") -> int:
    """Start it, wait until it is up, and tell its process and log; the exit status."""
    command = [sys.executable, "-P", "-m", "lightwork", what, *arguments, "--detached"]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        creationflags=flags,
        start_new_session=sys.platform != "win32",
    )
    assert process.stdout is not None
    log, size = Path(), 0
    for line in process.stdout:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "log":
            told, _, path = rest.partition(" ")
            log, size = Path(path), int(told)
        elif word == "line":
            print(rest, flush=True)
        elif word == "hint":
            output.say(f"hint: {rest}")
        elif word == "trouble":
            output.warning(rest)
        elif word == "up":
            output.say(f"it goes on as process {rest}: `kill {rest}` stops it; its log is {log}")
            return 0
    status = process.wait()
    if log != Path():
        _show(log, size)
    return status


def _show(log: Path, start: int) -> None:
    """What it said since we started it."""
    try:
        with open(log, "rb") as file:
            file.seek(start)
            data = file.read()
    except OSError as error:
        output.error(f"its log {log} cannot be read: {error.strerror or error}")
        return
    output.say(data[-LOG_TAIL:].decode(errors="replace").rstrip("\n"))


class Report:
    """The other side: tells the process that started us, as long as it listens."""

    def __init__(self, what: str = "node") -> None:
        self._what = what
        self._line = os.dup(1)  # nobody inherits it, so its end of file is ours alone
        _point(1, os.open(os.devnull, os.O_WRONLY))

    def at_home(self, name: str) -> None:
        """From now on we have a log, and nothing of the terminal."""
        path = paths.state_directory() / f"{self._what}-{name}.log"
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._tell(f"log {os.fstat(log).st_size} {path}")
        os.dup2(log, 1)
        _point(2, log)

    def announce(self, line: str) -> None:
        """For the log, too."""
        self._tell(f"line {line}")
        print(line, flush=True)

    def hint(self, text: str) -> None:
        """For the log, too."""
        self._tell(f"hint {text}")
        output.say(f"hint: {text}")

    def up(self, trouble: str = "") -> None:
        """Who started us may go. `trouble`: what is in the log, and should not be there alone."""
        if self._line >= 0:
            if trouble:
                self._tell(f"trouble {trouble}")
            self._tell(f"up {os.getpid()}")
            os.close(self._line)
            self._line = -1

    def _tell(self, text: str) -> None:
        if self._line < 0:
            return
        try:
            os.write(self._line, text.encode() + b"\n")
        except OSError:  # it was interrupted: we go on
            return


def _point(descriptor: int, target: int) -> None:
    os.dup2(target, descriptor)
    os.close(target)
