"""What `lightwork logs` does."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable

from lightwork.cli import documents, output
from lightwork.cli.watching import Where, one, show_json
from lightwork.client.watching import Watcher
from lightwork.config.timers import FOLLOW_S
from lightwork.kit.text import size
from lightwork.model.errors import ClusterError, UserError
from lightwork.model.states import JobState
from lightwork.wire.messages import Logs

ENDLESS_S = 5.0
_JOB = re.compile(r"(.+)/(\d{1,18})")
Write = Callable[[str, bytes], None]  # a stream's name, and what the job wrote there


def run(where: Where, job: str, only: str, *, follow: bool) -> int:
    """The exit status."""
    match = _JOB.fullmatch(job)
    if match is None:
        raise UserError(f"{job!r} is no job", hint="SESSION/NUMBER, as `lightwork jobs` shows them")
    if follow and where.as_json:
        raise UserError("--follow and --json: a document has an end", hint="leave out one")
    with one(where, match[1]) as watcher:
        if where.as_json:
            return _document(watcher, match[1], int(match[2]))
        reader = Reader(watcher, match[1], int(match[2]), _writer(only), output.say)
        if follow:
            reader.follow()
        elif reader.read().state == JobState.QUEUED:
            output.say(f"job {job} has not started")
    return 0


def _writer(only: str) -> Write:
    """Both streams to where they belong, or one alone to standard output."""

    def write(name: str, data: bytes) -> None:
        if not only or name == only:
            output.write(sys.stderr if name == "stderr" and not only else sys.stdout, data)

    return write


def _document(watcher: Watcher, session: str, number: int) -> int:
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    reader = Reader(watcher, session, number, lambda name, data: parts[name].append(data), lambda text: None)
    told = reader.read()
    stdout, stderr = (b"".join(parts[name]) for name in ("stdout", "stderr"))
    place = {"address": watcher.address, "name": watcher.name, "session": session, "number": number}
    show_json(place | documents.logs(told, stdout, stderr, (reader.left_out["stdout"], reader.left_out["stderr"])))
    return 0


class Reader:
    """Reads a job's streams piece by piece, from where it stopped before."""

    def __init__(self, watcher: Watcher, session: str, number: int, write: Write, say: Callable[[str], None]) -> None:
        self.left_out = {"stdout": 0, "stderr": 0}
        self._watcher = watcher
        self._job = session, number
        self._write = write
        self._say = say
        self._at = {"stdout": 0, "stderr": 0}
        self._attempts = 0
        self._said = ""

    def read(self) -> Logs:
        """All that is known now. ClusterError: nothing is, because."""
        enough = time.monotonic() + ENDLESS_S  # some jobs write faster than anybody reads
        while True:
            told = self._ask()
            if told.error:
                raise ClusterError(told.error)
            if not self._taken(told) or (told.running and time.monotonic() > enough):
                return told

    def follow(self) -> None:
        """The same, until the job has ended. What is known only later is waited for."""
        while True:
            told = self._ask()
            if told.error and not (told.running or self._attempts):
                raise ClusterError(told.error)
            if told.error:
                self._say_once(told.error)
            elif told.state == JobState.QUEUED:
                self._say_once(f"job {'/'.join(map(str, self._job))} has not started; waiting")
            if not self._taken(told):
                if not told.running:
                    return
                time.sleep(FOLLOW_S)

    def _ask(self) -> Logs:
        return self._watcher.logs(*self._job, self._at["stdout"], self._at["stderr"])

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)

    def _taken(self, told: Logs) -> bool:
        """Whether there may be more at once."""
        if self._is_another(told):
            return True
        self._take("stdout", told.stdout_at, told.stdout)
        self._take("stderr", told.stderr_at, told.stderr)
        return bool(told.stdout or told.stderr)

    def _is_another(self, told: Logs) -> bool:
        """Whether this is a new try of the job, which writes anew."""
        before, started = self._attempts, told.state != JobState.QUEUED and told.attempts
        if not started or before == told.attempts:
            return False
        self._attempts = told.attempts
        if not before:
            return False
        self._say(f"attempt {told.attempts:,} of the job")
        anew = any(self._at.values())
        self._at = dict.fromkeys(self._at, 0)
        return anew

    def _take(self, name: str, at: int, data: bytes) -> None:
        gap = at - self._at[name]
        if gap > 0:
            self.left_out[name] += gap
            self._say(f"{size(gap)} in the middle of its {name} are left out")
        self._at[name] = max(self._at[name], at + len(data))
        if data:
            self._write(name, data)
