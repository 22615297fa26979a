"""The programs of a performance, on their hosts: started, found, killed, started again.

s: lightwork scheduler        a, b: lightwork node --join s        c: lightwork node, which s dials
u, v: users' programs         g: the way out of another network, where there are
r: lightwork relay            d: lightwork node --join r           e: lightwork node, which r dials
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from lightwork.security.secret import generate
from tests.chaos.history import GATEWAY, RELAY_HOST, SCHEDULER_HOST
from tests.chaos.program import Options
from tests.support.lab import Lab, Program
from tests.support.lab_host import processes_in
from tests.support.two_networks import A, B, masquerade

LEASE_S, RELAY_LEASE_S, LOST_S = 5.0, 12.0, 3.0
TIMERS = (
    f"HEARTBEAT_S=0.5 LEASE_S={LEASE_S} RELAY_LEASE_S={RELAY_LEASE_S} LOST_S={LOST_S} RETRY_S=0.5 RETRY_MAX_S=1 "
    "ORPHAN_S=40 CLIENT_LEASE_S=15 BACK_OFF_S=0.1 STUCK_S=8"
)
NEAR, BEHIND = ("a", "b", "c"), ("d", "e")
NODES = (*NEAR, *BEHIND)
LEASES_S = {**dict.fromkeys(NEAR, LEASE_S), **dict.fromkeys(BEHIND, RELAY_LEASE_S)}
LISTENING = ("c", "e")
SLOTS = 3
UP_S = 60.0
NO_UVLOOP = {"LIGHTWORK_NO_UVLOOP": "1"}
PORTABLE = {"LIGHTWORK_PORTABLE": "1", **NO_UVLOOP}
PROGRAM = Path(__file__).with_name("program.py")


class Client(NamedTuple):
    """A user's program."""

    name: str
    host: str
    reentrant: bool | None
    lasting: bool
    by_callback: bool


CLIENTS = (
    Client("none", "u", None, lasting=True, by_callback=True),
    Client("true", "v", True, lasting=True, by_callback=False),
    Client("false", "u", False, lasting=True, by_callback=True),
    Client("plain", "v", None, lasting=False, by_callback=True),
)


class Networks(Lab):
    """That of the scheduler and of users; and one from which there is a way out, and no way into it."""

    def network(self, *subnets: str, hosts: Iterable[str] | None = None) -> None:
        """Both at once."""
        inside = [RELAY_HOST, *BEHIND]
        super().network(A, hosts=[name for name in self.hosts if name not in inside])
        super().network(B, hosts=[GATEWAY, *inside])


class Company:
    """All of them. Use it in a `with` block: nothing of it is left behind."""

    def __init__(self, seed: int, jobs: int, pace_s: float) -> None:
        self.seed, self.jobs, self.pace_s = seed, jobs, pace_s
        self.secret = generate()
        portable = seed % 3 == 0  # no keeper, no fork
        self.ways = {
            SCHEDULER_HOST: NO_UVLOOP if seed % 2 else {},
            "b": NO_UVLOOP if seed % 5 < 2 else {},
            "c": PORTABLE if portable else {},
            RELAY_HOST: NO_UVLOOP if seed % 4 < 2 else {},
        }
        self.keepers = [name for name in NODES if self.ways.get(name) is not PORTABLE]
        self.lab = Networks(hosts=[SCHEDULER_HOST, *NEAR, "u", "v", GATEWAY, RELAY_HOST, *BEHIND])
        masquerade(self.lab, RELAY_HOST, *BEHIND)
        self.directory = self.lab.directory / "chaos"
        self.directory.mkdir()
        self.oracle = self.directory / "oracle"
        self.state = self.lab[SCHEDULER_HOST].home / "state"
        self.programs: dict[tuple[str, str], list[Program]] = {}  # all lives of each, by kind and name
        self.lives = {client.name: 0 for client in CLIENTS}
        self.begin_s = 0.0

    def __enter__(self) -> Company:
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.close()

    @property
    def environment(self) -> dict[str, str]:
        """Of all programs."""
        return {"LIGHTWORK_TIMERS": TIMERS, "LIGHTWORK_SECRET": self.secret}

    # --- start ---

    def scheduler(self) -> Program:
        """On the same state, as often as it is killed."""
        command = ["lightwork", "scheduler", "--state", str(self.state), "--name", "s", "--nodes", "c"]
        return self._start("scheduler", SCHEDULER_HOST, SCHEDULER_HOST, command)

    def relay(self) -> Program:
        """With the same name and store, as often as it is killed."""
        command = ["lightwork", "relay", "--scheduler", SCHEDULER_HOST, "--name", RELAY_HOST, "--nodes", "e"]
        return self._start("relay", RELAY_HOST, RELAY_HOST, command)

    def node(self, name: str) -> Program:
        """The node of a host."""
        door = f"{RELAY_HOST}:9702" if name in BEHIND else f"{SCHEDULER_HOST}:9700"
        how = ["--listen", "*:9701"] if name in LISTENING else ["--join", door]
        command = ["lightwork", "node", "--name", name, "--slots", str(SLOTS), "--nice", "0", *how]
        return self._start("node", name, name, command)

    def client(self, client: Client) -> Program:
        """One more life of a user's program."""
        self.lives[client.name] += 1
        options = Options(
            client.name,
            self.lives[client.name],
            self.seed,
            self.jobs,
            self.begin_s,
            self.pace_s,
            SCHEDULER_HOST,
            client.reentrant,
            str(self.oracle),
            str(self.deliveries(client)),
            client.by_callback,
            client.lasting,
        )
        return self._start("client", client.name, client.host, ["python", str(PROGRAM), json.dumps(options._asdict())])

    def deliveries(self, client: Client) -> Path:
        """What it was given."""
        return self.directory / f"{client.name}.deliveries"

    def _start(self, kind: str, name: str, host: str, command: list[str]) -> Program:
        path = {"PYTHONPATH": str(PROGRAM.parents[2])} if kind == "client" else {}
        program = self.lab[host].start(command, env={**self.environment, **self.ways.get(host, {}), **path})
        self.programs.setdefault((kind, name), []).append(program)
        return program

    # --- find ---

    def program(self, kind: str, name: str) -> Program | None:
        """The one that runs."""
        lives = self.programs.get((kind, name), [])
        return lives[-1] if lives and lives[-1].popen.poll() is None else None

    def below(self, kind: str, name: str) -> Iterator[psutil.Process]:
        """Children of a running program."""
        program = self.program(kind, name)
        if program is not None:
            try:
                yield from psutil.Process(program.pid).children()
            except psutil.NoSuchProcess:  # it ended while we looked
                return

    def pid(self, kind: str, name: str) -> int:
        """Of a process of this kind; 0: there is none now. Workers are the oracle's to know."""
        if kind == "journal":
            return next((one.pid for one in self.below("scheduler", SCHEDULER_HOST) if "journal" in _words(one)), 0)
        if kind == "keeper":
            return next((one.pid for one in self.below("node", name) if "boot.py keeper" in _words(one)), 0)
        program = self.program(kind, SCHEDULER_HOST if kind == "scheduler" else name)
        return program.pid if program is not None else 0

    def workers(self, host: str) -> set[int]:
        """All processes below a node's program, but its keeper."""
        node, keeper = self.program("node", host), self.pid("keeper", host)
        try:
            return {one.pid for one in psutil.Process(node.pid).children(recursive=True)} - {keeper} if node else set()
        except psutil.NoSuchProcess:  # killed meanwhile
            return set()

    def helpers(self, host: str) -> list[int]:
        """Keeper and workers of a node: all below its program but what jobs have started."""
        below = [*self.workers(host), self.pid("keeper", host)]
        return [pid for pid in below if pid and "boot.py" in _words_of(pid)]

    def left(self, *hosts: str) -> list[str]:
        """Command lines of all processes on these hosts, apart from what holds the host open."""
        found = []
        for host in hosts:
            for pid in processes_in(self.lab[host].namespace):
                words = _words_of(pid)
                if words and not words.startswith(("sh -ec", "cat")):
                    found.append(f"{host}: {pid} {words[:150]}")
        return found

    # --- what they said ---

    def said(self, text: str) -> list[str]:
        """Lines of scheduler, nodes and clients that have this text; "": all."""
        found = []
        for (kind, name), lives in self.programs.items():
            for life, program in enumerate(lives, 1):
                lines = [*program.out.splitlines(), *program.err.splitlines()]
                found += [f"{kind} {name} ({life}): {line}" for line in lines if text in line]
        return found


def _words(process: psutil.Process) -> str:
    return _words_of(process.pid)


def _words_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it ended while we looked
        return ""


def waits_for(program: Program, text: str, limit_s: float = UP_S) -> bool:
    """Whether a program says this in time; False: it has ended."""
    end = time.monotonic() + limit_s
    while text not in program.err and text not in program.out:
        if program.popen.poll() is not None:
            return False
        assert time.monotonic() < end, f"not said in {limit_s} s: {text!r}\n{program.out}\n{program.err}"
        time.sleep(0.02)
    return True


def send(pid: int, signal: int) -> bool:
    """False: it was gone already."""
    try:
        os.kill(pid, signal)
    except ProcessLookupError:
        return False
    return True
