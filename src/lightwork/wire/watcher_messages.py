"""What watchers (`lightwork sessions`, `jobs`, `cancel`, `logs`) and schedulers say to each other."""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.nouns import JobStatus, Name, SessionStatus


class AskSessions(Struct, array_like=True, tag=35):
    """Which sessions are there? Answered by Sessions. (From a watcher, as the next three.)"""

    number: int


class AskJobs(Struct, array_like=True, tag=36):
    """Which jobs are there? Of one session, or all; of these states, or all; at most so many, from number `first` of
    the session on. Answered by Jobs."""

    number: int
    session: Name = ""
    states: list[int] = []
    limit: int = 1000
    first: int = 0


class CancelJobs(Struct, array_like=True, tag=37):
    """Cancel these jobs of a session; none named: all. Answered by Answer, with those that had not ended."""

    number: int
    session: Name
    jobs: list[int] = []


class AskLogs(Struct, array_like=True, tag=38):
    """What has this job written, from these bytes of its streams on? Answered by Logs."""

    number: int
    session: Name
    job: int
    stdout_from: int = 0
    stderr_from: int = 0


class Sessions(Struct, array_like=True, tag=55):
    """Answer to AskSessions."""

    number: int
    sessions: list[SessionStatus]


class Jobs(Struct, array_like=True, tag=56):
    """Answer to AskJobs, oldest first. `total`: how many there are, shown or not; -1: not counted, with a `first`.
    What one message does not hold comes if it is asked for, from the next number on."""

    number: int
    jobs: list[JobStatus]
    total: int
    error: str = ""


class Logs(Struct, array_like=True, tag=57):
    """Answer to AskLogs: what is known of the job's output, as much as one message holds: the rest comes if it is asked
    for. `running`: it has not ended; `error`: nothing is known, because. `stdout_at`: of how many bytes the first one
    here stands; more than was asked for: those between were not kept. `attempts`: which try of the job this is of."""

    number: int
    stdout: bytes = b""
    stderr: bytes = b""
    running: bool = False
    error: str = ""
    stdout_at: int = 0
    stderr_at: int = 0
    state: int = 0
    attempts: int = 0
