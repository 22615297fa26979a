"""What must be true once all clients have gone home: nothing runs, nothing is kept, and programs end when asked to."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lightwork.config import limits
from tests.chaos.company import NODES, SLOTS, Company
from tests.chaos.history import RELAY_HOST, SCHEDULER_HOST

LEFT_S = 10.0  # promised
SESSIONS_S = 25.0  # until the lease of a killed client that was not lasting is over
END_S = 30.0
JOURNAL_MAX = 2 * limits.JOURNAL_COMPACTED_FROM  # before that, its size may follow history
KEPT_MAX = limits.KEPT_SPARE + 2 * limits.KEPT_SEGMENT  # the same of a node's records


ALL_AT_ONCE = """
import sys, time, lightwork

def nap():
    began = time.monotonic()
    time.sleep(4)
    return began, time.monotonic()

with lightwork.SharedJobCluster(nap, scheduler="s") as cluster:
    for job in [cluster.submit() for _ in range(int(sys.argv[1]))]:
        print(*job.get())
"""


class Aftermath:
    """Looks around. `looked` returns what should not be."""

    def __init__(self, company: Company) -> None:
        self._company = company

    def looked(self) -> list[str]:
        """In this order, for the last step ends everything."""
        found = self._slots()
        found += self._not_soon("processes of jobs are left", self._strays)
        found += self._not_soon("files are left on nodes", self._files_of_nodes)
        found += self._not_soon("sessions are left", self._sessions, SESSIONS_S)
        found += self._not_soon("the scheduler keeps something", self._files_of_scheduler)
        return found + self._ended()

    def _not_soon(self, what: str, look: Callable[[], list[str]], limit_s: float = LEFT_S) -> list[str]:
        end = time.monotonic() + limit_s
        while True:
            found = look()
            if not found:
                return []
            if time.monotonic() > end:
                return [f"{what} after {limit_s} s: {found}"]
            time.sleep(0.2)

    def _slots(self) -> list[str]:
        """Each slot that there ever was can be used, and all of them at the same time."""
        company = self._company
        slots = SLOTS * len(NODES)
        done = company.lab["u"].run([sys.executable, "-c", ALL_AT_ONCE, str(slots)], env=company.environment)
        spans = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
        if done.returncode != 0 or len(spans) != slots:
            return [f"the last jobs of all: {done.stdout} {done.stderr}"]
        late = max(begin for begin, _ in spans) - min(end for _, end in spans)
        return [f"not all {slots} slots are free: the last job waited {late:.1f} s for another one"] if late > 0 else []

    def _strays(self) -> list[str]:
        return [line for line in self._company.left(*NODES) if " sleep 600" in line]

    def node_directory(self, name: str) -> Path:
        """As seen from outside of its host."""
        return self._company.lab.directory / name / "vartmp" / "lightwork-0" / name

    def _files_of_nodes(self) -> list[str]:
        found = []
        for name in NODES:
            for path in self.node_directory(name).rglob("*"):
                inside = path.relative_to(self.node_directory(name)).parts
                if path.is_file() and {"spool", "jobs"} & set(inside[:-1]):
                    found.append(f"{name}: {'/'.join(inside)}")
            kept = sum(path.stat().st_size for path in self.node_directory(name).rglob("*.kept"))
            found += [f"{name}: {kept:,} bytes of records"] if kept > KEPT_MAX else []
        return found

    def _sessions(self) -> list[str]:
        host = self._company.lab[SCHEDULER_HOST]
        done = host.run(["lightwork", "sessions", "--json"], env=self._company.environment)
        if done.returncode != 0:
            return [done.stderr]
        return [str(one) for scheduler in json.loads(done.stdout)["schedulers"] for one in scheduler["sessions"]]

    def _files_of_scheduler(self) -> list[str]:
        state = self._company.state
        blobs = [str(path.relative_to(state)) for path in (state / "blobs").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in (state / "journal").rglob("*") if path.is_file())
        return blobs + ([f"a journal of {size:,} bytes"] if size > JOURNAL_MAX else [])

    def _ended(self) -> list[str]:
        company, found = self._company, []
        nodes = [("node", node) for node in NODES]
        for kind, name in [*nodes, ("relay", RELAY_HOST), ("scheduler", SCHEDULER_HOST)]:
            program = company.program(kind, name)
            if program is None:
                found.append(f"{kind} {name} has died: {company.programs[kind, name][-1].err[-2000:]}")
                continue
            program.signal(signal.SIGTERM)
            try:
                code = program.wait(END_S)
            except AssertionError as error:
                found.append(f"{kind} {name} does not end: {error}")
            else:
                found += [f"{kind} {name} ended with {code}: {program.err[-2000:]}"] if code else []
        return found + self._not_soon("processes are left", lambda: company.left(*company.lab.hosts))
