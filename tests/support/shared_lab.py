"""`lightwork scheduler` and nodes that join it, as processes on the loopback address, for clusters in the test itself.

with shared_lab(tmp_path) as lab:
    lab.begin("--cooperative")
    one = lab.node("one", slots=2)
    with lightwork.SharedJobCluster(f, scheduler=lab.address) as cluster: ...
    lab.kill(); lab.begin()                 kill -9, and the next life
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

import lightwork
from lightwork.security.secret import generate
from tests.e2e.helpers import nothing_left, wait_until

TIMERS = "HEARTBEAT_S=0.2 LEASE_S=3 LOST_S=3 RETRY_S=0.3 RETRY_MAX_S=0.5 NO_NODE_S=1"


class Program:
    """A command of ours that runs; its output goes to a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "lightwork", *arguments]
        environment = {**os.environ, "LIGHTWORK_TIMERS": TIMERS}
        with open(log, "ab") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str, limit_s: float = 20.0) -> None:
        wait_until(lambda: text in self.said or self.process.poll() is not None, f"it says {text!r}", limit_s)
        assert text in self.said, f"it ended with {self.process.poll()}: {self.said}"

    def family(self) -> list[psutil.Process]:
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def freeze(self, *, alone: bool = False) -> None:
        """SIGSTOP for all of it, or for its first process `alone`; `thaw` continues what is still there."""
        self._frozen = self.family()[:1] if alone else self.family()
        for process in self._frozen:
            process.suspend()

    def thaw(self) -> None:
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise


class SharedLab:
    """See above."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.mark = f"{os.getpid()}-{os.urandom(2).hex()}"
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.scheduler: Program
        self.nodes: list[Program] = []

    def begin(self, *options: str) -> None:
        """One more life of the scheduler; back when it is up."""
        self.scheduler = Program(
            self._directory / f"scheduler{os.urandom(2).hex()}.log",
            *("scheduler", "--state", str(self._directory / "state"), "--name", f"lab-{self.mark}"),
            *("--listen", self.address, *options),
        )
        self.scheduler.says("nodes join it by")

    def kill(self) -> None:
        """kill -9."""
        self.scheduler.kill()

    def name(self, name: str) -> str:
        """What a node of ours is called."""
        return f"{name}-{self.mark}"

    def node(self, name: str, *options: str, slots: int = 2, join: bool = True) -> Program:
        """A node that joins (or listens); back when it has."""
        way = ("--join", self.address) if join else ("--listen", "127.0.0.1:0")
        log = self._directory / f"{name}{os.urandom(2).hex()}.log"
        made = Program(log, "node", *way, "--name", self.name(name), "--slots", str(slots), *options)
        self.nodes.append(made)
        made.says("joined" if join else "listens at ")
        return made

    def close(self) -> None:
        for program in [*self.nodes, self.scheduler]:
            program.end()


def listens_at(node: Program) -> str:
    """Where a node listens."""
    return node.said.split("listens at ")[1].split(": ")[0].strip()


@contextmanager
def shared_lab(directory: Path, monkeypatch: Any) -> Iterator[SharedLab]:
    """No process is left at the end."""
    monkeypatch.setenv("LIGHTWORK_SECRET", generate())
    with nothing_left({}):
        lab = SharedLab(directory)
        try:
            yield lab
        finally:
            lab.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def cluster_of(lab: SharedLab, computation: Any, **given: Any) -> lightwork.SharedJobCluster:
    """A program on it."""
    return lightwork.SharedJobCluster(computation, scheduler=lab.address, **given)
