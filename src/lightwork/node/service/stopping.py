"""Stop a node of this user on this machine, from another process: as its owner's TERM does, or leaving nothing behind.

The agent's directory names its process; a number with its start is never taken for another one. What still lives below
it when it has to be killed is ended by its keeper, and then by us.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lightwork.kit.text import span
from lightwork.model.errors import ClusterError
from lightwork.node.service.own_process import process_of

ORDERLY_S = 8.0  # cancelled jobs may clean up: 3 s, TERM, 1 s, KILL
GONE_S = 10.0
SAY_S = 5.0
_LOOK_S = 0.05

Say = Callable[[str], None]


def stop(name: str, say: Say, *, now: bool, base: Path | None = None) -> bool:
    """Whether there was one; when this returns, it is gone. ClusterError: it would not go."""
    pid = process_of(name, base)
    if not pid:
        return False
    try:
        agent = psutil.Process(pid)
        if now:
            _end(agent)
        else:
            agent.terminate()
            _wait(agent, name, say)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        raise ClusterError(f"process {pid} of node {name} belongs to somebody else", hint="ask them") from None
    return True


def _wait(agent: psutil.Process, name: str, say: Say) -> None:
    began = told = time.monotonic()
    while agent.is_running() and agent.status() != psutil.STATUS_ZOMBIE:
        time.sleep(_LOOK_S)
        now = time.monotonic()
        if now - told >= SAY_S:
            told = now
            say(f"node {name}: waits since {span(now - began)} for jobs to end; --now ends them")


def _end(agent: psutil.Process) -> None:
    tree = [agent, *agent.children(recursive=True)]
    for _ in range(2):  # the second TERM means at once
        agent.terminate()
        time.sleep(_LOOK_S)
    if psutil.wait_procs([agent], ORDERLY_S)[1]:
        tree += [one for one in agent.children(recursive=True) if one not in tree]
        agent.kill()
    left = psutil.wait_procs(tree, GONE_S)[1]
    for process in left:
        process.kill()
    if left := psutil.wait_procs(left, GONE_S)[1]:
        raise ClusterError(f"processes {', '.join(str(one.pid) for one in left)} cannot be ended")
