"""Real `lightwork node` processes on the loopback address, with a secret that they and the test share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.e2e.helpers import nothing_left, wait_until


class NodeProgram:
    """A running `lightwork node` that listens on the loopback address."""

    def __init__(
        self, name: str, slots: int, log: Path, port: int = 0, options: Sequence[str] = (), python: str = sys.executable
    ) -> None:
        self.name = name
        command = [python, "-m", "lightwork", "node", "--listen", f"127.0.0.1:{port}"]
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                [*command, "--name", name, "--slots", str(slots), *options], stdout=file, stderr=subprocess.STDOUT
            )
        self.log = log
        try:
            wait_until(lambda: "listens at " in log.read_text(), "the node says where it listens")
        except AssertionError:
            self.end()
            raise
        self.address = log.read_text().split("listens at ")[1].split(": ")[0].strip()

    @property
    def process(self) -> psutil.Process:
        """The program's."""
        return psutil.Process(self._process.pid)

    def wait(self, limit_s: float = 20.0) -> int:
        """Until it has ended by itself; its exit status."""
        return self._process.wait(limit_s)

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


Start = Callable[..., NodeProgram]


@contextmanager
def nodes(directory: Path) -> Iterator[Start]:
    """start(name, slots=2, port=0, options=(), python=ours) -> a node. They end with the block; no process is left."""
    made: list[NodeProgram] = []

    def start(
        name: str, slots: int = 2, port: int = 0, options: Sequence[str] = (), python: str = sys.executable
    ) -> NodeProgram:
        log = directory / f"{name}.log"
        made.append(NodeProgram(f"{name}-{os.getpid()}", slots, log, port, options, python))
        return made[-1]

    with nothing_left({}):
        try:
            yield start
        finally:
            for node in made:
                node.end()
