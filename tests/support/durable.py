"""A farm with a durable scheduler: `lightwork scheduler` on host s, nodes that join it, clients, and an oracle.

with DurableFarm("a", "b") as farm:           hosts s (scheduler), u (user), a, b
    scheduler = farm.scheduler()
    farm.joins("a")
    client = farm.user(CODE, "argument")      CODE has `shared(...)`, `submit(cluster, key, ...)`, `say`, `ARGUMENTS`
    scheduler = farm.again(scheduler)         kill -9, and once more on the same state
    farm.runs()["key"]                        each start of a job, and what became of it
"""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.chaos import oracle, program
from tests.chaos.oracle import Run
from tests.e2e.helpers import wait_until
from tests.e2e_net.farm import LIMIT_S, Client, Farm
from tests.support.lab import Program
from tests.support.lab_host import processes_in

LEASE_S = 3.0
BRISK = f"HEARTBEAT_S=0.3 LEASE_S={LEASE_S} LOST_S=2 RETRY_S=0.3 RETRY_MAX_S=0.5 NO_NODE_S=1"
UP = "nodes join it by"
CODE = (
    "from pathlib import Path\nfrom typing import Any\n\n"
    + inspect.getsource(program.work)
    + '''
ORACLE, *ARGUMENTS = sys.argv[1:]

def shared(recover="", **given):
    """A cluster on the scheduler of the farm."""
    given = {**({"recover": recover} if recover else {}), **given}
    return lightwork.SharedJobCluster(work, scheduler="s", **given)

def submit(cluster, key, seconds=0.0, kind="plain", argument=b"", **options):
    return cluster.options(id=key, key=key, **options).submit(ORACLE, key, kind, seconds, argument)

def until(condition):
    while not condition():
        time.sleep(0.02)

def told(job):
    """How a job ended: its state, where, how often it was begun, and whether it is told again."""
    job()
    return [job.id, job.status.name, (job.result or [None])[0], job.attempts, job.redelivered]

'''
)


class DurableFarm(Farm):
    """See above."""

    def __init__(self, *nodes: str, timers: str = BRISK, hosts: Iterable[str] = ()) -> None:
        super().__init__("s", "u", *nodes, *hosts, timers=timers)
        self.oracle = self.directory / "oracle"
        self.state = self["s"].home / "state"

    def __enter__(self) -> DurableFarm:
        return self

    def scheduler(self, *options: str, env: Mapping[str, str] | None = None, ready: str = UP) -> Program:
        """`lightwork scheduler` on its host; back when it is up."""
        command = ["lightwork", "scheduler", "--state", str(self.state), "--name", "s", *options]
        started = self["s"].start(command, env=self.environment(None, env))
        if ready:
            started.wait_for(ready, LIMIT_S)
        return started

    def again(self, killed: Program, *options: str, pause_s: float = 0.0) -> Program:
        """kill -9, and one more life."""
        kill(killed)
        time.sleep(pause_s)
        return self.scheduler(*options)

    def joins(self, name: str, *options: str, slots: int = 2, ready: str = "joined") -> Program:
        """`lightwork node --join s` on a host."""
        return self.node(name, "--join", "s", "--name", name, "--slots", str(slots), *options, ready=ready)

    def user(self, code: str, *arguments: str, host: str = "u") -> Client:
        """A program of a user's."""
        return self.client(host, CODE + code, str(self.oracle), *arguments)

    def runs(self) -> dict[str, list[Run]]:
        """All starts of all jobs."""
        return oracle.runs(self.oracle)

    def starts(self) -> dict[str, int]:
        """How often each job was begun."""
        return {key: len(runs) for key, runs in self.runs().items()}

    def running(self, *keys: str) -> None:
        """Until these have begun."""
        wait_until(lambda: all(key in self.runs() for key in keys), f"{keys} run: {self.runs()}", LIMIT_S)

    def node_directory(self, name: str) -> Path:
        """Of the node of a host, as it is seen from here."""
        return self.directory / name / "vartmp" / f"lightwork-{os.getuid()}" / name

    def processes(self, host: str) -> list[int]:
        """All that runs there."""
        return processes_in(self[host].namespace)


def kill(victim: Program) -> None:
    """kill -9; back when it is gone."""
    victim.signal(signal.SIGKILL)
    victim.popen.wait()
