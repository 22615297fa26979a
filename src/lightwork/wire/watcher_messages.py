"""What watchers (`lightwork sessions`, `jobs`, `cancel`, `logs`, `hosts`, `explain`) and schedulers say to each other.

Clients may say the last three of them, too.
"""

from __future__ import annotations

from msgspec import Struct

from lightwork.wire.node_messages import SetPolicy
from lightwork.wire.nouns import HostStatus, JobStatus, Name, NodeStatus, SessionStatus


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


class ChangeHosts(Struct, array_like=True, tag=103):
    """Something to be done with machines, for all sessions; answered by Answer when it holds (with the nodes concerned,
    and as `total` what still runs there). `hosts`: names, addresses, patterns, or "@group". `action`:

    add      look for them, and take back an earlier `remove`; in `group`, if one is named
    remove   no new jobs there; what has not started comes back; when what runs has ended they are let go for good
    drain    the same, but they stay ours
    resume   takes back an earlier `drain`
    group    put them into `group`, whichever others they are in
    ungroup  take them out of it
    policy   from now on `policy` holds there, as far as it says something (node_messages.SetPolicy)
    `now`: what runs there is killed, and starts again elsewhere as after the death of a node (remove, drain).
    """

    number: int
    action: str
    hosts: list[str]
    group: Name = ""
    now: bool = False
    by: Name = ""  # who wants that, for people
    policy: SetPolicy | None = None


class AskHosts(Struct, array_like=True, tag=104):
    """Which machines are there? Answered by Hosts."""

    number: int


class AskWhy(Struct, array_like=True, tag=105):
    """Why does this job wait? Answered by Why."""

    number: int
    session: Name
    job: int


class Hosts(Struct, array_like=True, tag=110):
    """Answer to AskHosts; `nodes` are those that are connected."""

    number: int
    hosts: list[HostStatus]
    nodes: list[NodeStatus] = []


class Why(Struct, array_like=True, tag=111):
    """Answer to AskWhy: a sentence each."""

    number: int
    lines: list[str]
    error: str = ""
