"""What is this file: an interpreter under which workers run, and which? It is asked, in bounded time, and the answer
remembered as long as the file stays what it is."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from lightwork.node.core.interpreters import named
from lightwork.node.service.keeper_spawn import environment_under
from lightwork.node.service.looking_around import MINORS
from lightwork.node.service.processes import helpers, kill_group

ASK_S = 5.0
SAID_MAX = 1 << 16
OLDEST = (3, MINORS.start)
_MARK = "lightwork"
# Under any Python there ever was. What is imported are the parts of the standard library that a build may lack.
_QUESTION = f"""
import sys
made = getattr(sys, "implementation", None)
made = made.name if made else "python"
sys.stdout.write("{_MARK} %s %d %d %s\\n" % (made, sys.version_info[0], sys.version_info[1], sys.executable))
sys.stdout.flush()
import _socket, ctypes, mmap, pickle, select
"""

log = logging.getLogger(__name__)


class Answer(Struct, frozen=True):
    """`version` and `path` of an interpreter that works (what was asked may be a script that finds it); (0, 0): it does
    not, for this `reason`, `lasting` if it is so for good."""

    version: tuple[int, int] = (0, 0)
    path: str = ""
    reason: str = ""
    lasting: bool = True


class _Listener(asyncio.SubprocessProtocol):
    """Hears a process to its end, or until it has said more than we want to know."""

    def __init__(self) -> None:
        self.said = {1: b"", 2: b""}
        self.exited, self.heard = asyncio.Event(), asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It says something."""
        self.said[fd] = (self.said[fd] + data)[:SAID_MAX]
        if len(self.said[fd]) == SAID_MAX:
            self.heard.set()

    def process_exited(self) -> None:
        """It is gone; there may be last words in its pipes."""
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """That was all."""
        self.heard.set()

    def line(self, stream: int, which: int) -> str:
        """One line of what it said, if there is such a line."""
        lines = self.said[stream].strip().splitlines()
        return os.fsdecode(lines[which]) if lines else ""


async def ask(path: str) -> Answer:
    """Run it once."""
    try:
        process, heard = await _start(path)
    except OSError as error:
        return Answer(reason=f"cannot be executed: {error.strerror or error}")
    pid = process.get_pid() or 0
    try:
        await asyncio.wait_for(heard.heard.wait(), ASK_S)
        code = process.get_returncode()
        if code is None:
            return Answer(reason="is no Python: it talks without end")
        return understood(heard.line(1, 0), heard.line(2, -1) or f"exit code {code}", code)
    except TimeoutError:
        return Answer(reason=f"gave no answer within {ASK_S:g} s", lasting=False)
    finally:
        if process.get_returncode() is None:
            kill_group(pid)
        process.close()
        await heard.exited.wait()
        helpers.discard(pid)


async def _start(path: str) -> tuple[asyncio.SubprocessTransport, _Listener]:
    """It is a helper from its first moment on."""
    helpers.starting += 1
    try:
        process, heard = await asyncio.get_running_loop().subprocess_exec(
            _Listener,
            path,
            "-c",
            _QUESTION,
            stdin=asyncio.subprocess.DEVNULL,
            cwd=os.path.dirname(path) or None,  # not ours: there may lie modules
            env=environment_under(path),
            start_new_session=sys.platform != "win32",
        )
        helpers.add(process.get_pid() or 0)
        return process, heard
    finally:
        helpers.starting -= 1


def understood(line: str, said: str, code: int) -> Answer:
    """The answer in its first line, its last words on stderr, and its exit code."""
    words = line.strip().split(" ", 4)
    if len(words) != 5 or words[0] != _MARK:
        return Answer(reason=f"is no Python that runs: {said}", lasting=code >= 0)
    made, version = words[1], (int(words[2]), int(words[3]))
    if made != "cpython":
        return Answer(reason=f"is {made} {named(version)}; workers need CPython")
    if version < OLDEST:
        return Answer(reason=f"is Python {named(version)}; workers need {named(OLDEST)} or later")
    if code:
        return Answer(reason=f"lacks a part of its standard library: {said}", lasting=code > 0)
    return Answer(version, words[4])


class _Noted(Struct, array_like=True):
    """A remembered answer, and by what we know the file again."""

    file: tuple[str, int, int]
    answer: Answer


class Memory:
    """Remembers answers in a file, or not at all."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._notes: dict[str, _Noted] | None = None
        self._changed = False

    async def ask(self, path: str) -> Answer:
        """What is known of this file, or what it says now."""
        notes, file = self._read(), _identity(path)
        noted = notes.get(path)
        if noted is not None and noted.file == file:
            return noted.answer
        answer = await ask(path)
        if not answer.version[0]:
            log.debug("%s %s", path, answer.reason)
        if answer.lasting and file is not None:
            notes[path] = _Noted(file, answer)
            self._changed = True
        return answer

    def save(self) -> None:
        """For the next start."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(self._notes))
            fresh.replace(self._path)
        except OSError as error:  # then the next start asks again
            log.debug("%s cannot be written: %s", self._path, error)

    def _read(self) -> dict[str, _Noted]:
        if self._notes is None:
            try:
                self._notes = msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Noted]) if self._path else {}
            except (OSError, msgspec.DecodeError):  # there is none yet, or an earlier version's
                self._notes = {}
        return self._notes


def _identity(path: str) -> tuple[str, int, int] | None:
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return None
    return real, found.st_mtime_ns, found.st_size
