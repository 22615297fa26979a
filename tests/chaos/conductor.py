"""Does to the company what the plan says, and writes down what it did.

A fault whose victim is not there at its time waits until it is: so many as were planned are done. Whoever is killed is
started again after its pause; whoever is stopped or cut off is freed after its time. At the end all is healed.
"""

from __future__ import annotations

import heapq
import random
import signal
import time
from collections.abc import Callable
from itertools import count

from tests.chaos import oracle
from tests.chaos.company import CLIENTS, NODES, UP_S, Company, send, waits_for
from tests.chaos.history import GATEWAY, RELAY_HOST, SCHEDULER_HOST, Event
from tests.chaos.plan import CUT, DEAF, KILL, RAZE, STOP, Fault
from tests.support.lab import Program

SAYS = {"scheduler": "nodes join it by", "node": "joined", "client": "open", "relay": "connected with"}  # once it is up
SAYS_OF = {"c": "listens", "e": "listens"}
PLACES = {"relay": RELAY_HOST, "link": GATEWAY}  # where there is but one of them
TICK_S = 0.02
AGAIN_S = 0.25  # a victim that was not there is looked for again


class Conductor:
    """One performance."""

    def __init__(self, company: Company, faults: list[Fault]) -> None:
        self.company = company
        self.events: list[Event] = []
        self.done: dict[tuple[str, str], int] = {}  # how many of what were done to which kind
        self.began = time.monotonic_ns()
        self._chance = random.Random(company.seed)
        self._numbers = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped: dict[tuple[str, str], int] = {}
        self._cut: set[str] = set()
        self._faults = faults
        self.begun_s = 0.0

    # --- the performance ---

    def begin(self) -> None:
        """Everybody is up."""
        company = self.company
        waits_for(company.scheduler(), SAYS["scheduler"])
        waits_for(company.relay(), SAYS["relay"])
        for name, node in [(name, company.node(name)) for name in NODES]:
            waits_for(node, _says("node", name))
        company.begin_s = time.monotonic() + 1.0
        for client in CLIENTS:
            waits_for(company.client(client), _says("client", client.name))
        self.begun_s = time.monotonic()

    def perform(self) -> None:
        """All faults, to the end of the last one."""
        for fault in self._faults:
            self._at(self.begun_s + fault.at_s, self._to_do(fault))
        while self._due:
            at_s, _, act = heapq.heappop(self._due)
            time.sleep(max(0.0, at_s - time.monotonic()))
            act()

    def wait_for_clients(self, limit_s: float) -> list[str]:
        """Until all have ended well; those that have not."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            lives = [self.company.programs["client", client.name][-1] for client in CLIENTS]
            if all(program.popen.poll() is not None for program in lives):
                break
            time.sleep(0.1)
        found = []
        for client in CLIENTS:
            program = self.company.programs["client", client.name][-1]
            if program.popen.poll() != 0:
                how = "has not ended" if program.popen.poll() is None else f"ended with {program.popen.returncode}"
                found.append(f"client {client.name} {how}: {program.out[-500:]} {program.err[-3000:]}")
        return found

    # --- faults ---

    def _to_do(self, fault: Fault) -> Callable[[], None]:
        does = {KILL: self._kill, RAZE: self._kill, STOP: self._stop, CUT: self._cut_off, DEAF: self._cut_off}
        how = does[fault.what]
        return lambda: how(fault)

    def _kill(self, fault: Fault) -> None:
        whom = self._whom(fault)
        pid = self._worker(whom) if fault.kind == "worker" else self.company.pid(fault.kind, whom)
        others = self.company.helpers(whom) if fault.what == RAZE else []
        began = time.monotonic_ns()  # what follows may be over before we have noted it
        if not pid or not send(pid, signal.SIGKILL):
            self._later(fault)
            return
        for other in others:
            send(other, signal.SIGKILL)
        self._note("kill", fault.kind, whom, pid, began)
        self._stopped.pop((fault.kind, whom), None)
        kind = "scheduler" if fault.kind == "journal" else fault.kind  # it cannot go on without its journal
        if kind in ("scheduler", "node", "client", "relay"):
            self._start_after(kind, whom, self.company.programs[kind, whom][-1], fault.for_s)

    def _stop(self, fault: Fault) -> None:
        whom = self._whom(fault)
        busy = (fault.kind, whom) in self._stopped
        pid = 0 if busy else self._worker(whom) if fault.kind == "worker" else self.company.pid(fault.kind, whom)
        if not pid or not send(pid, signal.SIGSTOP):
            self._later(fault)
            return
        self._note("stop", fault.kind, whom, pid)
        self._stopped[fault.kind, whom] = pid
        self._at(time.monotonic() + fault.for_s, lambda: self._continue(fault.kind, whom, pid))

    def _continue(self, kind: str, whom: str, pid: int) -> None:
        if self._stopped.get((kind, whom)) == pid:
            del self._stopped[kind, whom]
        if send(pid, signal.SIGCONT):  # else it was killed meanwhile, or died with somebody
            self._note("cont", kind, whom, pid)

    def _cut_off(self, fault: Fault) -> None:
        whom = self._whom(fault)
        host = self.company.lab[whom]
        if whom in self._cut:
            self._later(fault)
            return
        self._cut.add(whom)
        if fault.what == CUT:
            host.cut()
        else:  # it can be heard, and hears nothing
            host.deny("meta l4proto tcp", outgoing=False)
        self._note("cut", fault.kind, whom)
        self._at(time.monotonic() + fault.for_s, lambda: self._heal(fault.kind, whom))

    def _heal(self, kind: str, whom: str) -> None:
        host = self.company.lab[whom]
        host.heal()
        host.allow()
        self._cut.discard(whom)
        self._note("heal", kind, whom)

    def _whom(self, fault: Fault) -> str:
        if fault.kind == "keeper" and fault.whom not in self.company.keepers:
            return self.company.keepers[0]
        return fault.whom or PLACES.get(fault.kind, SCHEDULER_HOST)

    def _later(self, fault: Fault) -> None:
        if time.monotonic() < self.begun_s + fault.at_s + UP_S:
            self._at(time.monotonic() + AGAIN_S, self._to_do(fault))

    # --- processes ---

    def _start_after(self, kind: str, whom: str, program: Program, pause_s: float) -> None:
        """Once it is gone. (It may be stopped while its journal dies, and then it takes its time.)"""
        if program.popen.poll() is None:
            self._at(time.monotonic() + TICK_S, lambda: self._start_after(kind, whom, program, pause_s))
        elif self.company.programs[kind, whom][-1] is program:  # else somebody has killed and started it meanwhile
            self._at(time.monotonic() + pause_s, lambda: self._start(kind, whom, program))

    def _start(self, kind: str, whom: str, after: Program) -> None:
        if self.company.programs[kind, whom][-1] is not after:
            return
        company = self.company
        if kind == "client":
            company.client(next(client for client in CLIENTS if client.name == whom))
        elif kind == "node":
            company.node(whom)
        elif kind == "relay":
            company.relay()
        else:
            company.scheduler()
        self._watch_start(kind, whom, company.programs[kind, whom][-1])

    def _watch_start(self, kind: str, whom: str, program: Program) -> None:
        """It is up when it says so, or dies trying: a node's predecessor may not be gone yet, so it is tried again."""
        code = program.popen.poll()
        if code is not None and kind != "client":
            if code >= 0:
                self._note(f"fail {code}", kind, whom, program.pid)
                self._at(time.monotonic() + 1.0, lambda: self._start(kind, whom, program))
            return  # killed by us: its next start is due already
        if _says(kind, whom) in program.out + program.err:
            self._note("up", kind, whom, program.pid)
        elif code is None:
            self._at(time.monotonic() + 0.1, lambda: self._watch_start(kind, whom, program))

    def _worker(self, host: str) -> int:
        """One that is in a job now, as far as the oracle knows."""
        busy = [
            run.pid
            for runs in oracle.runs(self.company.oracle).values()
            for run in runs
            if run.host == host and not run.last
        ]
        found = sorted(set(busy) & self.company.workers(host))
        return self._chance.choice(found) if found else 0

    # --- notes ---

    def _at(self, when_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when_s, next(self._numbers), act))

    def _note(self, what: str, kind: str, whom: str, pid: int = 0, at: int = 0) -> None:
        self.events.append(Event(at or time.monotonic_ns(), what, kind, whom, pid))
        self.done[what, kind] = self.done.get((what, kind), 0) + 1

    def log(self) -> str:
        """All that was done, for people."""
        return "\n".join(event.text(int(self.begun_s * 1e9)) for event in self.events)


def _says(kind: str, whom: str) -> str:
    return SAYS_OF.get(whom, SAYS[kind])
